"""A root-mean-square norm in the order of torch's kernel on CUDA, one number at a time, as
`engine/weights/eight_kernels.py` computes it.
"""

import numpy as np
import torch
from numpy import float32
from torch import Tensor

LANES, VECTOR = 32, 4


def squares(row: list[float32], warps: int) -> float32:
    """The sum of the squares of a row: thread t has numbers 4t … 4t + 3 of each run of 4 · 32 · warps."""
    threads = LANES * warps
    sums = [float32(0)] * threads
    for first in range(0, len(row), VECTOR):
        for value in row[first : first + VECTOR]:
            thread = first // VECTOR % threads
            sums[thread] = sums[thread] + value * value
    lanes = [sums[warp * LANES : (warp + 1) * LANES] for warp in range(warps)]
    return _halved([_halved(one) for one in lanes])


def _halved(sums: list[float32]) -> float32:
    """The later half onto the earlier one, until one is left."""
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [one + other for one, other in zip(sums[:half], sums[half:], strict=True)]
    return sums[0]


def norm(x: Tensor, weight: Tensor, epsilon: float, warps: int) -> Tensor:
    """x [N, H] with weight [H] → [N, H] in the dtype of x. 1/√ is correctly rounded here; a card may be a bit off."""
    out = torch.empty(x.shape, dtype=torch.float32)
    gain = weight.float().numpy()
    for place, values in enumerate(x.float().numpy()):
        mean = squares(list(values), warps) / float32(len(values))
        factor = float32(1 / np.sqrt(np.float64(mean + float32(epsilon))))
        out[place] = torch.from_numpy(gain * (factor * values))
    return out.to(x.dtype)
