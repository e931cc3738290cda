"""The slow twin of the kernel of tiles: what it makes of the numbers that it is given, a row at a time.

It knows nothing of spans or tries: only each tile's rows, the runs of its path, where its own keys begin, and up to
which row a key is seen.

Axes: H query heads, G key-value heads, T row tokens, P tokens kept from an earlier pass, D head size.
"""

import torch
from torch import Tensor

from pinpoint.engine.forward.tiles import Tiles


def slow_attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, tiles: Tiles, out: Tensor,
    sinks: Tensor | None = None, softcap: float | None = None,
) -> None:  # fmt: skip
    """query [H, T, D] against key and value [G, P + T, D]: writes the tiles' rows of `out` [T, H, D], in float64."""
    sharing = len(query) // len(key)
    for first, last, path, path_end, own in tiles.tiles.tolist():
        for token in range(first, last):
            here = int(tiles.positions[tiles.kept_tokens + token])
            numbers = list[int]()
            for begin, end, at in tiles.runs[path:path_end].tolist():
                assert [at + step for step in range(end - begin)] == tiles.positions[begin:end].tolist()
                numbers += range(begin, end)
            among = range(own - tiles.kept_tokens, token + 1)
            numbers += [tiles.kept_tokens + row for row in among if token < int(tiles.ends[row])]
            if tiles.window:
                numbers = [number for number in numbers if here - int(tiles.positions[number]) < tiles.window]
            keys, values = (
                x[:, numbers].double().repeat_interleave(sharing, dim=0) for x in (key, value)
            )  # [H, keys, D]
            scores = torch.einsum("hkd,hd->hk", keys, query[:, token].double()) * scale
            if softcap is not None:
                scores = softcap * torch.tanh(scores / softcap)
            sink = torch.full_like(scores[:, :1], -torch.inf) if sinks is None else sinks.double()[:, None]
            shares = torch.softmax(torch.cat([scores, sink], dim=1), dim=1)[:, :-1]
            out[token] = torch.einsum("hk,hkd->hd", shares, values).to(out.dtype)
