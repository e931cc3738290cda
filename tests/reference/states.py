"""States, one forward pass and one sum each: `pinpoint.engine.forward.states` reads them off a packed pass."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel


@torch.inference_mode()
def last_state(plain: PreTrainedModel, prompt: Sequence[int]) -> list[float]:
    """[hidden] of the prompt's last token, as it goes into the head."""
    out = plain(input_ids=torch.tensor([list(prompt)]), use_cache=False, output_hidden_states=True)
    values: list[float] = out.hidden_states[-1][0, -1].double().tolist()
    return values


def projected(state: Sequence[float], floats: int, steps: int | None = None) -> list[float]:
    """Sums of it under signs: those are the bits of a hash, the highest of each byte first. With `steps`, its numbers
    are rounded to so many for each of the usual length.
    """
    width = len(state)
    size = math.sqrt(math.fsum(one * one for one in state) / width)
    if steps:
        state = [round(one / size * steps) / steps * size for one in state]
    digest = hashlib.shake_256(b"pinpoint states").digest(floats * width // 8 + 1)
    found = []
    for place in range(floats):
        bits = (digest[bit // 8] >> (7 - bit % 8) & 1 for bit in range(place * width, (place + 1) * width))
        found.append(math.fsum(one if bit else -one for one, bit in zip(state, bits, strict=True)))
    return [one / size / math.sqrt(width) if size else 0.0 for one in found]
