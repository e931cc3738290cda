"""What quantised weights stand for, and their products, written out once more for the proof at load.

Nothing here is shared with what serves: values are widened by the formats' definitions, a product is one float32 matrix
product, and each row goes to its experts by their numbers, in a loop. Slow, and meant to be read.

Axes: N rows, O output channels, I input channels, E experts, T tokens, K experts chosen for each, H hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pinpoint.engine.weights import fp8, int8, nf4
from pinpoint.engine.weights.int8_activations import in_8_bits
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, WEIGHT, format_of, is_fused_experts, part_name
from pinpoint.planning.weight_bytes import NF4_BLOCK, NF4_GROUP

# Of a matrix, widened to float32 at a time, for the memory of it: 64 MB, and of nf4 as much for each of its steps.
CHUNK_ELEMENTS, CHUNK_ELEMENTS_OF_NF4 = 1 << 24, 1 << 21
# Dettmers et al., QLoRA (2023), appendix E.
NF4_LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


def size(module: Any, name: str) -> tuple[int, int]:
    """O and I of a module's weight, of one expert's where it has several."""
    if format_of(module) != nf4.METHOD:
        outputs, inputs = getattr(module, name).shape[-2:]
    elif name == WEIGHT:
        outputs, inputs = module.out_features, module.in_features
    else:
        outputs, inputs = module.nf4_sizes[name]
    return int(outputs), int(inputs)


def widened(module: Any, name: str, rows: slice, expert: int | None = None) -> Tensor:
    """Some rows of a weight in float32, [N, I].

    Args:
        module: a linear layer or fused experts, in any format.
        name: of its weight.
        rows: a range of the output channels.
        expert: whose; None of a linear layer.
    """
    method, held = format_of(module), _held(module, name, expert)
    if method == nf4.METHOD:
        outputs, inputs = size(module, name)
        start, stop, _ = rows.indices(outputs)
        numbers = torch.arange(start * inputs, stop * inputs, device=held[""].device)
        return _of_nf4(held, numbers)[0].view(-1, inputs)
    values = held[""][rows]
    if method == fp8.METHOD:
        return _of_e4m3(values).mul_(held[fp8.SCALE][rows].unsqueeze(-1))
    if method == int8.METHOD:
        return values.float().mul_(held[int8.SCALE][rows].unsqueeze(-1))
    return values.float()


def numbers_of_nf4(module: Any, name: str, numbers: Tensor, expert: int | None = None) -> tuple[Tensor, Tensor]:
    """Some numbers of a weight in nf4, counted row after row, in float32, and the scales of their groups of blocks."""
    held = _held(module, name, expert)
    return _of_nf4(held, numbers.to(held[""].device))


def _held(module: Any, name: str, expert: int | None) -> dict[str, Tensor]:
    """The parts of a weight, or of one expert's, by suffix."""
    parts = {suffix: getattr(module, part_name(name, suffix), None) for suffix in ("", *nf4.SUFFIXES[1:], int8.SCALE)}
    return {suffix: part if expert is None else part[expert] for suffix, part in parts.items() if part is not None}


def _of_e4m3(values: Tensor) -> Tensor:
    return _e4m3(values.device)[values.view(torch.uint8).int()]


@cache
def _e4m3(device: torch.device) -> Tensor:
    """Of each byte: a sign, four bits of exponent with a bias of 7, three of mantissa; without exponent, eighths."""

    def value(byte: int) -> float:
        exponent, mantissa = byte >> 3 & 15, byte & 7
        size = (1 + mantissa / 8) * 2.0 ** (exponent - 7) if exponent else mantissa / 8 * 2.0**-6
        return -size if byte & 128 else size

    return torch.tensor([value(byte) for byte in range(256)], device=device)


def _of_nf4(held: dict[str, Tensor], numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Of two numbers in a byte the first is in its upper half."""
    levels, sizes = _nf4_tables(numbers.device)
    pairs = held[""][numbers // 2].int()
    index = torch.where(numbers % 2 == 0, pairs >> 4, pairs & 15)
    blocks = numbers // NF4_BLOCK
    nested = held["nested_absmax"][blocks // NF4_GROUP]
    largest = sizes[held["absmax"][blocks].int()] * nested + held["offset"]
    return levels[index] * largest, nested


@cache
def _nf4_tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """What an index stands for, and a block's largest value."""
    from bitsandbytes.functional import create_dynamic_map

    sizes: Tensor = create_dynamic_map()  # type: ignore[no-untyped-call]
    return torch.tensor(NF4_LEVELS, device=device), sizes.to(device)


def product(x: Tensor, module: Any, name: str, expert: int | None = None) -> Tensor:
    """x [N, I] of any dtype, as it is, times the module's weight → float32 [N, O]."""
    outputs, inputs = size(module, name)
    step = max(1, (CHUNK_ELEMENTS_OF_NF4 if format_of(module) == nf4.METHOD else CHUNK_ELEMENTS) // inputs)
    starts = range(0, outputs, step)
    return torch.cat([x.float() @ widened(module, name, slice(at, at + step), expert).t() for at in starts], dim=1)


def linear(module: Any, x: Tensor) -> Tensor:
    """What a quantised linear layer should make of x [N, I], whose rows its format holds as they are."""
    out = product(x, module, WEIGHT)
    return out if module.bias is None else out + module.bias.float()


def mixture(module: Any, states: Tensor, chosen: Tensor, shares: Tensor, *, rounded: bool = True) -> Tensor:
    """What fused experts should make of states [T, H] whose rows their format holds as they are, float32 [T, H].

    Args:
        module: the experts.
        states: of tokens.
        chosen: [T, K] experts, by number.
        shares: [T, K] of each in the token's sum.
        rounded: what is gated as the format holds it, where it holds states in 8 bits.
    """
    held = _holding(module) if rounded else _as_it_is
    out, numbers = torch.zeros(states.shape, dtype=torch.float32, device=states.device), chosen.tolist()
    for expert in sorted({number for row in numbers for number in row}):
        places = [(token, at) for token, row in enumerate(numbers) for at, number in enumerate(row) if number == expert]
        tokens, at = torch.tensor(places, device=states.device).t()
        gated = module._apply_gate(product(states[tokens], module, EXPERT_WEIGHTS[0], expert))
        made = product(held(gated), module, EXPERT_WEIGHTS[1], expert)
        out.index_add_(0, tokens, made * shares[tokens, at].float().unsqueeze(-1))
    return out


def rounds(module: nn.Module) -> bool:
    """Whether a module's products round their states to 8 bits."""
    return format_of(module) == fp8.METHOD or in_8_bits(module)


def _holding(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """What is left of states in a module's products, each row by its largest value: integers, E4M3, or all of them."""
    if format_of(module) == fp8.METHOD:
        return lambda x: _in_steps(x, fp8.LARGEST, lambda wide: wide.to(torch.float8_e4m3fn).float())
    return (lambda x: _in_steps(x, 127.0, torch.round)) if in_8_bits(module) else _as_it_is


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _in_steps(x: Tensor, largest: float, nearest: Callable[[Tensor], Tensor]) -> Tensor:
    scale = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-30) / largest
    return nearest((x / scale).clamp(-largest, largest)) * scale


def own_mixture(module: Any, states: Tensor, chosen: Tensor, shares: Tensor) -> Tensor | None:
    """The same by the loop of the module's class over widened weights, no state rounded.

    What a family's experts do otherwise than most (a norm behind them, a limit) is in it, and may not be in ours.

    Returns:
        None where the class has none that takes its weights one expert after the other.
    """
    own = getattr(type(module).forward, "__wrapped__", None)
    try:
        return own and own(_Widened(module), states.float(), chosen, shares.float())
    except (AttributeError, TypeError):
        return None


def takes(module: Any) -> bool:
    """Whether a module is a quantised linear layer, or experts that `mixture` is about."""
    if format_of(module) is not None:
        return True
    plain = not getattr(module, "has_bias", True) and not getattr(module, "is_transposed", True)
    return is_fused_experts(module) and plain and hasattr(module, "_apply_gate")


class _Widened:
    """A module whose experts' matrices are widened where they are multiplied."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return _Experts(self._module, name) if name in EXPERT_WEIGHTS else getattr(self._module, name)


class _Experts:
    def __init__(self, module: Any, name: str) -> None:
        self._module, self._name = module, name

    def __getitem__(self, expert: Any) -> _Matrix:
        return _Matrix(self._module, self._name, int(expert))


class _Matrix:
    """One expert's, of which there is no more at a time than `product` takes; good for `F.linear` alone."""

    def __init__(self, module: Any, name: str, expert: int) -> None:
        self.of = module, name, expert

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.linear or len(args) != 2 or kwargs:
            return NotImplemented
        return product(args[0], *args[1].of)
