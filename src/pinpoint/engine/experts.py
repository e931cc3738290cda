"""The experts of a mixture in 8 bits, as a function that transformers calls for any model with fused experts.

Tokens are sorted by expert once; each expert is then one product over the tokens that chose it. The only wait for the
device is for the number of tokens of each expert.

Axes: T tokens, K experts chosen for each, E experts, H hidden, P = T·K token-expert pairs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from pinpoint.engine.int8 import scaled_product

NAME = "pinpoint_int8"


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
    tokens, choices = top_k_index.shape
    experts = self.gate_up_proj.shape[0]
    chosen = top_k_index.reshape(-1)
    order = torch.argsort(chosen, stable=True)  # [P]
    counts = torch.bincount(chosen, minlength=experts).tolist()
    sorted_states = hidden_states[order // choices]  # [P, H]
    mixed = torch.empty_like(sorted_states)
    start = 0
    for expert, count in enumerate(counts[:experts]):
        if count:
            stop = start + count
            wide = scaled_product(sorted_states[start:stop], self.gate_up_proj[expert], self.gate_up_proj_scale[expert])
            mixed[start:stop] = scaled_product(
                self._apply_gate(wide),
                self.down_proj[expert],
                self.down_proj_scale[expert],
            )
            start = stop
    by_choice = torch.empty_like(mixed)
    by_choice[order] = mixed
    weights = top_k_weights.unsqueeze(-1).to(mixed.dtype)  # [T, K, 1]
    return (by_choice.view(tokens, choices, -1) * weights).sum(dim=1)


def register() -> None:
    """Make transformers know the function under `NAME`; does nothing the second time."""
    if NAME not in ALL_EXPERTS_FUNCTIONS:
        ALL_EXPERTS_FUNCTIONS.register(NAME, int8_experts)
