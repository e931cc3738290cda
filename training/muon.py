"""Muon over many small matrices at once: those of one shape are orthogonalised in one batched product.

It does what `torch.optim.Muon` does with `adjust_lr_fn="match_rms_adamw"` (Jordan et al. 2024; Liu et al. 2025), which
takes each matrix by itself: on a GPU the launches for 24 matrices, not their arithmetic, then set the pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
EPS = 1e-7
STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315  # of the quintic that drives all singular values towards 1


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay. All parameters are matrices."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override, unused-ignore]
        """Take one step; `closure` is not supported."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for matrix in group["params"]:
                by_shape.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in by_shape.items():
                gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
                for matrix, gradient in zip(matrices, gradients, strict=True):
                    if not self.state[matrix]:
                        self.state[matrix]["momentum"] = torch.zeros_like(gradient)
                buffers = [self.state[matrix]["momentum"] for matrix in matrices]
                torch._foreach_lerp_(buffers, gradients, 1 - MOMENTUM)
                updates = orthogonal(torch.stack(torch._foreach_lerp(gradients, buffers, MOMENTUM)))
                torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
                rate = group["lr"] * 0.2 * max(shape) ** 0.5
                torch._foreach_add_(matrices, list(updates.to(matrices[0].dtype).unbind()), alpha=-rate)


def orthogonal(matrices: Tensor) -> Tensor:
    """[N, rows, columns] in bfloat16: each with its singular values near 1, by Newton and Schulz's iteration."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPS)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=B, alpha=C), x, beta=A)
    return x.mT if tall else x
