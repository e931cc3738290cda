"""Keys and values that outlive a layer: of shared prompt beginnings, of long documents, and of a pass for its next.

The store is bounded in bytes and drops what was used longest ago. Its key is the whole token path from the root,
beside the model and the prompt version: nothing that a tenant sent is ever shared but by equality of all of it. Where
a tenant names a key of its own (`prompt_cache_key`), that is part of the store's, and nothing is shared with others.
What is stored is a copy, so that a pass's own tensors can go.

Axes: G key-value heads, T row tokens, P kept tokens, n tokens of a span, D head size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Layers = list[tuple[Tensor, Tensor]]  # of each layer: keys and values, [G, n, D] each
Key = tuple[tuple[int, ...], ...]  # the tokens of each span from the root


@dataclass(slots=True, eq=False, weakref_slot=True)
class HeldPrefix:
    """Keys and values of a beginning that is read in chunks, in tensors that hold all of it from the first one on.

    Attributes:
        tokens: of all of it.
        layers: of each layer, keys and values [G, tokens, D], filled as far as it is read.
    """

    tokens: int
    layers: Layers = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """Of all tensors."""
        return sum(tensor.numel() * tensor.element_size() for pair in self.layers for tensor in pair)

    def put(self, at: int, chunk: Layers) -> None:
        """Take a chunk's keys and values, whose first token is the `at`-th."""
        if not self.layers:
            self.layers = [
                (_all_of(keys, self.tokens), _all_of(values, self.tokens)) for keys, values in chunk
            ]  # fmt: skip
        for whole, part in zip(self.layers, chunk, strict=True):
            for into, tensor in zip(whole, part, strict=True):
                into[:, at : at + tensor.shape[1]] = tensor

    def span(self, start: int, stop: int) -> Layers:
        """Views of the tokens from `start` to `stop`."""
        return [(keys[:, start:stop], values[:, start:stop]) for keys, values in self.layers]


def _all_of(part: Tensor, tokens: int) -> Tensor:
    return part.new_empty(part.shape[0], tokens, part.shape[2])


@dataclass(slots=True)
class PrefixStore:
    """Spans' keys and values by token path, least recently used out first.

    Attributes:
        max_bytes: what all entries may take; 0 keeps nothing.
        hits, misses: spans found and not found since the start.
    """

    max_bytes: int
    hits: int = 0
    misses: int = 0
    bytes: int = 0
    _entries: OrderedDict[Key, Layers] = field(default_factory=OrderedDict)

    def get(self, path: Key) -> Layers | None:
        """The layers of the span at the end of `path`, or None."""
        layers = self._entries.get(path)
        if layers is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(path)
        return layers

    def put(self, path: Key, layers: Layers) -> bool:
        """Keep a span, at the price of those used longest ago; whether it is: one larger than the store is not."""
        size = sum(tensor.numel() * tensor.element_size() for pair in layers for tensor in pair)
        if size > self.max_bytes or path in self._entries:
            return path in self._entries
        while self.bytes + size > self.max_bytes:
            _, old = self._entries.popitem(last=False)
            self.bytes -= sum(tensor.numel() * tensor.element_size() for pair in old for tensor in pair)
        self._entries[path] = layers
        self.bytes += size
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)


class PassCache:
    """What a model's layers call in place of transformers' cache: shows kept tokens to a layer, and takes copies of
    spans.

    It holds nothing else of the pass, so the keys and values of all other tokens go with their layer.
    """

    def __init__(self, kept: Sequence[Layers], wanted: Mapping[int, tuple[int, int]]) -> None:
        """Take the kept spans in the order of their offsets, and start and stop in the row of each span to copy."""
        self._kept = kept
        self._wanted = wanted
        self._kept_tokens = sum(span[0][0].shape[1] for span in kept)
        self.taken: dict[int, Layers] = {span: [] for span in wanted}

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """keys and values [1, G, T, D] of the row → [1, G, P + T, D] with the kept tokens before them."""
        for span, (start, stop) in self._wanted.items():
            self.taken[span].append((keys[0, :, start:stop].clone(), values[0, :, start:stop].clone()))
        if not self._kept:
            return keys, values
        return (
            _behind([span[layer][0] for span in self._kept], keys),
            _behind([span[layer][1] for span in self._kept], values),
        )

    def get_seq_length(self, *_: object) -> int:
        """Tokens before the row, for models that ask; positions and masks do not come from it."""
        return self._kept_tokens

    def get_query_offset(self, *_: object) -> int:
        """Of a mask, where its rows begin."""
        return self._kept_tokens

    def get_mask_sizes(self, rows: int, *_: object) -> tuple[int, int]:
        """Of a mask, its columns, and where they begin."""
        return self._kept_tokens + rows, 0


def _behind(kept: Sequence[Tensor], row: Tensor) -> Tensor:
    """The row [1, G, T, D] behind kept tokens [G, ·, D], in the row's own layout.

    Where a token's heads lie side by side, as projections leave them, whoever attends wants them so: joined head by
    head and turned back, they were 25 of 1,544 ms of a job on an H200.
    """
    parts = [*(tokens[None] for tokens in kept), row]
    if row.stride(1) < row.stride(2):
        return torch.cat([part.transpose(1, 2) for part in parts], dim=1).transpose(1, 2)
    return torch.cat(parts, dim=2)
