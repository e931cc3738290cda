"""The suite in two processes: a file is never split, and tests/worker, where clocks matter, is all in one of them."""

from pathlib import Path

import pytest

WORKER = Path(__file__).parent / "worker"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = "worker" if WORKER in item.path.parents else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
