"""The experts of a mixture in 8 bits, as a function that transformers calls for any model with fused experts.

Tokens are sorted by expert once; each expert is then one product over the tokens that chose it. The only wait for the
device is for the number of tokens of each expert. Where the tokens are few, as in decoding, or up to some thousand,
Triton's kernels read the integers as they lie and wait for nothing.

Axes: T tokens, K experts chosen for each, E experts, H hidden, F width, P = T·K token-expert pairs, n pairs of one
expert.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from pinpoint.engine.weights import (
    fixed_rows,
    int8_activations,
    triton_fixed,
    triton_grouped,
    triton_int8,
    triton_pointwise,
)
from pinpoint.engine.weights.int8_product import (
    cast_product,
    few_rows,
    gate,
    gated_product,
    kernels_work,
    scaled_product_into,
)

NAME = "pinpoint_int8"
# Rows of an expert at a time on a CPU, so that its states and what lies between its products stay in the processor's
# cache: 8,192 tokens of the embedded model took 68 ms a layer at 512 rows, 77 at 128, 88 at 1,024, and 93 at once (2
# cores; gathering the states in parts as well took another 5 % off a whole pass).
CPU_ROWS = 512


def int8_experts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """Mix the chosen experts' outputs.

    Args:
        self: a fused experts module with int8 `gate_up_proj` [E, 2F, H] and `down_proj` [E, H, F] and their scales.
        hidden_states: [T, H].
        top_k_index: [T, K] chosen experts.
        top_k_weights: [T, K] their weights.

    Returns:
        [T, H]. A token's row is computed from that token alone, summed in the order of its choices.
    """
    if int8_activations.in_8_bits(self):
        return _with_8_bit_activations(self, hidden_states, top_k_index, top_k_weights)
    if hidden_states.is_cuda and fixed_rows.held() and kernels_work():
        return triton_fixed.experts(self, hidden_states, top_k_index, top_k_weights)
    if few_rows(hidden_states) and len(hidden_states) <= triton_int8.MOST_TOKENS_OF_EXPERTS:
        return triton_int8.few_rows_experts(self, hidden_states, top_k_index, top_k_weights)
    if hidden_states.is_cuda and kernels_work() and triton_grouped.takes(self, top_k_index.numel(), hidden_states):
        return triton_grouped.grouped_experts(self, hidden_states, top_k_index, top_k_weights)
    if not hidden_states.is_cuda and top_k_index.numel() > CPU_ROWS:
        return _mix_in_parts(self, hidden_states, top_k_index, top_k_weights)
    return mix(self, hidden_states, top_k_index, top_k_weights, _int8_expert)


def mix(
    self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor,
    expert: Callable[[Any, int, Tensor, Tensor], None],
) -> Tensor:  # fmt: skip
    """The same for weights in any precision.

    Args:
        expert: called with the module, an expert's number, the states [n, H] that chose it, and where its output
            [n, H] goes.
    """
    chosen = top_k_index.reshape(-1)
    counts = _counts(chosen, len(self.gate_up_proj))
    order = torch.argsort(chosen, stable=True)  # [P]
    sorted_states = hidden_states[order // top_k_index.shape[1]]  # [P, H]
    mixed = torch.empty_like(sorted_states)
    runs = counts()
    for index, (states, out) in enumerate(zip(torch.split(sorted_states, runs), torch.split(mixed, runs), strict=True)):
        if len(states):
            expert(self, index, states, out)
    return _weighted_sum(mixed, order, top_k_weights)


def _with_8_bit_activations(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """`int8_experts` with 8-bit activations; a state is quantised once for all experts that it goes to."""
    mixed = int8_activations.experts(self, hidden_states, top_k_index, top_k_weights)
    if mixed is not None:
        return mixed
    q, scales = int8_activations.quantise_rows(hidden_states)
    chosen = top_k_index.reshape(-1)
    order = torch.argsort(chosen, stable=True)  # [P]
    tokens = order // top_k_index.shape[1]
    mixed = hidden_states.new_empty(len(order), hidden_states.shape[1])
    runs = _counts(chosen, len(self.gate_up_proj))()
    room = int8_activations.Room(hidden_states, int8_activations.ROWS)
    for index, (rows, out) in enumerate(zip(torch.split(tokens, runs), torch.split(mixed, runs), strict=True)):
        if len(rows):
            int8_activations.expert(self, index, q, scales, rows, out, room)
    return _weighted_sum(mixed, order, top_k_weights)


def _mix_in_parts(self: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    """`int8_experts` on a CPU, `CPU_ROWS` rows of an expert at a time."""
    chosen = top_k_index.reshape(-1)
    order = torch.argsort(chosen, stable=True)  # [P]
    tokens = order // top_k_index.shape[1]
    mixed = hidden_states.new_empty(len(order), hidden_states.shape[1])
    # Used again by every part, so that they stay in the processor's cache.
    gathered = hidden_states.new_empty(CPU_ROWS, hidden_states.shape[1])
    wide = hidden_states.new_empty(CPU_ROWS, self.gate_up_proj.shape[1])
    runs = _counts(chosen, len(self.gate_up_proj))()
    for index, (rows, out) in enumerate(zip(torch.split(tokens, runs), torch.split(mixed, runs), strict=True)):
        if not len(rows):
            continue
        rise = cast_product(self.gate_up_proj[index], self.gate_up_proj_scale[index], mixed.dtype, len(rows))
        fall = cast_product(self.down_proj[index], self.down_proj_scale[index], mixed.dtype, len(rows))
        for part, place in zip(torch.split(rows, CPU_ROWS), torch.split(out, CPU_ROWS), strict=True):
            count = len(part)
            rise(torch.index_select(hidden_states, 0, part, out=gathered[:count]), wide[:count])
            fall(gate(self, wide[:count]), place)
    return _weighted_sum(mixed, order, top_k_weights)


def _weighted_sum(mixed: Tensor, order: Tensor, top_k_weights: Tensor) -> Tensor:
    """[T, H] from the outputs of all pairs, mixed [P, H], sorted as `order` [P] says."""
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    places = places.view(top_k_weights.shape)
    if mixed.is_cuda and kernels_work():
        return triton_pointwise.combine(mixed, places, top_k_weights)
    # A weighted sum of rows by index, in one pass over them: 0.6 ms where gathering, multiplying and summing took 5.
    return F.embedding_bag(places, mixed, per_sample_weights=top_k_weights.to(mixed.dtype), mode="sum")


def _counts(chosen: Tensor, experts: int) -> Callable[[], list[int]]:
    """Asks how many of `chosen` [P] each expert has; the answer is waited for where it is called for.

    On CUDA the device goes on meanwhile with what was asked of it after. `bincount` would wait at once, for its largest
    value.
    """
    counts = torch.zeros(experts, dtype=torch.int64, device=chosen.device)
    counts.scatter_add_(0, chosen, torch.ones_like(chosen))
    if not chosen.is_cuda:
        return counts.tolist
    host = torch.empty(experts, dtype=torch.int64, pin_memory=True).copy_(counts, non_blocking=True)
    there = torch.cuda.Event()  # type: ignore[no-untyped-call]
    there.record()

    def wait() -> list[int]:
        there.synchronize()
        found: list[int] = host.tolist()
        return found

    return wait


def _int8_expert(self: Any, index: int, states: Tensor, out: Tensor) -> None:
    gated = gated_product(self, states, self.gate_up_proj[index], self.gate_up_proj_scale[index])
    scaled_product_into(gated, self.down_proj[index], self.down_proj_scale[index], out)


def register() -> None:
    """Make transformers know the function under `NAME`; does nothing the second time."""
    if NAME not in ALL_EXPERTS_FUNCTIONS:
        ALL_EXPERTS_FUNCTIONS.register(NAME, int8_experts)
