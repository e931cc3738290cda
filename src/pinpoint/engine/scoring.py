"""Exact scores: the log-probability of every label of every question, from one forward pass over a packed forest.

For label k with tokens y_k1…y_kn after prompt x::

    s_k = Σ_t log p(y_kt | x, y_k<t) + log p(STOP | x, y_k)

Each term is the log-softmax of one row of logits at one token. The packed row holds every such row once; logits are
computed only there, in slices, since a vocabulary is wide.

Axes: T tokens of the row, R rows whose logits are wanted, V vocabulary, L lookups.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.engine.attention import SpanTable
from pinpoint.engine.packing import PackedRow

# Rows of float32 logits held at a time: 64 MB for Mixtral's 32,000 tokens, 300 MB for the widest vocabularies in use.
LOGIT_ROWS = 512


@torch.inference_mode()
def score(model: PreTrainedModel, row: PackedRow) -> list[list[float]]:
    """Log-probabilities s_k of every label of every ask of a packed forest, in their order.

    Float32 from the logits on, summed in float64. Raises what the device raises.
    """
    device = model.device
    base = model.base_model
    hidden = base(
        input_ids=torch.from_numpy(row.tokens)[None].to(device),
        position_ids=torch.from_numpy(row.positions)[None].to(device),
        spans=SpanTable(row, device),
        use_cache=False,
    ).last_hidden_state[0]  # [T, hidden]
    terms = lookup_log_probs(
        model, hidden[torch.from_numpy(row.rows).to(device)], torch.from_numpy(row.lookups).to(device)
    ).tolist()
    return [[sum(terms[lookup] for lookup in path) for path in labels] for labels in row.paths]


def lookup_log_probs(model: PreTrainedModel, hidden: Tensor, lookups: Tensor) -> Tensor:
    """[L] log p(target | row) for hidden states [R, hidden] and lookups [L, 2] (row, target), rows ascending or not."""
    head = model.get_output_embeddings()
    result = torch.empty(len(lookups), dtype=torch.float32, device=hidden.device)
    for start in range(0, len(hidden), LOGIT_ROWS):
        logits = head(hidden[start : start + LOGIT_ROWS]).float()  # [≤ LOGIT_ROWS, V]
        here = (lookups[:, 0] >= start) & (lookups[:, 0] < start + LOGIT_ROWS)
        rows, targets = lookups[here, 0] - start, lookups[here, 1]
        result[here] = logits[rows, targets] - torch.logsumexp(logits, dim=-1)[rows]
    return result
