"""A model in each precision that docs/quality.md compares.

All compute in bfloat16, as on a GPU, but `float32`, which is the 16-bit weights without the rounding of its products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from bench.quality_figures import flagged_layers
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.settings import Settings


def scorer(folder: str, precision: str, device: str, budget: int, layers: Sequence[dict[str, Any]] = ()) -> Scorer:
    """A model in one of `quality_figures.PRECISIONS`; which layers are flagged is told by figures of `layers`."""
    held = "bf16" if precision == "float32" else precision.partition("+")[0]
    settings = Settings.model_validate(
        {"model_name": folder, "precision": held, "device": device, "buffer_gb": 0.5,
         "compute_dtype": "auto" if held == "bf16" else "bfloat16",
         "activations": "int8" if precision.startswith("int8+int8") else "compute"}
    )  # fmt: skip
    loaded = load(settings)
    if precision == "float32":
        loaded = replace(loaded, model=loaded.model.float(), compute_dtype=torch.float32)
    if precision.endswith("flagged"):
        for name in flagged_layers(layers):
            loaded.model.get_submodule(name).activations = "compute"
    return Scorer(loaded, budget)
