"""A packed pass led along the plain one: every stage of every layer is given what the plain pass gave it.

So nothing adds up. What a stage makes of the same numbers differs by that stage's own rounding alone, however many
layers stand before it, and a fault shows where it is and at its full size. (Left to itself, a pass in bfloat16 drifts
from another by more than a missing sink changes, and a mixture's router turns where two experts weigh alike.)

    layer input ── queries, keys, values ── attention ── what the layer makes of it ── … ── last states ── scores
        ↑ given           ↑ given              ↑ given           ↑ given

Of each stage, the difference is a share: of a token's vector, the length of the difference over that of the plain one,
or over the usual length of the stage's vectors where that is larger. Of a layer's states it is over what the layer was
given where that is longer: a token whose values are thousands of times the usual, as real models have them, is taken
back to the usual by one layer, and what is left holds the rounding of what was there.

Axes: T tokens of the row, P kept tokens, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pinpoint.engine.forward import attention
from pinpoint.engine.forward.head import text_decoder
from pinpoint.engine.forward.packing import Ints, PackedRow
from pinpoint.engine.forward.plain import (
    LONG_ROOT,
    NOWHERE,
    SHORT_ROOT,
    Plain,
    decoder_layers,
    layer_input,
    layer_output,
)
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.engine.weights.quantizer import is_fused_experts

TOKENS = "tokens in their places"
EMBEDDING = "embeddings"
PROJECTED = "queries, keys and values"
ATTENDED = "attention"
LAYER = "hidden states"
STATES = "last hidden states"
# In 16 bits, so many tokens of a mixture's layer do not count: a rounding may have turned their router's choice, which
# changes what they become by as much as an expert weighs. It happened to one in a few hundred. The same holds of
# queries that experts make (JetMoE's), where two that change places are enough.
ROUTED_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """How far one stage of a pass was from the plain way, or how many tokens stood in no place of it.

    `layer` counts from 0; None beside the layers.
    """

    stage: str
    layer: int | None
    apart: Tensor


class Forced:
    """Looks on while passes are computed, and leads them."""

    def __init__(self, model: PreTrainedModel, plain: Plain) -> None:
        self._model, self._plain = model, plain
        self._records = [
            tuple(map(_whole, (one.inputs, one.queries, one.keys, one.values, one.attended))) for one in plain.layers
        ]
        self._outputs, self._states = _whole(plain.outputs), _whole(plain.states)
        routes = self._states.dtype != torch.float32 and any(map(_has_experts, model.modules()))
        self._routed_share = ROUTED_SHARE if routes else 0.0
        self._routed_queries = routes and any(
            "Attention" in type(module).__name__ and any(map(_has_experts, module.modules()))
            for module in model.modules()
        )
        self._nodes: dict[int, tuple[SpanTable, Tensor, Tensor]] = {}
        self._calls = 0
        self._seen = list[Seen]()

    def take(self) -> list[Seen]:
        """What was seen since the last time, in the order of computing; the differences are on the device still."""
        seen, self._seen = self._seen, []
        return seen

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Within the block, passes are led."""
        layers = decoder_layers(self._model)
        with ExitStack() as stack:
            stack.enter_context(attention.watched(self))
            for number, module in enumerate(layers):
                before = module.register_forward_pre_hook(self._before(number), with_kwargs=True)
                stack.callback(before.remove)
            for module, look in ((layers[-1], self._after_layers), (text_decoder(self._model), self._after_all)):
                stack.callback(module.register_forward_hook(look).remove)
            yield

    def given(self, table: SpanTable, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The plain way's queries, keys and values, after a look at how far these are from them."""
        kept, row = self._places(table)
        _, queries, keys, values, _ = self._records[self._calls]
        theirs = queries[row], keys[kept], values[kept]
        wanted = self._wanted(table, row)
        rows = (wanted, slice(None), slice(None))
        ours = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
        pairs = [(one[at], other[at]) for one, other, at in zip(ours, theirs, rows, strict=True)]
        self._look(PROJECTED, self._calls, *pairs, routed=1 if self._routed_queries else 0)
        given = [tensor.transpose(0, 1)[None].to(query.dtype) for tensor in theirs]
        return given[0], given[1], given[2]

    def made(self, table: SpanTable, out: Tensor) -> Tensor:
        """What the plain way's attention gave, after a look at how far this is from it."""
        _, row = self._places(table)
        theirs, wanted = self._records[self._calls][4][row], self._wanted(table, row)
        self._look(ATTENDED, self._calls, (out[0][wanted], theirs[wanted]))
        self._calls += 1
        return theirs[None].to(out.dtype)

    def _before(self, number: int) -> Any:
        def lead(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
            table = attention.current()
            if table is None:
                return args, kwargs
            if number == 0:
                self._calls = 0
            states, row = layer_input(args, kwargs), self._places(table)[1]
            theirs = self._records[number][0][row]
            if number:
                self._look(LAYER, number - 1, (states[0], theirs), routed=1, of=self._records[number - 1][0][row])
            else:
                self._look(EMBEDDING, None, (states[0], theirs))
            led = theirs[None].to(states.dtype)
            return ((led, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": led})

        return lead

    def _after_layers(self, _: nn.Module, __: Any, out: Any) -> Any:
        table = attention.current()
        if table is None:
            return out
        states, row = layer_output(out), self._places(table)[1]
        theirs, wanted = self._outputs[row], torch.from_numpy(table.row.rows).to(row.device)
        given = self._records[-1][0][row][wanted]
        self._look(LAYER, len(self._records) - 1, (states[0][wanted], theirs[wanted]), routed=1, of=given)
        led = theirs[None].to(states.dtype)
        return (led, *out[1:]) if isinstance(out, tuple) else led

    def _after_all(self, _: nn.Module, __: Any, out: Any) -> None:
        table = attention.current()
        if table is not None:
            wanted = torch.from_numpy(table.row.rows).to(self._states.device)
            row = self._places(table)[1]
            self._look(STATES, None, (out.last_hidden_state[0][wanted], self._states[row][wanted]))

    def _wanted(self, table: SpanTable, row: Tensor) -> slice | Tensor:
        """The rows that are computed in the layer whose turn it is."""
        if table.wanted_only_in != self._calls:
            return slice(None)
        return torch.from_numpy(table.row.rows).to(row.device)

    def _look(
        self, stage: str, layer: int | None, *pairs: tuple[Tensor, Tensor], routed: int = 0, of: Tensor | None = None
    ) -> None:
        """Note how far pairs are apart, of what they were made `of` where that is longer; the first so many of them
        hang on what a router chose.
        """
        found = torch.stack([self._apart(*pair, routed=at < routed, of=of) for at, pair in enumerate(pairs)]).max()
        self._seen.append(Seen(stage, layer, found))

    def _apart(self, ours: Tensor, theirs: Tensor, *, routed: bool, of: Tensor | None) -> Tensor:
        """The largest share that a token's features [n, …, F] are apart."""
        one, other = (tensor.flatten(1).float() for tensor in (ours, theirs))
        length = other.norm(dim=-1)
        if of is not None:
            length = torch.maximum(length, of.flatten(1).float().norm(dim=-1))
        share = (one - other).norm(dim=-1) / torch.maximum(length, length.median()).clamp_min(1e-30)
        share = torch.where(share.isfinite(), share, torch.inf)
        if routed and self._routed_share:
            return share.sort().values[int((1 - self._routed_share) * (len(share) - 1))]
        return share.max()

    def _places(self, table: SpanTable) -> tuple[Tensor, Tensor]:
        """[P + T] the nodes of all keys of a pass, and [T] those of its row."""
        found = self._nodes.get(id(table))
        if found is None:
            nodes = self._find(table.row)
            strayed = torch.tensor(float((nodes == NOWHERE).sum()), device=self._states.device)
            self._seen.append(Seen(TOKENS, None, strayed))
            keys = torch.from_numpy(np.maximum(nodes, 0)).to(self._states.device)
            found = self._nodes[id(table)] = (table, keys, keys[table.row.kept_tokens :])
        return found[1], found[2]

    def _find(self, row: PackedRow) -> Ints:
        """[P + T] the node of each key: as prompts of the row's longest are read, or else as others are."""
        roots = (self._plain.root(int(row.positions.max()) + 1), SHORT_ROOT, LONG_ROOT)
        seen, kept = row.visible(), row.kept_tokens
        ids = np.concatenate([row.kept_ids, row.tokens])
        positions = np.concatenate([row.kept_positions, row.positions])
        above = [np.flatnonzero(seen[at] & (positions == positions[kept + at] - 1)) for at in range(len(row.tokens))]
        found = np.full(len(ids), NOWHERE, dtype=np.int64)
        for root in dict.fromkeys(roots):
            nodes = np.full(len(ids), NOWHERE, dtype=np.int64)
            for at, column in enumerate(range(kept, len(ids))):
                if len(above[at]) != (positions[column] > 0):
                    continue  # no token, or several, in the place before its own
                before = int(nodes[above[at][0]]) if len(above[at]) else root
                if before == NOWHERE and above[at][0] < kept:  # the way to it from the root, once
                    path, before = np.flatnonzero(seen[at, :kept]), root
                    for each in path[np.argsort(positions[path], kind="stable")]:
                        before = nodes[each] = self._plain.child(before, int(ids[each]))
                nodes[column] = self._plain.child(before, int(ids[column]))
            found = np.where(found == NOWHERE, nodes, found)
        return found


def _has_experts(module: nn.Module) -> bool:
    """Whether a module holds experts, fused as most families have them or in a way of its own (JetMoE)."""
    return is_fused_experts(module) or "Expert" in type(module).__name__


def _whole(record: list[Tensor]) -> Tensor:
    """A record as one tensor [N, …]; its parts are let go."""
    whole = torch.cat(record)
    record[:] = [whole]
    return whole
