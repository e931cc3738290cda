"""In what the inputs of products are held: switched on before the first pass, refused where there are too many."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers import PreTrainedModel

from pinpoint.engine.weights.int8 import Int8Linear, is_int8_experts
from pinpoint.engine.weights.int8_activations import MOST_INPUTS
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Activations


def set_activations(model: PreTrainedModel, wanted: Activations) -> None:
    """Have the products of all weights in 8 bits computed with `wanted` activations.

    Raises:
        ModelError: a product has too many inputs for sums of 32 bits; nothing is changed.
    """
    found = modules_of(model)
    for name, module in found.items() if wanted == "int8" else ():
        most = max(weight.shape[-1] for weight in _weights(module))
        if most > MOST_INPUTS:
            raise ModelError(
                "precision_unsuitable",
                f"{name} has products of {most:,} inputs, and in int8 they have at most {MOST_INPUTS:,}; unset "
                "PINPOINT_ACTIVATIONS",
                "PINPOINT_ACTIVATIONS",
            )
    for module in found.values():
        module.activations = wanted


def modules_of(model: PreTrainedModel) -> dict[str, Any]:
    """The modules whose products can have 8-bit activations, by name, in the model's order."""
    return {name: module for name, module in model.named_modules() if takes(module)}


def takes(module: nn.Module) -> bool:
    """Whether it is a module whose products can have 8-bit activations."""
    return isinstance(module, Int8Linear) or is_int8_experts(module)


def _weights(module: nn.Module) -> list[nn.Parameter]:
    names = ("weight",) if isinstance(module, Int8Linear) else EXPERT_WEIGHTS
    return [getattr(module, name) for name in names]
