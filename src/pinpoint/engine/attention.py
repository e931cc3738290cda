"""Attention over a packed forest, as functions that transformers calls for any causal model.

The rule of the forest (a span sees itself causally and its ancestors fully) is computed in two ways from the same table:

* `DENSE`: one mask of T × T. Any device, any model, obviously right; memory and time grow with the square of the row.
* `SPANS`: never a mask of the whole row. The row is depth-first, so all that a span's descendants attend to is runs of the
  row: each run gives a partial attention with its log-sum-exp, and partial results merge exactly::

      m = max(a.lse, b.lse);  w_a = exp(a.lse − m);  w_b = exp(b.lse − m)
      out = (w_a · a.out + w_b · b.out) / (w_a + w_b)

The table reaches the functions as the keyword argument `spans` of the model's call. Without it (plain generation, say) they
hand over to transformers' own scaled-dot-product attention.

Axes: H query heads, G key-value heads, T row tokens, K past tokens, D head size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from pinpoint.engine.packing import PackedRow

DENSE = "pinpoint_dense"


@dataclass(slots=True)
class SpanTable:
    """Which tokens of a packed row see which, for the attention functions.

    Attributes:
        row: the packed forest.
        device: where the masks are needed.
    """

    row: PackedRow
    device: torch.device
    _masks: dict[int | None, Tensor] = field(default_factory=dict)

    def mask(self, window: int | None) -> Tensor:
        """[1, 1, T, T] bool: whether token i sees token j, no more than `window` positions back."""
        if window not in self._masks:
            seen = self.row.visible()
            if window is not None:
                positions = self.row.positions
                seen &= positions[:, None] - positions[None, :] < np.int64(window)
            self._masks[window] = torch.from_numpy(seen)[None, None].to(self.device)
        return self._masks[window]


def dense_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    spans: SpanTable | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """query [1, H, T, D], key and value [1, G, T, D] → [1, T, H, D]."""
    if spans is None:
        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
        return out, None
    out = F.scaled_dot_product_attention(
        query, key, value, attn_mask=spans.mask(sliding_window), scale=scaling, enable_gqa=True
    )
    return out.transpose(1, 2).contiguous(), None


def register() -> None:
    """Make transformers know the functions; does nothing the second time."""
    if DENSE not in ALL_ATTENTION_FUNCTIONS:
        AttentionInterface.register(DENSE, dense_attention)
