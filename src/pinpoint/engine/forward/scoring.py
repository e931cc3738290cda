"""Exact scores: the log-probability of every label of every question, from a forward pass over a packed forest.

For label k with tokens y_k1…y_kn after prompt x::

    s_k = Σ_t log p(y_kt | x, y_k<t) + log p(STOP | x, y_k)

Each term is the log-softmax of one row of logits at one token. The packed row holds every such row once; logits are
computed only there, in slices, since a vocabulary is wide.

Axes: T tokens of the row, R rows whose logits are wanted, V vocabulary, L lookups.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.engine.forward import last_layer
from pinpoint.engine.forward.attention import SpanTable
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.planning.activations import LOGIT_ROWS


@torch.inference_mode()
def score(model: PreTrainedModel, row: PackedRow, cache: PassCache | None = None) -> list[list[float]]:
    """Sums of log-probabilities along every path of every ask of a packed forest, in their order.

    Float32 from the logits on, summed in float64. `cache` shows the row's kept tokens to the layers and takes copies
    for a later pass. Raises what the device raises.
    """
    device = model.device
    rows = torch.from_numpy(row.rows).to(device)
    narrow = last_layer.worthwhile(model, row)
    with last_layer.only_rows(model, rows) if narrow else nullcontext():
        hidden = model.base_model(
            input_ids=torch.from_numpy(row.tokens)[None].to(device),
            position_ids=torch.from_numpy(row.positions)[None].to(device),
            past_key_values=cache,
            spans=SpanTable(row, device, last_layer.number(model) if narrow else None),
            use_cache=False,
        ).last_hidden_state[0]  # [T, hidden], of which only `rows` are to be read
    terms = lookup_log_probs(model, hidden[rows], torch.from_numpy(row.lookups).to(device)).tolist()
    return [[sum(terms[lookup] for lookup in path) for path in labels] for labels in row.paths]


def lookup_log_probs(model: PreTrainedModel, hidden: Tensor, lookups: Tensor) -> Tensor:
    """[L] log p(target | row) for hidden states [R, hidden] and lookups [L, 2] (row, target)."""
    head = model.get_output_embeddings()
    result = torch.empty(len(lookups), dtype=torch.float32, device=hidden.device)
    for start in range(0, len(hidden), LOGIT_ROWS):
        logits = head(hidden[start : start + LOGIT_ROWS]).float()  # [≤ LOGIT_ROWS, V]
        here = (lookups[:, 0] >= start) & (lookups[:, 0] < start + LOGIT_ROWS)
        rows, targets = lookups[here, 0] - start, lookups[here, 1]
        result[here] = logits[rows, targets] - torch.logsumexp(logits, dim=-1)[rows]
    return result


@torch.inference_mode()
def check_head(model: PreTrainedModel, tokens: list[int]) -> float:
    """Largest difference between the model's own log-probabilities and those of its head on its hidden states.

    Zero but for rounding, unless the model does something to its logits (a cap, a scale) that `lookup_log_probs` does
    not.
    """
    ids = torch.tensor([tokens], device=model.device)
    hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0]
    lookups = torch.stack([torch.arange(len(tokens)), torch.tensor(tokens)], dim=1).to(model.device)
    own = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0].float(), dim=-1)
    return float((lookup_log_probs(model, hidden, lookups) - own[lookups[:, 0], lookups[:, 1]]).abs().max())
