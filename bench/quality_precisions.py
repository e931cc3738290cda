"""A model in each precision that docs/quality.md compares.

All compute in bfloat16, as on a GPU, but `float32`, which is the 16-bit weights without the rounding of its products.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from pinpoint.engine.loading.activations import set_activations
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.settings import Settings


def scorer(folder: str, precision: str, device: str, budget: int) -> Scorer:
    """A model in one of `quality_figures.PRECISIONS`."""
    held = "bf16" if precision == "float32" else precision.partition("+")[0]
    settings = Settings.model_validate(
        {"model_name": folder, "precision": held, "device": device, "buffer_gb": 0.5,
         "compute_dtype": "auto" if held == "bf16" else "bfloat16",
         "activations": "int8" if precision.startswith("int8+int8") else "compute"}
    )  # fmt: skip
    loaded = load(settings)
    if precision == "float32":
        loaded = replace(loaded, model=loaded.model.float(), compute_dtype=torch.float32)
    if precision == "int8+int8":
        # What loading keeps from it is measured as "flagged".
        set_activations(loaded.model, "int8")
        loaded = replace(loaded, kept={})
    return Scorer(loaded, budget)
