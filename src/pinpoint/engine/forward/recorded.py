"""Small passes on CUDA, recorded in pieces: all of a pass but attention depends on the number of its tokens alone.

A pass of a thousand tokens is some thousands of kernels, which the host takes longer to ask for than the device to run.
So the model's own forward pass is recorded once for each of a few lengths, cut where a layer attends: a piece ends with
queries, keys and values in buffers that all layers share, and the next begins with what attention made of them. To run
a row, its tokens are padded to the next length, and between the pieces attention is computed as in any pass, by the
row's own table. Nothing runs while a piece is recorded, so it takes no row to record one.

Padding costs the difference to the next length. What stands in its rows nobody reads, and no row sees another but by
attention.

Axes: T tokens of a row, L those of a recorded length, H query heads, G key-value heads, D head size, E that of values.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.engine.forward import attention, frequencies, generate
from pinpoint.engine.forward.graphs import Tape
from pinpoint.engine.forward.head import decoder
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.rules import EVERYTHING, Mask
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.errors import ModelError
from pinpoint.planning.activations import RECORDED_LENGTHS

log = logging.getLogger("pinpoint")


@dataclass(slots=True)
class _Recording:
    """The pieces of one length; between them, the numbers of the layers that attend and the factors of their scores."""

    pieces: list[Any] = field(default_factory=list)
    layers: list[tuple[int, float]] = field(default_factory=list)


class Recorder:
    """Records the passes of a model, and runs rows by what is recorded."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._recorded: dict[int, _Recording] = {}
        self._buffers: dict[str, Tensor] = {}

    @torch.inference_mode()
    def record(self, most_tokens: int) -> list[int]:
        """Record the lengths up to `most_tokens`, and say which: none of a model that waits for the device, or whose
        layers attend otherwise.
        """
        self._recorded.clear()
        self._buffers.clear()
        lengths = [length for length in RECORDED_LENGTHS if length <= most_tokens]
        if not lengths or not recordable(self.model):
            return []
        self._ids = torch.zeros(2, 1, RECORDED_LENGTHS[-1], dtype=torch.int64, device=self.model.device)
        pool = torch.cuda.graph_pool_handle()
        for length in reversed(lengths):  # the longest takes the memory that the others find there
            try:
                self._recorded[length] = self._record(length, pool)
            except (ModelError, RuntimeError) as error:
                torch.cuda.synchronize(self.model.device)  # a device that has failed says so here
                log.warning("passes of %d tokens are not recorded: %s", length, str(error).split("\n")[0][:200])
                break
        if not self._recorded:
            self._buffers.clear()
        return sorted(self._recorded)

    def takes(self, row: PackedRow) -> bool:
        """Whether a row is run by what is recorded."""
        return self._length_of(row) is not None

    def run(self, row: PackedRow, table: SpanTable, cache: PassCache) -> Tensor:
        """The hidden states [T, hidden] of a row that `takes` says yes to; the next row's are written over them."""
        length, tokens = self._length_of(row), len(row.tokens)
        assert length is not None, "asked before"
        recording = self._recorded[length]
        ids = np.zeros((2, length), dtype=np.int64)
        ids[:, :tokens] = row.tokens, row.positions
        self._ids[:, 0, :length].copy_(torch.from_numpy(ids))
        query, key, value = (self._buffers[name][:tokens].transpose(0, 1)[None] for name in ("query", "key", "value"))
        for piece, (layer, scale) in zip(recording.pieces, recording.layers, strict=False):
            piece.replay()
            keys, values = cache.update(key, value, layer)
            self._buffers["out"][:tokens].copy_(attention.over_forest(table, query, keys, values, scale)[0])
        recording.pieces[-1].replay()
        return self._buffers["hidden"][:tokens]

    def _length_of(self, row: PackedRow) -> int | None:
        return next((length for length in sorted(self._recorded) if length >= len(row.tokens)), None)

    def _record(self, length: int, pool: Any) -> _Recording:
        device, made, tape = self.model.device, _Recording(), Tape(pool)
        # What compiles and allocates on first use may not be recorded, and the buffers have their shapes from here.
        self._forward(length, lambda layer, scale, *states: self._keep(*states))
        torch.cuda.synchronize(device)

        def cut(layer: int, scale: float, *states: Tensor) -> Tensor:
            out = self._keep(*states)
            made.pieces.append(tape.cut())
            made.layers.append((layer, scale))
            return out

        with torch.cuda.device(device), tape.running():
            self._forward(length, cut)
            made.pieces.append(tape.end())
        return made

    def _forward(self, length: int, cut: attention.Cut) -> None:
        """The model's own pass over `length` tokens, cut where a layer attends; its result goes to its buffer."""
        with attention.cutting(cut):
            ids, positions = self._ids[:, :, :length]
            hidden = decoder(self.model)(
                input_ids=ids, attention_mask=Mask.of(EVERYTHING, length, length), position_ids=positions,
                past_key_values=PassCache([], {}), use_cache=False,
            ).last_hidden_state[0]  # fmt: skip
            self._buffer("hidden", hidden).copy_(hidden)

    def _keep(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Put [H, L, D], [G, L, D] and [G, L, E] into their buffers; the buffer [L, H, E] of what comes of them."""
        for name, states in (("query", query), ("key", key), ("value", value)):
            self._buffer(name, states.transpose(0, 1)).copy_(states.transpose(0, 1))
        return self._buffer("out", query.transpose(0, 1)[..., :1].expand(-1, -1, value.shape[-1]))

    def _buffer(self, name: str, like: Tensor) -> Tensor:
        """As many rows as `like` has of a buffer that all layers and lengths share, made for the longest."""
        if name not in self._buffers:
            shape = (RECORDED_LENGTHS[-1], *like.shape[1:])
            self._buffers[name] = torch.zeros(shape, dtype=like.dtype, device=like.device)
        return self._buffers[name][: len(like)]


def recordable(model: PreTrainedModel) -> bool:
    """Whether a pass of this model can be recorded: on CUDA, and nothing of it waits for the device."""
    return generate.records(model) and not frequencies.looks(model)
