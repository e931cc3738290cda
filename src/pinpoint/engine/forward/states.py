"""The state of a prompt's last token, from which a model is about to answer, as a few numbers.

A head that was taught looks at them beside the labels' scores (`decide/calibration.py`). They are a projection by fixed
random signs, which keeps distances (Johnson and Lindenstrauss; Achlioptas 2003), so that a task file is small whatever
the model's width:

    f = S · round(256 · h / rms h) / (256 √H)        S [STATE_FLOATS, H] of ±1

All sums are of whole numbers below 2²⁴, which float32 holds: the same state has the same numbers in any batch.

Axes: A asks, R rows whose logits are wanted, H hidden.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.readings import STATE_FLOATS
from pinpoint.prompting.span_tree import Ask

_STEPS = 256


class States:
    """What is wanted of a pass, and what was found: by the index of the ask."""

    def __init__(self, asks: Sequence[Ask]) -> None:
        self.found = dict[int, tuple[float, ...]]()
        self._wanted = [index for index, ask in enumerate(asks) if ask.state]

    def take(self, row: PackedRow, hidden: Tensor) -> None:
        """Read them off `hidden` [R, H]: the first lookup of every label is at its prompt's last token."""
        if self._wanted:
            first_terms = np.cumsum(row.label_terms) - row.label_terms
            terms = row.terms[first_terms[(np.cumsum(row.labels) - row.labels)[self._wanted]]]
            states = projected(hidden[row.lookups[terms, 0].tolist()].float().cpu().numpy())
            self.found.update(zip(self._wanted, map(tuple, states.tolist()), strict=True))


def projected(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """[A, STATE_FLOATS] of states [A, H]; of a state of zeros, zeros."""
    size = np.sqrt(np.mean(states.astype(np.float64) ** 2, axis=1, keepdims=True))
    whole = np.round(states * (_STEPS / np.maximum(size, 1e-30))).astype(np.float32)
    width = states.shape[1]
    return np.asarray(whole @ _signs(width) / np.float32(_STEPS * width**0.5))


@lru_cache(maxsize=1)
def _signs(width: int) -> NDArray[np.float32]:
    """[H, STATE_FLOATS] of ±1, the same on every machine."""
    bits = np.frombuffer(hashlib.shake_256(b"pinpoint states").digest(STATE_FLOATS * width // 8 + 1), dtype=np.uint8)
    signs = np.unpackbits(bits)[: STATE_FLOATS * width].reshape(STATE_FLOATS, width)
    return np.ascontiguousarray((signs.astype(np.float32) * 2 - 1).T)
