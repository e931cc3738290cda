"""Who sees whom in a packed row, for the attention functions: of the forest, and of a layer's own rule besides.

Axes: T row tokens, P tokens kept from an earlier pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from pinpoint.engine.forward.packing import Ints, PackedRow
from pinpoint.engine.forward.rules import EVERYTHING, Rule
from pinpoint.engine.forward.runs import Run
from pinpoint.engine.forward.varlen import Calls, make_calls

# Of a trie, a subtree of up to so many tokens is one block.
CPU_BLOCK_TOKENS = 1024
# A window or a chunk of so many positions is known as one whatever the row is, where the same bits are asked for.
SAME_BITS_POSITIONS = 1 << 16
# Masks that a pass keeps from layer to layer.
BIASES_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are computed together by one mask.

    Attributes:
        run: where they are.
        above: the keys that all of them may see, counted from the kept tokens, from the root down.
        whole: they are whole subtrees; else the tokens of one span, each of which sees those before it.
    """

    run: Run
    above: tuple[Run, ...]
    whole: bool


@dataclass(slots=True)
class SpanTable:
    """Which tokens of a packed row see which, for the layers of one pass.

    Attributes:
        row: the packed forest.
        device: where the masks and offsets are needed.
        wanted_only_in: the layer of which only the rows that score a label are read, where there is one.
        same_bits: whether what a token gets has to be the same to the bit whatever else the row holds.
        calls: how often attention has been computed with the table.
    """

    row: PackedRow
    device: torch.device
    wanted_only_in: int | None = None
    same_bits: bool = False
    calls: int = 0
    _sights: dict[Rule, Sight] = field(default_factory=dict)

    def sight(self, rule: Rule = EVERYTHING) -> Sight:
        """What the layers of one rule see, made once for all of them."""
        if rule.window is not None and rule.window >= self.positions and not self.same_bits:
            rule = EVERYTHING  # hides nothing of any path of this row
        if rule not in self._sights:
            self._sights[rule] = Sight(self.row, self.device, rule, self.same_bits)
        return self._sights[rule]

    @property
    def positions(self) -> int:
        """Tokens of the longest path."""
        return int(self.row.positions.max()) + 1

    @property
    def asked_positions(self) -> int:
        """Up to which position a model is asked what its layers hide: not a neighbour's matter with `same_bits`."""
        return max(self.positions, SAME_BITS_POSITIONS) if self.same_bits else self.positions


@dataclass(frozen=True)
class Sight:
    """Which tokens of a packed row see which, under one rule."""

    row: PackedRow
    device: torch.device
    rule: Rule
    same_bits: bool = False

    @cached_property
    def key_positions(self) -> Ints:
        """[P + T] position of each key in its own prompt."""
        return np.concatenate([self.row.kept_positions, self.row.positions])

    @cached_property
    def dense_mask(self) -> Tensor:
        """[1, 1, T, P + T] bool: whether token i sees token j."""
        seen = self.row.visible()
        if self.rule != EVERYTHING:
            seen &= self.rule.seen(self.row.positions, self.key_positions)
        return torch.from_numpy(seen)[None, None].to(self.device)

    def calls(self, capped: bool = False) -> Calls | None:
        """How CUDA's kernels compute it, made once for all layers of the pass; None where they cannot do what is asked.

        `capped`: with a cap on the scores.
        """
        if self.rule.other is not None:
            return None
        if capped not in self._calls:
            self._calls[capped] = make_calls(self.row, self.device, self.rule.window, self.same_bits, capped)
        return self._calls[capped]

    @cached_property
    def _calls(self) -> dict[bool, Calls]:
        return {}

    @cached_property
    def blocks(self) -> list[Block]:
        """The row cut into blocks: each span, and of each trie small subtrees, siblings together.

        A block is a matter of its own prompt: what else is in the row changes no product's shape, and so no bit.
        Siblings share the keys above them, which are then gathered once; what is computed in vain between them is less
        than that, as long as they are fewer than those keys.
        """
        row, blocks = self.row, list[Block]()
        covered = trie_end = 0
        tries = dict(row.tries)
        for span, (start, stop, end) in enumerate(
            zip(row.starts.tolist(), row.stops.tolist(), row.ends.tolist(), strict=True)
        ):
            if start < covered:
                continue  # inside a block already
            starts_trie = start in tries
            trie_end = tries.get(start, trie_end)
            whole = start < trie_end and end - start <= CPU_BLOCK_TOKENS
            covered = end if whole else stop
            above = self._above(span)
            if whole and not starts_trie and blocks and blocks[-1].whole and blocks[-1].above == above:
                together = end - blocks[-1].run.start
                if together <= min(CPU_BLOCK_TOKENS, sum(run.tokens for run in above)):
                    blocks[-1] = Block(Run(blocks[-1].run.start, end), above, whole)
                    continue
            blocks.append(Block(Run(start, covered), above, whole))
        return blocks

    def _above(self, span: int) -> tuple[Run, ...]:
        """The keys of a span's ancestors, from the root down, counted from the kept tokens."""
        row, start = self.row, int(self.row.starts[span])
        kept = [Run(*keys) for (first, last), keys in row.kept_crossings if first <= start < last]
        above = list[Run]()
        parent = int(row.parents[span])
        while parent >= 0:
            above.append(Run(int(row.starts[parent]) + row.kept_tokens, int(row.stops[parent]) + row.kept_tokens))
            parent = int(row.parents[parent])
        return (*kept, *above[::-1])

    def bias(self, index: int, start: int, stop: int, dtype: torch.dtype) -> tuple[Tensor, int]:
        """Of rows `start` to `stop` of block `index`: 0 where a row sees a key, −inf elsewhere, and the first key.

        [stop − start, keys], the keys being those of the block, its ancestors' first, from the first that one of the
        rows sees to the last row's own. Those of the first blocks are kept for the next layers, up to `BIASES_BYTES`.
        """
        found = self._biases.get((start, dtype))
        if found is None:
            found = self._make_bias(self.blocks[index], start, stop, dtype)
            if sum(bias.nbytes for bias, _ in self._biases.values()) + found[0].nbytes <= BIASES_BYTES:
                self._biases[start, dtype] = found
        return found

    def _make_bias(self, block: Block, start: int, stop: int, dtype: torch.dtype) -> tuple[Tensor, int]:
        above = sum(run.tokens for run in block.above)
        first, last = start - block.run.start, stop - block.run.start
        if block.whole:
            own = self.row.visible_within(block.run.start, block.run.stop)[first:last, :last]
        else:
            own = np.tri(last - first, last, first, dtype=np.bool_)
        if self.rule == EVERYTHING:
            bias = torch.zeros(last - first, above + last, dtype=dtype)
            bias[:, above:].masked_fill_(~torch.from_numpy(own), -torch.inf)
            return bias.to(self.device), 0
        kept = self.row.kept_tokens
        runs = [*block.above, Run(kept + block.run.start, kept + stop)]
        keys = np.concatenate([self.key_positions[run.start : run.stop] for run in runs])
        seen = self.rule.seen(self.row.positions[start:stop], keys)
        seen = seen & np.concatenate([np.ones((last - first, above), dtype=np.bool_), own], axis=1)
        begin = int(seen.any(axis=0).argmax())
        hidden = ~torch.from_numpy(np.ascontiguousarray(seen[:, begin:]))
        return torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -torch.inf).to(self.device), begin

    @cached_property
    def _biases(self) -> dict[tuple[int, torch.dtype], tuple[Tensor, int]]:
        return {}
