"""Rows of text that are written on side by side, each behind a prompt of its own: their cache, and how layers attend.

A row's place in the cache is its position in the text, so rows of any lengths lie side by side without padding, and
what a layer's rule hides (a window, a chunk) is a matter of two positions in each row by itself. Places that are not
written yet hold zeros and are seen by nobody.

Which rules a model's layers have is asked in the first step; later steps ask for them in the same order, so that
nothing is looked up while a step is recorded.

Axes: B rows, n tokens of each in this step, H query heads, G key-value heads, R = H / G, L places, D head size, E that
of values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pinpoint.engine.forward.blocks import Extras, sink_weight
from pinpoint.engine.forward.prefix_cache import Layers
from pinpoint.engine.forward.rules import Mask, Rule, find_rule, unknown_mask


@dataclass(slots=True)
class Written:
    """One step of rows that are written on.

    Attributes:
        positions: [B, n] of the step's tokens.
        places: of the cache that layers see.
        longest: that they will ever see.
        rules: of the masks that the model makes in a step, in their order, once a step was made; None of one that none
            of its layers may take.
    """

    positions: Tensor
    places: int
    longest: int
    rules: list[Rule | None] = field(default_factory=list)
    _first: bool = True
    _asked: int = 0
    _seen: dict[Rule, Tensor] = field(default_factory=dict)

    def next_step(self, positions: Tensor, places: int) -> None:
        """Go on to the next step."""
        self.positions, self.places = positions, places
        self._first, self._asked = False, 0
        self._seen.clear()

    def mask(self, function: Callable[..., Any], rows: int) -> Tensor:
        """What a model that makes a mask is given for it."""
        if self._first:
            self.rules.append(find_rule(function, self.longest, self.positions.device))
        self._asked += 1
        if self._asked > len(self.rules):
            raise unknown_mask()
        rule = self.rules[self._asked - 1]
        return Mask.of(rule, rows, self.places) if rule else torch.empty(1, 1, rows, self.places, device="meta")

    def forget(self) -> None:
        """Let go what was made for this step."""
        self._seen.clear()

    def seen(self, rule: Rule) -> Tensor:
        """[B, 1, n, L] whether a layer of this rule sees a place."""
        if rule not in self._seen:
            at = self.positions[:, None, :, None]
            of = torch.arange(self.places, device=at.device)[None, None, None, :]
            seen = of <= at
            if rule.window is not None:
                seen &= at - of < rule.window
            if rule.other is not None:
                first = torch.zeros((), dtype=torch.int64, device=at.device)
                seen &= rule.other(first, first, at, of)
            self._seen[rule] = seen
        return self._seen[rule]


_written: ContextVar[Written | None] = ContextVar("the step of rows that are written on", default=None)


def current() -> Written | None:
    """The step that layers attend in, within `writing`."""
    return _written.get()


@contextmanager
def writing(written: Written) -> Iterator[None]:
    """Within the block, the layers of a model attend as the rows of `written` do."""
    token = _written.set(written)
    try:
        yield
    finally:
        _written.reset(token)


def attend(
    written: Written, query: Tensor, key: Tensor, value: Tensor, rule: Rule, scale: float, extras: Extras
) -> Tensor:
    """query [B, H, n, D], key [B, G, L, D] and value [B, G, L, E] → [B, n, H, E].

    The heads of a group are rows of one product with its keys, which are never repeated.
    """
    rows, heads, tokens, _ = query.shape
    groups, width = key.shape[1], value.shape[-1]
    states = query.reshape(rows, groups, heads // groups * tokens, -1)  # [B, G, R · n, D]
    seen = written.seen(rule)
    seen = seen.expand(-1, -1, heads // groups, -1) if tokens == 1 else seen.repeat(1, 1, heads // groups, 1)
    if extras.sinks is None and extras.softcap is None:
        out = F.scaled_dot_product_attention(states, key, value, attn_mask=seen, scale=scale)
    else:
        out = _with_extras(states, key, value, seen, scale, extras)
    return out.reshape(rows, heads, tokens, width).transpose(1, 2).contiguous()


def _with_extras(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scale: float, extras: Extras) -> Tensor:
    """`attend` for query [B, G, R · n, D], in float32, with sinks or a cap."""
    scores = torch.matmul(query.float(), key.float().transpose(2, 3)).mul_(scale)  # [B, G, R · n, L]
    if extras.softcap is not None:
        scores = scores.div_(extras.softcap).tanh_().mul_(extras.softcap)
    scores = scores.masked_fill_(~seen, -torch.inf)
    lse = torch.logsumexp(scores, dim=-1)  # [B, G, R · n]
    out = torch.matmul(scores.sub_(lse[..., None]).exp_(), value.float())
    if extras.sinks is not None:
        by_group = extras.sinks.reshape(key.shape[1], -1, 1)  # [G, R, 1]
        by_head = lse.view(*lse.shape[:2], by_group.shape[1], -1)  # [B, G, R, n]
        out *= sink_weight(by_head, by_group).flatten(2)[..., None]
    return out.to(value.dtype)


class RowCache:
    """Keys and values of rows side by side; what a model's layers call in place of transformers' cache.

    Attributes:
        keys, values: of each layer, [B, G, L, D] and [B, G, L, E].
    """

    def __init__(self, keys: list[Tensor], values: list[Tensor], numbers: Tensor) -> None:
        """Over tensors of whatever content; `fill` comes next. `numbers` [B, 1] are those of the rows."""
        self.keys, self.values = keys, values
        self._rows = numbers

    @staticmethod
    def of(like: Layers, rows: int, places: int) -> RowCache:
        """A cache of its own for keys and values such as these."""
        pairs = [tuple(x.new_empty(rows, x.shape[0], places, x.shape[2]) for x in pair) for pair in like]
        numbers = torch.arange(rows, device=like[0][0].device)[:, None]
        return RowCache([keys for keys, _ in pairs], [values for _, values in pairs], numbers)

    def fill(self, rows: Sequence[Sequence[Layers]]) -> None:
        """Copy the keys and values of each row's spans, from the root, to its beginning; all else is zero."""
        for which, held in enumerate((self.keys, self.values)):
            for layer, tensor in enumerate(held):
                tensor.zero_()
                for row, spans in zip(tensor, rows, strict=False):
                    start = 0
                    for span in spans:
                        stop = start + span[layer][which].shape[1]
                        row[:, start:stop] = span[layer][which]
                        start = stop

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """keys and values [B, G, n, ·] of a step → [B, G, L, ·] of all places that it may see."""
        step = current()
        assert step is not None, "rows are written within `writing`"
        for held, new in ((self.keys[layer], keys), (self.values[layer], values)):
            held.transpose(1, 2)[self._rows, step.positions] = new.transpose(1, 2)  # [B, n, G, ·]
        return self.keys[layer][:, :, : step.places], self.values[layer][:, :, : step.places]

    def move(self, rows: Tensor) -> None:
        """Have these rows be the first ones, where they lie."""
        for held in (*self.keys, *self.values):
            held[: len(rows)] = held[rows]

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, in tensors of their own."""
        for layer in range(len(self.keys)):
            self.keys[layer], self.values[layer] = self.keys[layer][rows], self.values[layer][rows]
        self._rows = self._rows[: len(rows)]

    def get_seq_length(self, *_: object) -> Tensor:
        """Tokens before the step, for models that ask; positions and masks do not come from it."""
        return self._step().positions[0, 0]

    def get_query_offset(self, *_: object) -> int:
        """Of a mask, where its rows begin; what rows see is told by `Written`."""
        return 0

    def get_mask_sizes(self, rows: int, *_: object) -> tuple[int, int]:
        """Of a mask, its columns, and where they begin."""
        return self._step().places, 0

    def _step(self) -> Written:
        step = current()
        assert step is not None, "rows are written within `writing`"
        return step
