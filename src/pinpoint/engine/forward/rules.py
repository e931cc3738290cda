"""What a layer hides of what its token's path holds: nothing, all but a window, or what else its model says.

A model makes its layers' masks with transformers' own functions, one for each kind of layer, and hands each layer its
own. For a forest none is made: where a model asks for one, it gets a `Mask` without data that names the *rule*, as a
function of two positions, and that finds its way to attention like any mask, whatever else a layer hands on. A mask
that comes out of another calculation is not a `Mask` any more, so that no rule of a model's own is ever missed.

Axes: n queries, m keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pinpoint.engine.forward.packing import Ints
from pinpoint.errors import ModelError


@dataclass(frozen=True, slots=True)
class Rule:
    """Which keys of its path a token sees, by their positions along it.

    Attributes:
        window: position p sees positions k ≤ p with p − k < window; None for all of them.
        other: a rule of neither kind, as transformers' mask functions are; called with positions on `device`.
        device: of what `other` computes with.
    """

    window: int | None = None
    other: Callable[..., Any] | None = None
    device: torch.device | None = None

    def seen(self, queries: Ints, keys: Ints) -> NDArray[np.bool_]:
        """[n, m] whether the rule lets a query at one position see a key of its path at another, earlier or equal."""
        if self.other is not None:
            first = torch.zeros((), dtype=torch.int64, device=self.device)
            at, of = (torch.from_numpy(positions).to(self.device) for positions in (queries, keys))
            found = self.other(first, first, at[:, None], of[None, :])
            return np.broadcast_to(found.cpu().numpy(), (len(queries), len(keys)))
        apart = queries[:, None] - keys[None, :]
        return apart < self.window if self.window is not None else np.ones_like(apart, dtype=np.bool_)


EVERYTHING = Rule()
# Of a mask function, so many rows are looked at to tell what it is; a window and a chunk differ in most of them.
ASKED_POSITIONS = 9


class Mask(Tensor):
    """Stands for a mask of rows × keys: has its shape, no data, and a rule. Whatever is computed of it has none."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    rule: Rule

    def __getitem__(self, index: Any) -> Tensor:
        """All of it is itself: a model that may leave rows out of its last layers (Gemma 4) asks for it in slices."""
        each = index if isinstance(index, tuple) else (index,)
        whole = all(isinstance(one, slice) and not one.start and one.stop is one.step is None for one in each)
        return self if whole else super().__getitem__(index)

    @staticmethod
    def of(rule: Rule, rows: int, keys: int) -> Mask:
        """A mask [1, 1, rows, keys]."""
        mask: Mask = torch.empty(1, 1, rows, keys, dtype=torch.bool, device="meta").as_subclass(Mask)
        mask.rule = rule
        return mask


def find_rule(function: Callable[..., Any], positions: int, device: torch.device) -> Rule | None:
    """The rule of a mask function of transformers for a pass whose longest path is `positions` tokens long.

    None where it is no such rule: a token does not see itself, or sees a later one, or more counts than two positions.
    """
    longest = np.arange(positions)
    asked = np.unique(np.linspace(0, positions - 1, ASKED_POSITIONS).astype(np.int64))
    given = Rule(other=function, device=device)
    try:
        seen = given.seen(asked, longest)
    except (IndexError, RuntimeError, TypeError, ValueError):
        return None
    before = longest[None, :] <= asked[:, None]
    if (seen & ~before).any() or not seen[np.arange(len(asked)), asked].all():
        return None
    if (seen == before).all():
        return EVERYTHING
    window = int(seen[-1].sum())
    if (seen == (before & (asked[:, None] - longest[None, :] < window))).all():
        return Rule(window)
    return given


def unknown_mask() -> ModelError:
    """A model whose layers hide tokens by a rule of their own."""
    return unsupported("its layers see tokens by a mask of the model's own")


def unsupported(what: str) -> ModelError:
    """A model whose attention is not computed."""
    return ModelError(
        "unsupported_attention", f"this model's attention is not one that Pinpoint computes: {what}; use another model",
        "MODEL_NAME",
    )  # fmt: skip
