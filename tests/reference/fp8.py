"""The slow, obviously right twin of `pinpoint.engine.weights.fp8`: E4M3 written out, products summed exactly.

Numpy alone. E4M3 has a sign, four bits of exponent (bias 7) and three of mantissa; the byte 127 is no number, and there
is no infinity, so 126 is the largest: 448. A value goes to the nearest one, between two to the one with an even byte.

A product of two values of E4M3 needs 8 bits and lies between 2^-18 and 2^18, so float64 sums 100,000 of them exactly
and in any order; what is computed in float32 may differ from it by the rounding of its sum.

Axes: N rows, O output channels, I input channels, H hidden, F width, T tokens, K experts chosen for each.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
LARGEST = np.float32(448)


def _value(byte: int) -> float:
    exponent, mantissa = byte >> 3 & 15, byte & 7
    return mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)


# Of the bytes 0 to 126: they rise.
VALUES = np.array([_value(byte) for byte in range(127)])


def e4m3(x: float) -> int:
    """The byte of the value nearest to x; beyond the largest, that of the largest."""
    apart = np.abs(VALUES - abs(float(x)))
    nearest = [int(byte) for byte in np.flatnonzero(apart == apart.min())]
    byte = nearest[0] if len(nearest) == 1 or nearest[0] % 2 == 0 else nearest[1]
    return byte | (128 if np.signbit(x) else 0)


def widened(values: Bytes) -> NDArray[np.float64]:
    """What bytes stand for."""
    found: NDArray[np.float64] = np.where(values < 128, 1.0, -1.0) * VALUES[values & 127]
    return found


def quantize(rows: Floats) -> tuple[Bytes, Floats]:
    """Finite rows [N, I] → the bytes [N, I] of x · (448 / max|x|), and the scales [N], max|x| / 448, in float32."""
    values, scales = np.zeros(rows.shape, np.uint8), np.zeros(len(rows), np.float32)
    for at, row in enumerate(rows.astype(np.float32)):
        largest = np.abs(row).max()
        scales[at] = largest / LARGEST
        with np.errstate(divide="ignore", over="ignore"):
            step = LARGEST / largest
        if np.isfinite(step):  # else of zeros, or too small
            values[at] = [e4m3(each) for each in row * step]
    return values, scales


def linear(x: Floats, weight: Bytes, scale: Floats) -> Floats:
    """x [N, I] times a weight [O, I] of bytes with scales [O] → [N, O]."""
    values, scales = quantize(x)
    sums = (widened(values) @ widened(weight).T).astype(np.float32)
    return sums * scales[:, None] * scale


def experts(
    states: Floats, chosen: NDArray[np.int64], shares: Floats, rise: tuple[Bytes, Floats], fall: tuple[Bytes, Floats]
) -> Floats:
    """The mixture of the experts that each token chose, in float32, gated as Mixtral's.

    Args:
        states: [T, H].
        chosen, shares: [T, K].
        rise, fall: bytes [E, 2F, H] and [E, H, F] with their scales [E, 2F] and [E, H].
    """
    mixed = np.zeros_like(states)
    for token, state in enumerate(states):
        for expert, share in zip(chosen[token], shares[token], strict=True):
            wide = linear(state[None], rise[0][expert], rise[1][expert])
            gate, up = np.split(wide, 2, axis=1)
            with np.errstate(over="ignore"):
                gated = (gate / (1 + np.exp(-gate.astype(np.float64)))).astype(np.float32) * up
            mixed[token] += share * linear(gated, fall[0][expert], fall[1][expert])[0]
    return mixed
