"""Exact scores: the log-probability of every label of every question, from a forward pass over a packed forest.

For label k with tokens y_k1…y_kn after prompt x::

    s_k = Σ_t log p(y_kt | x, y_k<t) + log p(STOP | x, y_k)

Each term is the log-softmax of one row of logits at one token (`head.py`). The packed row holds every such row once;
logits are computed only there.

Axes: T tokens of the row, R rows whose logits are wanted.
"""

from __future__ import annotations

import itertools
from contextlib import nullcontext

import numpy as np
import torch
from transformers import PreTrainedModel

from pinpoint.engine.forward import frequencies, last_layer
from pinpoint.engine.forward.attention import check_layers, over
from pinpoint.engine.forward.head import Lookups, decoder, lookup_log_probs
from pinpoint.engine.forward.label_sums import label_sums
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.forward.prefix_cache import PassCache
from pinpoint.engine.forward.recorded import Recorder
from pinpoint.engine.forward.span_table import SpanTable
from pinpoint.engine.forward.states import States
from pinpoint.engine.weights import fixed_rows


@torch.inference_mode()
def score(
    model: PreTrainedModel, row: PackedRow, cache: PassCache | None = None, *, long: bool | None = None,
    same_bits: bool = False,
    recorder: Recorder | None = None,
    states: States | None = None,
) -> list[list[float]]:  # fmt: skip
    """Sums of log-probabilities along every path of every ask of a packed forest, in their order.

    Float32 from the logits on, summed in float64.

    Args:
        model: computes.
        row: the packed forest.
        cache: shows the row's kept tokens to the layers and takes copies for a later pass.
        long: whether its prompts are the long ones of a model that reads these with other frequencies
            (`frequencies.py`); None: as the longest path of the row has it.
        same_bits: whether scores have to be the same to the bit whatever else the row holds. On a CPU they always are.
        recorder: runs the rows that it takes, unless they have to be the same to the bit.
        states: takes the states that are wanted of it.

    Raises:
        ModelError: the model's layers do not attend as the row says.
        Exception: what the device raises.
    """
    device = model.device
    fixed = same_bits or device.type == "cpu"
    rows = torch.from_numpy(row.rows).to(device)
    lookups = Lookups.of(row.lookups, len(row.rows), device)
    cache = cache if cache is not None else PassCache([], {})
    if recorder is not None and not same_bits and recorder.takes(row):
        table = SpanTable(row, device)
        hidden = recorder.run(row, table, cache)
    else:
        narrow = last_layer.worthwhile(model, row)
        table = SpanTable(row, device, last_layer.number(model) if narrow else None, same_bits)
        with (
            fixed_rows.holding() if fixed else nullcontext(),
            over(table),
            frequencies.of_long_prompts(model) if long else nullcontext(),
            last_layer.only_rows(model, rows) if narrow else nullcontext(),
        ):
            hidden = decoder(model)(
                input_ids=torch.from_numpy(row.tokens)[None].to(device),
                position_ids=torch.from_numpy(row.positions)[None].to(device),
                past_key_values=cache,
                use_cache=False,
            ).last_hidden_state[0]  # [T, hidden], of which only `rows` are to be read
    check_layers(model, table)
    if not len(row.lookups):
        return [[] for _ in row.labels]
    if states is not None:
        states.take(row, hidden[rows])
    with fixed_rows.holding() if fixed else nullcontext():
        found = lookup_log_probs(model, hidden[rows], lookups).cpu().numpy().astype(np.float64)
    sums = label_sums(found[row.terms], row.label_terms).tolist()
    bounds = itertools.pairwise([0, *np.cumsum(row.labels).tolist()])
    return [sums[start:stop] for start, stop in bounds]
