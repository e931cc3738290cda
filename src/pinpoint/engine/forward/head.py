"""From hidden states to log-probabilities, by the model's own way from the one to the other.

What a model does to its logits behind its head (a cap, a scale, a table of its own) stands nowhere but in its
`forward`. So that is what is called, for the rows that are wanted: with its decoder's `forward` replaced by one that
hands out their hidden states. It is done in slices, since a vocabulary is wide.

Axes: R rows whose logits are wanted, V vocabulary, L lookups.
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

from pinpoint.engine.forward.packing import Ints
from pinpoint.planning.activations import LOGIT_ROWS

# The largest logit of the second look at a head: above the caps of all families known (Gemma's 30, nanochat's 15), and
# not so large that bfloat16, whose step is 0.25 there, hides a cap.
PEAK_LOGIT = 64.0


class States:
    """What a decoder returns, of which only the last hidden states are there."""

    def __init__(self, hidden: Tensor) -> None:
        """hidden [1, R, hidden]."""
        self.last_hidden_state = hidden

    def __getitem__(self, index: int) -> Tensor:
        """By place, as some models ask for it."""
        return (self.last_hidden_state,)[index]

    def __getattr__(self, name: str) -> None:
        """Whatever else is asked for (router logits, attentions) is not there."""


def decoder(model: PreTrainedModel) -> nn.Module:
    """What makes hidden states of tokens."""
    # A model whose class names its base otherwise than its attribute is its own base, by transformers' rule.
    inner = (module for module in model.children() if isinstance(module, PreTrainedModel))
    found: nn.Module = model.base_model if model.base_model is not model else next(inner, model)
    return found


def text_decoder(model: PreTrainedModel) -> nn.Module:
    """The text model, where the decoder holds others besides; else the decoder itself."""
    found: nn.Module = model.get_decoder()
    return found if found is not model else decoder(model)


def _decoders(model: PreTrainedModel) -> list[nn.Module]:
    """The modules that `forward` may call for its hidden states; some models skip the outermost."""
    return list(dict.fromkeys((decoder(model), text_decoder(model))))


@contextmanager
def given_states(model: PreTrainedModel, hidden: Tensor) -> Iterator[None]:
    """Within the block, the decoder of `model` returns `hidden` [1, R, hidden], whatever it is called with."""
    with ExitStack() as stack:
        for module in _decoders(model):
            before = module.__dict__.get("forward")
            module.forward = lambda *_, **__: States(hidden)
            stack.callback(_restore, module, before)
        yield


def _restore(module: nn.Module, forward: Any) -> None:
    del module.forward
    if forward is not None:
        module.forward = forward


def logits_of(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """[R, V] logits of hidden states [R, hidden], as the model itself makes them."""
    tokens = torch.zeros(1, len(hidden), dtype=torch.int64, device=hidden.device)
    with given_states(model, hidden[None]):
        logits: Tensor = model(input_ids=tokens, use_cache=False).logits[0]
    return logits


@dataclass(frozen=True, slots=True)
class Lookups:
    """What is looked up of each slice of rows, on the device before the pass: what is sent there later waits for it.

    Attributes:
        table: [3, L] int64, by row: row within its slice, target token id, place among the results.
        bounds: where in the table each slice begins, and the end.
    """

    table: Tensor
    bounds: list[int]

    @staticmethod
    def of(lookups: Ints, rows: int, device: torch.device) -> Lookups:
        """Of lookups [L, 2] (row, target) into so many rows."""
        places = np.argsort(lookups[:, 0], kind="stable")
        by_row, targets = lookups[places].T
        bounds = np.searchsorted(by_row, np.arange(0, rows + LOGIT_ROWS, LOGIT_ROWS)).tolist()
        return Lookups(torch.from_numpy(np.stack([by_row % LOGIT_ROWS, targets, places])).to(device), bounds)


def lookup_log_probs(model: PreTrainedModel, hidden: Tensor, lookups: Lookups) -> Tensor:
    """[L] log p(target | row) for hidden states [R, hidden] and lookups into these rows."""
    result = torch.empty(lookups.table.shape[1], dtype=torch.float32, device=hidden.device)
    for number, start in enumerate(range(0, len(hidden), LOGIT_ROWS)):
        logits = logits_of(model, hidden[start : start + LOGIT_ROWS]).float()  # [≤ LOGIT_ROWS, V]
        rows, targets, places = lookups.table[:, lookups.bounds[number] : lookups.bounds[number + 1]]
        result[places] = torch.log_softmax(logits, dim=-1)[rows, targets]
    return result


@torch.inference_mode()
def check_head(model: PreTrainedModel, tokens: list[int], peak: float | None = None) -> float:
    """Largest difference between the model's own log-probabilities and those of `lookup_log_probs`.

    Zero but for rounding, unless the model does something on the way from its decoder to its logits that is not done
    here. With `peak`, the hidden states are scaled, for both, so that the head's largest logit is that: a cap shows
    however small the logits of these tokens are.
    """
    ids = torch.tensor([tokens], device=model.device)
    given = list[Tensor]()

    def scaled(_: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        if not given:  # one decoder may stand within another
            hidden = out.last_hidden_state
            if peak is not None:
                largest = float(model.get_output_embeddings()(hidden[0]).abs().max())
                hidden = hidden * (peak / max(largest, torch.finfo(torch.float32).tiny))
            given.append(hidden)
        out.last_hidden_state = given[0]
        return out

    handles = [module.register_forward_hook(scaled) for module in _decoders(model)]
    try:
        logits = model(input_ids=ids, use_cache=False).logits[0]
    finally:
        for handle in handles:
            handle.remove()
    own = torch.log_softmax(logits.float(), dim=-1)
    lookups = Lookups.of(np.array(list(enumerate(tokens))), len(tokens), model.device)
    found = lookup_log_probs(model, given[0][0], lookups)
    return float((found - own.gather(1, ids[0, :, None])[:, 0]).abs().max())
