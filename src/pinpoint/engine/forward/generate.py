"""Rationales after answers: greedy tokens from the keys and values that scoring the documents left behind.

Rationales are written together, a token of each in a step: most of what a step takes is the reading of weights, which
is the same for one row and for many. Each row is behind a prompt of its own (`written.py`), and its tokens are those
that it would have alone. Rows that have stopped are left out at the next look.

A step of one token is a thousand small kernels that take the host longer to ask for than the device to run: 32 ms a
token against 7 on an H200 with Mixtral 8x7B in 8 bits. So on CUDA a step is recorded as a graph and replayed, over a
cache of fixed size whose filled part grows (`steps.py`); elsewhere the same step is simply called.

Axes: B rows, n tokens that a step reads of each, L places of the cache, G key-value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinpoint.engine.forward import frequencies
from pinpoint.engine.forward.head import decoder
from pinpoint.engine.forward.prefix_cache import Layers
from pinpoint.engine.forward.steps import ROWS, RecordedSteps, State, Step
from pinpoint.engine.forward.written import RowCache, Written, writing
from pinpoint.engine.weights import experts, fp8
from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from pinpoint.prompting.template import Piece

MOST_TOKENS = 96
# Tokens between two looks at which rows have stopped: each look waits for the device.
LOOK_EVERY = 8
# The places of a row are a multiple of this, which attention's kernels like.
PLACES_STEP = 16


def reason_opening() -> Iterator[Piece]:
    """What follows the answer so that the model goes on to give its reason."""
    yield Piece("\nReason:", True)


@dataclass(frozen=True, slots=True)
class Begun:
    """A text that is to be gone on with.

    Attributes:
        prompt: token ids whose keys and values `layers` holds, span by span, from the root.
        answer: token ids that follow it; at least one.
        layers: of each span, of each layer, keys and values [G, n, D].
    """

    prompt: Sequence[int]
    answer: Sequence[int]
    layers: Sequence[Layers]

    @property
    def tokens(self) -> int:
        """Of prompt and answer."""
        return len(self.prompt) + len(self.answer)

    @property
    def places(self) -> int:
        """That its row takes in a cache: what it needs, rounded up to quarters of a power of two."""
        needed = self.tokens + MOST_TOKENS
        step = max(PLACES_STEP, 1 << needed.bit_length() - 3)
        return -(-needed // step) * step


def companies(rows: Sequence[Begun], most_places: int) -> list[list[int]]:
    """The rows that are written together, by index, the longest first; alike in length, since all take as many places.

    Each company takes up to `most_places` in all, but for a row that needs more by itself.
    """
    found = list[list[int]]()
    for index in sorted(range(len(rows)), key=lambda index: -rows[index].tokens):
        fits = found and len(found[-1]) < min(ROWS[-1], most_places // rows[found[-1][0]].places)
        if fits:
            found[-1].append(index)
        else:
            found.append([index])
    return found


@torch.inference_mode()
def write_together(
    model: PreTrainedModel, rows: Sequence[Begun], stop: int, long: bool = False,
    wanted: Callable[[int], bool] = lambda row: True, kept: RecordedSteps | None = None,
) -> list[list[int] | None]:  # fmt: skip
    """Up to `MOST_TOKENS` token ids after each text, without the stop token: those of transformers' `generate`.

    Args:
        model: the model that computed the keys and values.
        rows: one or more, of one company.
        stop: id of the token that ends the turn.
        long: whether they were computed with the frequencies of long prompts (`frequencies.py`). A reason behind a
            short one ends where these would begin.
        wanted: whether somebody still waits for a row; asked at each look.
        kept: steps recorded before, and the cache that they are over; where it is None, none is recorded.

    Returns:
        By row; None where nobody waited any more.
    """
    limit = None if long else frequencies.short_tokens(model)
    most = [MOST_TOKENS if limit is None else min(MOST_TOKENS, limit - row.tokens) for row in rows]
    found: list[list[int] | None] = [[] for _ in rows]
    going = [row for row in range(len(rows)) if most[row] > 0]
    if not going:
        return found
    with frequencies.of_long_prompts(model) if long else nullcontext():
        writer, at = _Writer(model, [rows[row] for row in going], [most[row] for row in going], kept), going
        while going:
            new = writer.write(min(LOOK_EVERY, max(most[row] for row in going) - writer.given))
            for row, tokens in zip(at, new, strict=True):
                if row in going:
                    found[row] = _until(stop, [*(found[row] or ()), *tokens][: most[row]]) if wanted(row) else None
            going = [row for row in going if (told := found[row]) is not None and writer.given == len(told) < most[row]]
            if 0 < len(going) < len(at):
                at = [at[place] for place in writer.keep([at.index(row) for row in going])]
    return found


def _until(stop: int, tokens: list[int]) -> list[int]:
    return tokens[: tokens.index(stop)] if stop in tokens else tokens


class _Writer:
    """Writes tokens of rows, one of each after the other.

    Attributes:
        given: tokens of each row that were asked for.
    """

    def __init__(
        self, model: PreTrainedModel, rows: Sequence[Begun], most: Sequence[int], kept: RecordedSteps | None
    ) -> None:
        self.model, self._like = model, rows[0].layers[0]
        self._places, self._rows = max(row.places for row in rows), len(rows)
        self._filled = max(row.tokens for row in rows)
        self._records, self._kept = kept is not None and records(model), kept
        self._size = kept.size(len(rows), self._places) if kept is not None and self._records else None
        if kept is not None and self._size is not None:
            kept.take(self._like, MOST_TOKENS)
            self._cache, self.state = kept.cache(self._like, self._size), kept.state(self._size)
        else:
            self._cache = RowCache.of(self._like, len(rows), self._places)
            self.state = State.of(len(rows), MOST_TOKENS, model.device)
        self._cache.fill([row.layers for row in rows])
        self._begin(rows, most)
        self._records &= all(rule is None or rule.other is None for rule in self.step.rules)
        self._known, self.given = 1, 0
        self._find_step()

    def _begin(self, rows: Sequence[Begun], most: Sequence[int]) -> None:
        """The first token of each row. Rows beyond those that were asked for read one place again and again.

        Rows whose answers are shorter read the end of their prompts once more, so that all read as many tokens; where a
        prompt is shorter than that, its first token as often as it takes, at its own place.
        """
        device, dummies = self.model.device, len(self.state.token) - len(rows)
        firsts = torch.tensor([*(row.tokens for row in rows), *[0] * dummies], device=device)[:, None]  # [B, 1]
        count = max(len(row.answer) for row in rows)
        tokens = [_end_of(row, count) for row in (*rows, *[rows[0]] * dummies)]
        positions = (firsts + torch.arange(-count, 0, device=device)).clamp_(min=0)  # [B, n]
        self.step = Written(positions, self._filled, self._places)
        self.state.token.copy_(self._following(torch.tensor(tokens, device=device)))
        self.state.position.copy_(firsts)
        # A row that has all its tokens stays where it is: behind it are no places, or other frequencies.
        lasts = [*(row.tokens + allowed - 1 for row, allowed in zip(rows, most, strict=True)), *[0] * dummies]
        self.state.last.copy_(torch.tensor(lasts, device=device)[:, None])
        self.state.written[:, :1] = self.state.token
        self.state.count.fill_(1)

    def _find_step(self) -> None:
        """The recorded step, where there is one; else the next two are called and recorded."""
        known = self._kept.known(self._size) if self._kept is not None and self._size and self._records else None
        self._replay, self._called = known, False

    def write(self, count: int) -> list[list[int]]:
        """The next `count` tokens of each row."""
        before, self.given = self.given, self.given + count
        while self._known < self.given:
            if self._replay is None and self._called and self._kept is not None and not self._kept.failed:
                self._replay = self._recorded(self._kept) if self._records else None
            if self._replay is not None:
                self._replay()
            else:
                self._forward()  # the first by itself: what compiles and allocates on first use may not be recorded
                self._called = True
            self._known += 1
        tokens: list[list[int]] = self.state.written[: self._rows, before : self.given].tolist()
        return tokens

    def keep(self, rows: list[int]) -> list[int]:
        """Go on with these rows alone, where that is possible; returns those that are gone on with."""
        chosen = torch.tensor(rows, device=self.model.device)
        if not self._records:
            self._cache.keep(chosen)
            state = self.state
            self.state = State(
                state.token[chosen], state.position[chosen], state.last[chosen], state.written[chosen], state.count
            )
        else:  # over tensors that stay where they are
            smaller = self._kept.size(len(rows), self._places) if self._kept is not None and self._size else None
            if self._kept is None or smaller is None or smaller == self._size:
                return list(range(self._rows))
            self._cache.move(chosen)
            self.state.move(chosen)
            self._size = smaller
            self._cache, self.state = self._kept.cache(self._like, smaller), self._kept.state(smaller)
            self._find_step()
        self._rows = len(rows)
        return rows

    def _forward(self) -> None:
        state = self.state
        self._filled += 1
        self.step.next_step(state.position, self._places if self._records else min(self._filled, self._places))
        following = self._following(state.token)
        state.position.copy_(torch.minimum(state.position + 1, state.last))
        state.token.copy_(following)
        state.written.index_copy_(1, state.count, following)
        state.count.add_(1)

    def _following(self, tokens: Tensor) -> Tensor:
        """[B, 1]: the likeliest token of each row after `tokens` [B, n]."""
        with writing(self.step):
            states = decoder(self.model)(
                tokens, position_ids=self.step.positions, past_key_values=self._cache, use_cache=False
            ).last_hidden_state
        self.step.forget()
        logits = self.model.get_output_embeddings()(states[:, -1:])
        following: Tensor = logits.argmax(dim=-1)
        return following

    def _recorded(self, kept: RecordedSteps) -> Step | None:
        return kept.record(self._size, self._forward) if self._size else kept.record_once(self._forward)


def _end_of(row: Begun, count: int) -> list[int]:
    tokens = [*row.prompt[-count:], *row.answer][-count:]
    return [*[row.prompt[0]] * (count - len(tokens)), *tokens]


def records(model: PreTrainedModel) -> bool:
    """Whether a step can be recorded: on CUDA, and nothing in it waits for the device.

    8-bit experts wait for nothing, be their tokens few or some (`weights/experts.py`), and those in FP8 never do.
    """
    if model.device.type != "cuda" or frequencies.looks(model):
        return False
    mixture = any(
        all(isinstance(getattr(module, name, None), nn.Parameter) for name in EXPERT_WEIGHTS)
        for module in model.modules()
    )
    return not mixture or (model.config._experts_implementation in (experts.NAME, fp8.METHOD) and kernels_work())
