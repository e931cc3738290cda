"""Everything here needs a real GPU and says so where there is none."""

from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    missing = pytest.mark.skip(reason="no GPU is visible: what CUDA computes can only be tested on one")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(missing)
