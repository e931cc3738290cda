"""Rotary frequencies that a model chooses by the longest position it is given.

Phi's "longrope" reads up to so many tokens with one set of frequencies, and whatever is longer with another, for all
of its tokens. transformers looks at the longest position of the call, which in a packed row is a neighbour's. So
prompts of the two kinds never share a pass, nor what an earlier pass has kept: which kind a prompt is of depends on its
own length alone, its longest label included, and each is computed as the model computes it by itself.

"dynamic" frequencies change beyond the model's positions only, where no prompt goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

_KIND = "longrope"


def short_tokens(model: PreTrainedModel) -> int | None:
    """Up to how many tokens a prompt is read with the first set of frequencies; None where there is one set."""
    limits = [limit for _, limit in _switching(model)]
    return min(limits) if limits else None


def looks(model: PreTrainedModel) -> bool:
    """Whether the model looks at the positions of a call to choose its frequencies, for which the host waits."""
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        named = kinds.values() if isinstance(kinds, dict) else [kinds]
        if any("dynamic" in kind or kind == _KIND for kind in named if isinstance(kind, str)):
            return True
    return False


@contextmanager
def of_long_prompts(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, a pass has the frequencies of long prompts, however short its row is."""
    with ExitStack() as stack:
        for module, limit in _switching(model):
            stack.enter_context(_one_more_position(module, limit))
        yield


def _switching(model: PreTrainedModel) -> list[tuple[nn.Module, int]]:
    """The modules that choose, and up to how many tokens they take the first set."""
    found = list[tuple[nn.Module, int]]()
    for module in model.modules():
        kinds = getattr(module, "rope_type", None)
        parameters = getattr(getattr(module, "config", None), "rope_parameters", None)
        if not kinds or not parameters:
            continue
        by_layer = kinds if isinstance(kinds, dict) else {None: kinds}
        for layer, kind in by_layer.items():
            if kind == _KIND:
                own = parameters if layer is None else parameters[layer]
                found.append((module, int(own["original_max_position_embeddings"])))
                break
    return found


@contextmanager
def _one_more_position(module: nn.Module, position: int) -> Iterator[None]:
    """Within the block, `module` is given `position` besides the row's [1, T]; what it makes of it is cut off again."""

    def give(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if "position_ids" in kwargs:
            return args, {**kwargs, "position_ids": _longer(kwargs["position_ids"], position)}
        states, positions, *others = args
        return (states, _longer(positions, position), *others), kwargs

    def cut(_: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        return tuple(part[:, :-1] for part in out)

    handles = [module.register_forward_pre_hook(give, with_kwargs=True), module.register_forward_hook(cut)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _longer(positions: torch.Tensor, position: int) -> torch.Tensor:
    return torch.cat([positions, positions.new_full((*positions.shape[:-1], 1), position)], dim=-1)
