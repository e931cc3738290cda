"""Attention over a packed forest, as functions that transformers calls for any causal model.

The rule of the forest (a span sees itself causally and its ancestors fully) and the rule of the layer (its window, if
it has one, along the path from the root) are computed in two ways from the same table:

* `DENSE`: one mask of rows × columns. Any device, any model, obviously right; memory and time grow with the square.
* `SPANS`: never a mask of the whole row. The row is depth-first, so all that is attended to is runs of it. On CUDA they
  become a call of torch's variable-length kernel and tiles (`varlen.py`). On a CPU, and for what these cannot do,
  small subtrees (a document with its label trie) are one block with a small mask of its own (`blocks.py`), since many
  tiny products cost more than a few masked entries.

The table is held for the pass (`over`), not handed from layer to layer, since some models' layers do not hand on what
they do not know; only the layer's rule comes with its mask. What a model asks of attention beyond that is computed (a
cap on the scores, sinks, values of another width) or refused by its name. Without a table, rows that are written on
attend by `written.py`, and everything else by transformers' own attention.

Axes: H query heads, G key-value heads, T row tokens, P tokens kept from an earlier pass, D head size, E that of values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pinpoint.engine.forward import blocks, varlen, written
from pinpoint.engine.forward.blocks import Extras
from pinpoint.engine.forward.rules import EVERYTHING, Mask, Rule, find_rule, unknown_mask, unsupported
from pinpoint.engine.forward.span_table import Sight, SpanTable
from pinpoint.engine.weights.int8_product import kernels_work

DENSE = "pinpoint_dense"
SPANS = "pinpoint_spans"

# What layers hand to attention that changes nothing here: positions are in the keys already, a window is in the mask,
# and the rest is for training or for other ways of computing the same.
HARMLESS = frozenset(
    {"dropout", "position_ids", "position_embeddings", "cache_position", "sliding_window", "is_causal", "use_cache",
     "output_attentions", "output_hidden_states", "output_router_logits", "return_dict", "layer_idx"}
)  # fmt: skip

_table: ContextVar[SpanTable | None] = ContextVar("span table of the pass", default=None)


class Watch(Protocol):
    """Looks on while layers attend, each once, in their order."""

    def given(self, table: SpanTable, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Told what a layer attends with, it says what is computed with: the same, or others of these shapes."""
        ...

    def made(self, table: SpanTable, out: Tensor) -> Tensor:
        """Told what came of it, it says what the layer is handed."""
        ...


_watch: ContextVar[Watch | None] = ContextVar("who looks on while layers attend", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Within the block, `watch` looks on while the layers of a pass over a forest attend by `span_attention`."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


def is_watched() -> bool:
    """Whether this is within `watched`."""
    return _watch.get() is not None


class Cut(Protocol):
    """Takes what a layer attends with, where passes are recorded without their attention."""

    def __call__(self, layer: int, scale: float, query: Tensor, key: Tensor, value: Tensor, /) -> Tensor:
        """Number of the layer, factor of the scores, [H, T, D], [G, T, D] and [G, T, E] → where [T, H, E] will be."""
        ...


_cut: ContextVar[Cut | None] = ContextVar("what takes the place of attention", default=None)


@contextmanager
def cutting(cut: Cut) -> Iterator[None]:
    """Within the block, layers that attend by `span_attention` hand what they attend with to `cut`.

    Raises:
        ModelError: a layer asks for more than to see all of its token's path.
    """
    token = _cut.set(cut)
    try:
        yield
    finally:
        _cut.reset(token)


def over_forest(table: SpanTable, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """What `span_attention` computes for a layer that sees all of each token's path: [1, T, H, E]."""
    table.calls += 1
    return _spans(query[0], key[0], value[0], scale, table.sight(), False, Extras(None, None))[None]


def current() -> SpanTable | None:
    """The table that layers attend by, within `over`."""
    return _table.get()


@contextmanager
def over(table: SpanTable) -> Iterator[None]:
    """Within the block, the layers of a model attend as `table` says."""
    token = _table.set(table)
    try:
        yield
    finally:
        _table.reset(token)


def check_layers(model: PreTrainedModel, table: SpanTable) -> None:
    """Check that in the pass that was made over `table` each layer of `model` attended by it, once.

    Raises:
        ModelError: some did not; what they made of the row is not what the forest asks for.
    """
    layers = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if table.calls != layers:
        raise unsupported(f"{table.calls} of {layers} layers attend to the tokens as others do")


def dense_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, s_aux: Tensor | None = None, softcap: float | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """query [1, H, T, D], key [1, G, P + T, D] and value [1, G, P + T, E] → [1, T, H, E], by one mask."""
    table = _table.get()
    if table is None:
        return _without_table(module, query, key, value, attention_mask, scaling, s_aux, softcap, **kwargs)
    rule = _taken(table, attention_mask, kwargs)
    mask = table.sight(rule).dense_mask
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if s_aux is not None or softcap is not None:
        return blocks.masked(query[0], key[0], value[0], scale, mask[0, 0], Extras(s_aux, softcap))[None], None
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, enable_gqa=True)
    return out.transpose(1, 2).contiguous(), None


def span_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None,
    scaling: float | None = None, s_aux: Tensor | None = None, softcap: float | None = None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """query [1, H, T, D], key [1, G, P + T, D] and value [1, G, P + T, E] → [1, T, H, E], run by run.

    Args:
        module: the layer's attention, for its number.
        attention_mask: a `Mask`, with the layer's rule.
        scaling: of the scores; the usual one where it is None.
        s_aux: [H] sinks, each one more score that a head's query sees, without a value.
        softcap: the scores become softcap · tanh(scores / softcap).
        kwargs: anything that is neither None nor known to be harmless is refused.
    """
    if (cut := _cut.get()) is not None:
        if s_aux is not None or softcap is not None or _rule_of(attention_mask, kwargs) != EVERYTHING:
            raise unsupported("its layers ask for more than to see all of a token's path")
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return cut(int(module.layer_idx), scale, query[0], key[0], value[0])[None], None  # type: ignore[arg-type]
    table = _table.get()
    if table is None:
        return _without_table(module, query, key, value, attention_mask, scaling, s_aux, softcap, **kwargs)
    sight = table.sight(_taken(table, attention_mask, kwargs))
    watch = _watch.get()
    if watch is not None:
        query, key, value = watch.given(table, query, key, value)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    narrow = table.wanted_only_in is not None and getattr(module, "layer_idx", None) == table.wanted_only_in
    out = _spans(query[0], key[0], value[0], scale, sight, narrow, Extras(s_aux, softcap))[None]
    return out if watch is None else watch.made(table, out), None


def _spans(
    query: Tensor, key: Tensor, value: Tensor, scale: float, sight: Sight, narrow: bool, extras: Extras
) -> Tensor:
    if query.is_cuda and varlen.takes(query, value) and kernels_work():
        calls = sight.calls(capped=extras.softcap is not None)
        if calls is not None:
            return varlen.attend(query, key, value, scale, calls, extras.sinks, extras.softcap)
    usual = extras.sinks is None and extras.softcap is None
    return blocks.attend(query, key, value, scale, sight, sight.row.rows if narrow else None, None if usual else extras)


def forest_mask(
    *, q_length: int, kv_length: int, mask_function: Any, use_vmap: bool = False, device: Any = None, **kwargs: Any
) -> Tensor | None:
    """What a model that makes its layers' mask gets: the rule, in a pass over a forest; else transformers' own mask."""
    table = _table.get()
    if table is None:
        if (step := written.current()) is not None:
            return step.mask(mask_function, q_length)
        made: Tensor | None = sdpa_mask(
            q_length=q_length, kv_length=kv_length, mask_function=mask_function, use_vmap=use_vmap, device=device,
            **kwargs,
        )  # fmt: skip
        return made
    keys = table.row.kept_tokens + q_length
    # With `use_vmap` come overlays of the model's own; a mask of padding is never asked for.
    own = use_vmap or kwargs.get("attention_mask") is not None
    rule = None if own else find_rule(mask_function, table.asked_positions, table.device)
    # A mask that none of the layers may take; some models make masks that none of theirs does.
    return Mask.of(rule, q_length, keys) if rule else torch.empty(1, 1, q_length, keys, device="meta")


def register() -> None:
    """Make transformers know the functions; does nothing the second time."""
    for name, function in ((DENSE, dense_attention), (SPANS, span_attention)):
        if name not in ALL_ATTENTION_FUNCTIONS:
            AttentionInterface.register(name, function)
        if name not in ALL_MASK_ATTENTION_FUNCTIONS:
            AttentionMaskInterface.register(name, forest_mask)


def _taken(table: SpanTable, mask: Tensor | None, others: dict[str, Any]) -> Rule:
    """The rule of a layer that attends, which is counted.

    Raises:
        ModelError: the layer asks for something that is not computed.
    """
    rule = _rule_of(mask, others)
    table.calls += 1
    return rule


def _rule_of(mask: Tensor | None, others: dict[str, Any]) -> Rule:
    for name, value in others.items():
        if value is not None and name not in HARMLESS:
            raise unsupported(f"its layers give attention the argument {name}")
    if others.get("is_causal") is False:
        raise unsupported("its layers see what comes later")
    if not isinstance(mask, Mask):
        raise unknown_mask()
    return mask.rule


def _without_table(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float | None,
    s_aux: Tensor | None, softcap: float | None, **kwargs: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if (step := written.current()) is not None:
        rule, extras = _rule_of(mask, kwargs), Extras(s_aux, softcap)
        return written.attend(step, query, key, value, rule, scale, extras), None
    if s_aux is None and softcap is None:
        out, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=scaling, **kwargs)
        return out, None
    rows, columns = query.shape[2], key.shape[2]
    seen = (
        torch.ones(rows, columns, dtype=torch.bool, device=query.device).tril(columns - rows)
        if mask is None
        else mask[0, 0]
    )
    return blocks.masked(query[0], key[0], value[0], scale, seen, Extras(s_aux, softcap))[None], None
