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

from pinpoint.engine import triton_grouped, triton_int8, triton_pointwise
from pinpoint.engine.int8_product import cast_product, few_rows, gate, gated_product, kernels_work, scaled_product_into

NAME = "pinpoint_int8"
# Rows of an expert at a time on a CPU, so that what lies between its two products stays in the processor's cache: 8,192
# tokens of the embedded model took 68 ms a layer at 512 rows, 77 at 128, 88 at 1,024, and 93 at once (2 cores).
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
    if few_rows(hidden_states) and len(hidden_states) <= triton_int8.MOST_TOKENS_OF_EXPERTS:
        return triton_int8.few_rows_experts(self, hidden_states, top_k_index, top_k_weights)
    if hidden_states.is_cuda and kernels_work() and triton_grouped.takes(self, top_k_index.numel(), hidden_states):
        return triton_grouped.grouped_experts(self, hidden_states, top_k_index, top_k_weights)
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
    tokens, choices = top_k_index.shape
    chosen = top_k_index.reshape(-1)
    counts = _counts(chosen, len(self.gate_up_proj))
    order = torch.argsort(chosen, stable=True)  # [P]
    sorted_states = hidden_states[order // choices]  # [P, H]
    mixed = torch.empty_like(sorted_states)
    runs = counts()
    for index, (states, out) in enumerate(zip(torch.split(sorted_states, runs), torch.split(mixed, runs), strict=True)):
        if len(states):
            expert(self, index, states, out)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order), device=order.device)
    places = places.view(tokens, choices)
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
    if len(states) > CPU_ROWS and not states.is_cuda:
        return _int8_expert_in_parts(self, index, states, out)
    gated = gated_product(self, states, self.gate_up_proj[index], self.gate_up_proj_scale[index])
    scaled_product_into(gated, self.down_proj[index], self.down_proj_scale[index], out)


def _int8_expert_in_parts(self: Any, index: int, states: Tensor, out: Tensor) -> None:
    rise = cast_product(self.gate_up_proj[index], self.gate_up_proj_scale[index], states.dtype, len(states))
    fall = cast_product(self.down_proj[index], self.down_proj_scale[index], states.dtype, len(states))
    wide = states.new_empty(CPU_ROWS, self.gate_up_proj.shape[1])
    for part, place in zip(torch.split(states, CPU_ROWS), torch.split(out, CPU_ROWS), strict=True):
        rise(part, wide[: len(part)])
        fall(gate(self, wide[: len(part)]), place)


def register() -> None:
    """Make transformers know the function under `NAME`; does nothing the second time."""
    if NAME not in ALL_EXPERTS_FUNCTIONS:
        ALL_EXPERTS_FUNCTIONS.register(NAME, int8_experts)
