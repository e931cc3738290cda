"""A rationale after the answer: greedy tokens from the keys and values that scoring the document left behind.

A step of one token is a thousand small kernels that take the host longer to ask for than the device to run: 32 ms a
token against 7 on an H200 with Mixtral 8x7B in 8 bits. So on CUDA one step is recorded as a graph and replayed, over a
cache of fixed size whose filled part grows; elsewhere the same step is simply called.

The first step, over the answer, is given no mask, so that the model makes its own, and it is noted what its layers ask
of attention. Where that is no more than to see what precedes, the steps behind it are given one mask for all layers,
and may be recorded. A model with windows, sinks or a cap goes on making its own, unrecorded.

Axes: n answer tokens, L places of the cache, G key-value heads, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel
from transformers.cache_utils import StaticLayer

from pinpoint.engine.forward import attention, frequencies
from pinpoint.engine.forward.head import decoder
from pinpoint.engine.forward.prefix_cache import Layers
from pinpoint.engine.weights import experts
from pinpoint.engine.weights.int8_product import kernels_work
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from pinpoint.prompting.template import Piece

MOST_TOKENS = 96
# Tokens between two looks at whether the model has stopped: each look waits for the device.
LOOK_EVERY = 8


def reason_opening() -> Iterator[Piece]:
    """What follows the answer so that the model goes on to give its reason."""
    yield Piece("\nReason:", True)


@torch.inference_mode()
def continue_greedily(
    model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int], stop: int, layers: Sequence[Layers],
    long: bool = False,
) -> list[int]:  # fmt: skip
    """Up to `MOST_TOKENS` token ids after prompt and answer, without the stop token: those of transformers' `generate`.

    Args:
        model: the model that computed `layers`.
        prompt: token ids whose keys and values `layers` holds, span by span, from the root.
        answer: token ids that follow it; at least one.
        stop: id of the token that ends the turn.
        layers: of each span, of each layer, keys and values [G, n, D].
        long: whether they were computed with the frequencies of long prompts (`frequencies.py`). A reason behind a
            short one ends where these would begin.
    """
    limit = None if long else frequencies.short_tokens(model)
    most = MOST_TOKENS if limit is None else min(MOST_TOKENS, limit - len(prompt) - len(answer))
    with frequencies.of_long_prompts(model) if long else nullcontext():
        writer = _Writer(model, len(prompt), answer, layers)
        written: list[int] = []
        while len(written) < most and stop not in written:
            written += writer.write(min(LOOK_EVERY, most - len(written)))
    return written[: written.index(stop)] if stop in written else written


class _Writer:
    """Writes tokens one after the other into a cache of fixed size.

    All that changes from step to step is in three tensors that stay where they are: the token that comes next, its
    position, and the tokens written so far.
    """

    def __init__(
        self, model: PreTrainedModel, prompt_tokens: int, answer: Sequence[int], layers: Sequence[Layers]
    ) -> None:
        self.model, device = model, model.device
        first = prompt_tokens + len(answer)
        places = first + MOST_TOKENS
        self.cache = Cache(layers=[StaticLayer(max_cache_len=places) for _ in layers[0]])
        for layer in range(len(layers[0])):
            keys, values = (torch.cat([span[layer][i] for span in layers], dim=1)[None] for i in (0, 1))
            self.cache.update(keys, values, layer)
        self.places = torch.arange(places, device=device)
        self._plain = False
        self.first = first
        positions = torch.arange(prompt_tokens, first, device=device)
        asked = attention.Written(places)
        with attention.noting(asked):
            self.token = self._following(torch.tensor([list(answer)], device=device), positions)  # [1, 1]
        self._plain = asked.plain
        self.position = torch.full((1,), first, device=device)
        self.written = torch.zeros(MOST_TOKENS, dtype=torch.int64, device=device)
        self.written[:1] = self.token[0]
        self._known, self._given = 1, 0
        self._step: Callable[[], object] | None = None

    def write(self, count: int) -> list[int]:
        """The next `count` tokens."""
        before, self._given = self._given, self._given + count
        while self._known < self._given:
            if self._step is None:
                self._forward()  # the first by itself: what compiles and allocates on first use may not be recorded
                self._step = self._recorded() if self._plain and records(self.model) else self._forward
            else:
                self._step()
            self._known += 1
        tokens: list[int] = self.written[before : self._given].tolist()
        return tokens

    def _forward(self) -> None:
        following = self._following(self.token, self.position)
        self.position.add_(1)
        self.token.copy_(following)
        self.written.index_copy_(0, self.position - self.first, following[0])

    def _following(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[1, 1]: the likeliest token after `tokens` [1, n] at `positions` [n]."""
        seen = (self.places <= positions[:, None])[None, None] if self._plain else None  # [1, 1, n, L]
        states = decoder(self.model)(
            tokens, attention_mask=seen, position_ids=positions[None], past_key_values=self.cache, use_cache=True
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


def records(model: PreTrainedModel) -> bool:
    """Whether a step of one token can be recorded: on CUDA, and nothing in it waits for the device."""
    if model.device.type != "cuda" or frequencies.looks(model):
        return False
    mixture = any(
        all(isinstance(getattr(module, name, None), nn.Parameter) for name in EXPERT_WEIGHTS)
        for module in model.modules()
    )
    return not mixture or (model.config._experts_implementation == experts.NAME and kernels_work())
