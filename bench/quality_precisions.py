"""A model in each precision that docs/quality.md compares.

All compute in bfloat16, as on a GPU, but `float32`, which is the 16-bit weights without the rounding of its products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from bench.quality_figures import flagged_layers
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.settings import Settings

_INT8_LEVELS, _FP8_LARGEST = 127.0, 448.0


def scorer(folder: str, precision: str, device: str, budget: int, layers: Sequence[dict[str, Any]] = ()) -> Scorer:
    """A model in one of `quality_figures.PRECISIONS`; which layers are flagged is told by figures of `layers`."""
    held = {"float32": "bf16", "fp8": "bf16"}.get(precision, precision.partition("+")[0])
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
    if precision == "fp8":
        for name, module in loaded.model.named_modules():
            if type(module) is nn.Linear and not name.endswith("lm_head"):
                module.weight = nn.Parameter(fp8_rows(module.weight).to(module.weight.dtype), requires_grad=False)
                module.register_forward_pre_hook(lambda _, args: (fp8_rows(args[0]).to(args[0].dtype),))
    return Scorer(loaded, budget)


def int8_rows(x: Tensor) -> Tensor:
    """x [..., I] as symmetric 8-bit integers with a scale a row say it, in float32."""
    steps = _steps(x, _INT8_LEVELS)
    return (x.float() / steps).round_().mul_(steps)


def fp8_rows(x: Tensor) -> Tensor:
    """x [..., I] as E4M3 with a scale a row says it, in float32."""
    steps = _steps(x, _FP8_LARGEST)
    return (x.float() / steps).to(torch.float8_e4m3fn).float().mul_(steps)


def _steps(x: Tensor, levels: float) -> Tensor:
    largest = x.float().abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > 0, largest / levels, 1.0)
