"""The last layer, computed only for the rows that score a label.

Of a packed row, few tokens are asked for logits: the last of each prompt, and the nodes of the label tries. All others
are there to be attended to, so of the last layer they need keys and values and nothing else. While a pass runs, its
query and output projections and its feed-forward part take the wanted rows alone and leave zeros for the others, which
nothing reads. By arithmetic that is 3 % of a pass of Mixtral's 32 layers, and 15 % of the embedded model's 6.

The rows that are computed are computed as they would be otherwise: each of these modules works row by row.

Axes: T tokens of the row, R wanted rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from pinpoint.engine.forward.head import text_decoder
from pinpoint.engine.forward.packing import PackedRow

# The modules of a decoder layer that work row by row and whose output nothing but the row itself needs, by the names
# that all supported families give them. What a family calls otherwise is computed for all rows.
ROW_BY_ROW = ("self_attn.q_proj", "self_attn.o_proj", "mlp")
# With more rows wanted than this share of all, all are computed: taking rows out and putting them back moves the states
# a few times more. Chosen, not measured: passes over documents want a twentieth, those over tries alone want all.
MOST_WANTED = 0.5


def worthwhile(model: PreTrainedModel, row: PackedRow) -> bool:
    """Whether so few rows are wanted that computing the others costs more than leaving them out.

    Never for a model that keeps its layers in another place than the supported families do.
    """
    return bool(layers(model)) and len(row.rows) <= MOST_WANTED * len(row.tokens)


def layers(model: PreTrainedModel) -> nn.ModuleList | None:
    """The decoder's layers, where they are kept as the supported families keep them."""
    found = getattr(text_decoder(model), "layers", None)
    return found if isinstance(found, nn.ModuleList) else None


def number(model: PreTrainedModel) -> int:
    """The last layer's number, as its attention knows it."""
    return len(layers(model) or ()) - 1


@contextmanager
def only_rows(model: PreTrainedModel, rows: Tensor) -> Iterator[None]:
    """Within the block, the last layer of `model` computes only `rows` [R] of the row that goes through it.

    The hidden states of all other rows are not what the model would give: only keys and values of theirs are.
    """
    with ExitStack() as stack:
        found = layers(model)
        assert found is not None, "asked before"
        for name, module in found[-1].named_modules():
            if name in ROW_BY_ROW:
                stack.enter_context(_narrowed(module, rows))
        yield


@contextmanager
def _narrowed(module: nn.Module, rows: Tensor) -> Iterator[None]:
    """Within the block, `module` takes [1, T, …] and computes [1, R, …] of it; the other rows of its output are 0.

    A module that is given its states by name computes all rows.
    """
    tokens = 0

    def take(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        nonlocal tokens
        if not args:
            return None
        states, *others = args
        tokens = states.shape[1]
        return (states.index_select(1, rows), *others)

    def put(_: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        if not args:
            return None
        # A mixture of experts may give its router's choices besides.
        return (_spread(out[0], rows, tokens), *out[1:]) if isinstance(out, tuple) else _spread(out, rows, tokens)

    handles = [module.register_forward_pre_hook(take), module.register_forward_hook(put)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _spread(states: Tensor, rows: Tensor, tokens: int) -> Tensor:
    """[1, R, …] → [1, T, …], zero but for `rows`."""
    return states.new_zeros(1, tokens, *states.shape[2:]).index_copy_(1, rows, states)
