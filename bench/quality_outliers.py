"""What 8-bit activations meet: for each linear layer of a model, how far its inputs' channels stand out, and by how
much its output is off when inputs, weights or both have 8 bits.

Errors are those of a token's output row, |y' − y| / |y|, of 16-bit weights and inputs. The inputs are those of the
16-bit model on documents of `quality_items`; errors of earlier layers are not carried on.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.quality_items import Document, lay
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import fp8, int8
from pinpoint.prompting.span_tree import Forest

# A token whose largest value is so many times that of the middle token has massive activations.
MASSIVE = 20.0


@torch.inference_mode()
def outliers(scorer: Scorer, documents: list[Document], progress: Callable[[], None]) -> list[dict[str, Any]]:
    """One line for each linear layer but the head, in the order of the pass, which all documents go through at once."""
    found: list[dict[str, Any]] = []

    def look(name: str, module: nn.Linear, args: tuple[Tensor, ...]) -> None:
        found.append({"layer": name, **layer_figures(args[0].reshape(-1, args[0].shape[-1]), module.weight)})
        progress()

    hooks = [module.register_forward_pre_hook(partial(look, name)) for name, module in linears(scorer.loaded.model)]
    try:
        forest = Forest()
        for document in documents:
            lay(scorer, forest, document)
        with scorer.run(forest):
            pass
    finally:
        for hook in hooks:
            hook.remove()
    return found


def linears(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """The layers that are quantised: all linear ones but the head."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if type(module) is nn.Linear and not name.endswith("lm_head")
    ]


def layer_figures(x: Tensor, weight: Tensor) -> dict[str, Any]:
    """Errors are products with what rounding changed: in bfloat16 too these have all the digits that are told."""
    x = x[x.abs().amax(dim=1) > 0]  # the last layer leaves rows out that nobody asks for
    size = x.abs().float()
    rows, channels = size.amax(dim=1), size.amax(dim=0)
    massive = rows > MASSIVE * rows.median()
    usual = size[~massive].amax(dim=0)
    y = (x @ weight.t()).float()
    found: dict[str, Any] = {
        "tokens": len(x), "largest": _round(rows.max()), "middle": _round(rows.median()),
        "massive_tokens": int(massive.sum()),
        "channel": int(channels.argmax()), "channel_ratio": _round(channels.max() / channels.median()),
        "usual_channel": int(usual.argmax()), "usual_ratio": _round(usual.max() / usual.median()),
    }  # fmt: skip
    for name, quantize in (("int8", int8.quantize), ("fp8", fp8.quantize)):
        of_weights = (x @ _rounding(weight, quantize).t()).float()
        of_inputs = (_rounding(x, quantize) @ weight.t()).float()
        found[f"{name}_weights"] = _error(of_weights, y)
        found[f"{name}_inputs"] = _error(of_inputs, y)
        found[f"{name}_both"] = _error(of_weights + of_inputs, y)
    return found


def _rounding(x: Tensor, quantize: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """What x [N, I] is changed by where each row has 8 bits and a scale: as weights and as inputs alike."""
    values, scales = quantize(x)
    return (values.float() * scales.unsqueeze(-1) - x.float()).to(x.dtype)


def _error(apart: Tensor, y: Tensor) -> list[float]:
    """Of the middle token, of the worst in twenty, of the worst, and of all outputs as one."""
    errors = apart.norm(dim=1) / y.norm(dim=1)
    values = [*errors.quantile(torch.tensor([0.5, 0.95, 1.0])).tolist(), float(apart.norm() / y.norm())]
    return [_round(value) for value in values]


def _round(value: Tensor | float) -> float:
    return float(f"{float(value):.4g}")
