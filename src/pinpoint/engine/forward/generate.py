"""Rationales after answers: greedy tokens from the keys and values that scoring the documents left behind.

Rationales are written together, a token of each in a step: most of what a step takes is the reading of weights, which
is the same for one row and for many. Each row is behind a prompt of its own (`written.py`), and its tokens are those
that it would have alone. Rows that have stopped are left out at the next look.

A step of one token is a thousand small kernels that take the host longer to ask for than the device to run: 32 ms a
token against 7 on an H200 with Mixtral 8x7B in 8 bits. So on CUDA a step is recorded as a graph and replayed, over a
cache of fixed size whose filled part grows; elsewhere the same step is simply called.

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
from pinpoint.engine.forward.written import RowCache, Written, writing
from pinpoint.engine.weights import experts, fp8
from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from pinpoint.prompting.template import Piece

MOST_TOKENS = 96
# Tokens between two looks at which rows have stopped: each look waits for the device.
LOOK_EVERY = 8
# Rows written together: beyond it a step of Mixtral's experts goes on growing with the rows.
MOST_ROWS = 32
# The places of a cache are a multiple of this, which attention's kernels like.
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
        """That its row needs in a cache."""
        return -(-(self.tokens + MOST_TOKENS) // PLACES_STEP) * PLACES_STEP


def companies(rows: Sequence[Begun], most_places: int) -> list[list[int]]:
    """The rows that are written together, by index, the longest first; alike in length, since all take as many places.

    Each company takes up to `most_places` in all, but for a row that needs more by itself.
    """
    found = list[list[int]]()
    for index in sorted(range(len(rows)), key=lambda index: -rows[index].tokens):
        fits = found and len(found[-1]) < min(MOST_ROWS, most_places // rows[found[-1][0]].places)
        if fits:
            found[-1].append(index)
        else:
            found.append([index])
    return found


@torch.inference_mode()
def write_together(
    model: PreTrainedModel, rows: Sequence[Begun], stop: int, long: bool = False,
    wanted: Callable[[int], bool] = lambda row: True,
) -> list[list[int] | None]:  # fmt: skip
    """Up to `MOST_TOKENS` token ids after each text, without the stop token: those of transformers' `generate`.

    Args:
        model: the model that computed the keys and values.
        rows: one or more, of one company.
        stop: id of the token that ends the turn.
        long: whether they were computed with the frequencies of long prompts (`frequencies.py`). A reason behind a
            short one ends where these would begin.
        wanted: whether somebody still waits for a row; asked at each look.

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
        writer, at = _Writer(model, [rows[row] for row in going], [most[row] for row in going]), going
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
    """Writes tokens of rows, one of each after the other, into a cache of fixed size.

    All that changes from step to step is in tensors that stay where they are: of each row the token that comes next,
    its position and the tokens written so far, and how many these are.

    Attributes:
        given: tokens of each row that were asked for.
    """

    def __init__(self, model: PreTrainedModel, rows: Sequence[Begun], most: Sequence[int]) -> None:
        self.model, device = model, model.device
        self._places = max(row.places for row in rows)
        self._filled = max(row.tokens for row in rows)
        self.cache = RowCache([row.layers for row in rows], self._places)
        firsts = torch.tensor([row.tokens for row in rows], device=device)[:, None]  # [B, 1]
        # Rows whose answers are shorter read the end of their prompts once more, so that all read as many tokens; where
        # a prompt is shorter than that, its first token as often as it takes, at its own place.
        count = max(len(row.answer) for row in rows)
        ends = torch.arange(-count, 0, device=device)
        positions = (firsts + ends).clamp_(min=0)  # [B, n]
        tokens = [_end_of(row, count) for row in rows]
        self.step = Written(positions, self._filled, self._places)
        self.token = self._following(torch.tensor(tokens, device=device))  # [B, 1]
        self.position = firsts
        # A row that has all its tokens stays where it is: behind it are no places, or other frequencies.
        self.last = firsts + torch.tensor(most, device=device)[:, None] - 1
        self.written = torch.zeros(len(rows), MOST_TOKENS, dtype=torch.int64, device=device)
        self.written[:, :1] = self.token
        self.count = torch.ones(1, dtype=torch.int64, device=device)
        self._known, self.given = 1, 0
        self._replay: Callable[[], object] | None = None
        self._records = records(model) and all(rule is None or rule.other is None for rule in self.step.rules)

    def write(self, count: int) -> list[list[int]]:
        """The next `count` tokens of each row."""
        before, self.given = self.given, self.given + count
        while self._known < self.given:
            if self._replay is not None:
                self._replay()
            elif self._records and self._known > 1:
                self._replay = self._recorded()
                self._replay()
            else:
                self._forward()  # the first by itself: what compiles and allocates on first use may not be recorded
            self._known += 1
        tokens: list[list[int]] = self.written[:, before : self.given].tolist()
        return tokens

    def keep(self, rows: list[int]) -> list[int]:
        """Go on with these rows alone, where that is possible; returns those that are gone on with."""
        if self._records:  # over tensors that stay where they are
            return list(range(len(self.token)))
        chosen = torch.tensor(rows, device=self.token.device)
        self.cache.keep(chosen)
        self.token, self.position = self.token[chosen], self.position[chosen]
        self.last, self.written = self.last[chosen], self.written[chosen]
        return rows

    def _forward(self) -> None:
        self._filled += 1
        self.step.next_step(self.position, self._places if self._records else min(self._filled, self._places))
        following = self._following(self.token)
        self.position.copy_(torch.minimum(self.position + 1, self.last))
        self.token.copy_(following)
        self.written.index_copy_(1, self.count, following)
        self.count.add_(1)

    def _following(self, tokens: Tensor) -> Tensor:
        """[B, 1]: the likeliest token of each row after `tokens` [B, n]."""
        with writing(self.step):
            states = decoder(self.model)(
                tokens, position_ids=self.step.positions, past_key_values=self.cache, use_cache=False
            ).last_hidden_state
        logits = self.model.get_output_embeddings()(states[:, -1:])
        following: Tensor = logits.argmax(dim=-1)
        return following

    def _recorded(self) -> Callable[[], object]:
        graph = torch.cuda.CUDAGraph()
        # Of other threads' work on the device only this one's is recorded, and none of theirs is forbidden.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._forward()
        return graph.replay


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
