"""Every kind of quantised module by itself: what it makes of a few rows against `plainly.py`.

The two ways through a model that the proof compares share its modules, so a fault inside of one is in both. Here each
kind (class, format, sizes, in what its inputs are held) is given rows of its own, for the first and the last module of
the kind: so many that every kernel which chooses by the number of rows has its turn, of which some are looked at; and
every expert has some of them.

The rows are such that 8 bits hold them as they are, in integers or E4M3: so nothing but a sum's rounding is left of a
linear layer, and a scale that is another channel's shows.

Axes: N rows, I input channels, T tokens, K experts chosen for each, H hidden.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pinpoint.engine.weights import fp8, plainly
from pinpoint.engine.weights.experts import CPU_ROWS
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, WEIGHT, format_of

LINEAR = "products of linear layers"
EXPERTS = "products of experts"
# Rows that are looked at; more where every expert is to be among them.
LOOKED_AT = 16
# On a card kernels are chosen by the rows: a few, some, nearly a whole pass; in sixteens, as the warm-up's, for which
# they are compiled. On a CPU only the experts' are.
ROWS_ON_CARD = (1, 4, 48, 1008, 4992)
ROWS_ON_CPU = (3, 40)
# Powers of two keep the rows what they are; with this one they are about as long as normed states.
UNIT = 2.0**-6


@dataclass(frozen=True, slots=True)
class Compared:
    """One module, given so many rows.

    Attributes:
        stage: `LINEAR` or `EXPERTS`.
        module: its name.
        apart: the largest share of its length that a row or a channel is apart; on the device still.
    """

    stage: str
    module: str
    rows: int
    apart: Tensor


@dataclass(slots=True)
class Calls:
    """How experts are called in a pass: K, and the dtype of the shares, by the identity of the module."""

    of: dict[int, tuple[int, torch.dtype]] = field(default_factory=dict)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Within the block, calls are looked at."""
        with ExitStack() as stack:
            for module in filter(_is_mixture, model.modules()):
                stack.callback(module.register_forward_pre_hook(self._look, with_kwargs=True).remove)
            yield

    def _look(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(("hidden_states", "top_k_index", "top_k_weights"), args, strict=False)) | kwargs
        if {"top_k_index", "top_k_weights"} <= given.keys():
            self.of[id(module)] = (given["top_k_index"].shape[-1], given["top_k_weights"].dtype)


@torch.inference_mode()
def compare(model: nn.Module, dtype: torch.dtype, most_rows: int, calls: Calls) -> list[Compared]:
    """Each kind of module against its twin.

    Args:
        model: on its device.
        dtype: that it is computed in.
        most_rows: of a pass.
        calls: what was seen of its experts in one; those that were not called as experts are, are left out.
    """
    found: list[Compared] = []
    for name, module in _of_each_kind(model):
        generator = torch.Generator(next(module.parameters()).device).manual_seed(0)
        if not _is_mixture(module):
            found += _linear(name, module, dtype, most_rows, generator)
        elif id(module) in calls.of:
            found += _experts(name, module, dtype, most_rows, calls.of[id(module)], generator)
    return found


def _of_each_kind(model: nn.Module) -> list[tuple[str, Any]]:
    """The first and the last of each kind."""
    kinds: dict[Any, list[tuple[str, Any]]] = {}
    for name, module in model.named_modules():
        if plainly.takes(module):
            sizes = tuple(plainly.size(module, weight) for weight in _weights(module))
            bias, held_in = getattr(module, "bias", None) is None, getattr(module, "activations", None)
            kinds.setdefault((type(module), format_of(module), sizes, bias, held_in), []).append((name, module))
    return [one for alike in kinds.values() for one in (alike if len(alike) < 2 else (alike[0], alike[-1]))]


def _weights(module: Any) -> Sequence[str]:
    return EXPERT_WEIGHTS if _is_mixture(module) else (WEIGHT,)


def _is_mixture(module: Any) -> bool:
    return hasattr(module, EXPERT_WEIGHTS[0]) and plainly.takes(module)


def _linear(
    name: str, module: Any, dtype: torch.dtype, most_rows: int, generator: torch.Generator
) -> Iterator[Compared]:
    device, (_, inputs) = module.weight.device, plainly.size(module, WEIGHT)
    for count in _counts(ROWS_ON_CARD if module.weight.is_cuda else ROWS_ON_CPU, most_rows):
        x = rows(count, inputs, format_of(module) == fp8.METHOD, generator).to(device, dtype)
        some = _spread(count, LOOKED_AT).to(device)
        yield Compared(LINEAR, name, count, apart(module(x)[some], plainly.linear(module, x[some])))


def _experts(
    name: str, module: Any, dtype: torch.dtype, most_rows: int, called: tuple[int, torch.dtype],
    generator: torch.Generator,
) -> Iterator[Compared]:  # fmt: skip
    first, (each, share_dtype) = getattr(module, EXPERT_WEIGHTS[0]), called
    device, (_, inputs) = first.device, plainly.size(module, EXPERT_WEIGHTS[0])
    counts = _counts(ROWS_ON_CARD if first.is_cuda else (ROWS_ON_CPU[0], CPU_ROWS // each + 1), most_rows)
    for count in counts:
        x = rows(count, inputs, format_of(module) == fp8.METHOD, generator).to(device, dtype)
        chosen, shares = routes(count, len(first), each, generator)
        chosen, shares = chosen.to(device), shares.to(device, share_dtype)
        some = _spread(count, max(LOOKED_AT, -(-len(first) // each))).to(device)
        given = x[some], chosen[some], shares[some]
        for ours, theirs in _pairs(module, module(x, chosen, shares)[some], *given):
            yield Compared(EXPERTS, name, count, apart(ours, theirs))


def _pairs(
    module: Any, made: Tensor, states: Tensor, chosen: Tensor, shares: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """What a module made, and what is to be compared: with the class's own loop; where states are rounded in between,
    with ours, and ours without rounding with the class's own.
    """
    own = plainly.own_mixture(module, states, chosen, shares)
    if own is None or plainly.rounds(module):
        if format_of(module) is not None:
            yield made, plainly.mixture(module, states, chosen, shares)
            if own is not None:
                yield plainly.mixture(module, states, chosen, shares, rounded=False), own
    else:
        yield made, own


def _counts(wanted: Sequence[int], most: int) -> list[int]:
    return sorted({min(count, most) for count in wanted})


def rows(count: int, inputs: int, floats: bool, generator: torch.Generator) -> Tensor:
    """Rows [N, I] that 8 bits hold as they are: integers up to 127, or values of E4M3 up to 448, times `UNIT`; on
    the generator's device, since a card is told thousands of them.
    """
    device = generator.device
    wide = torch.randn(count, inputs, generator=generator, device=device) * 64
    if floats:
        wide = wide.clamp(-fp8.LARGEST, fp8.LARGEST).to(torch.float8_e4m3fn).float()
    else:
        wide = wide.round().clamp(-127, 127)
    places = torch.randint(inputs, (count, 1), generator=generator, device=device)
    return wide.scatter_(1, places, fp8.LARGEST if floats else 127.0) * UNIT


def routes(count: int, experts: int, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Experts [T, K], all in turn and none twice for a token, and their shares, all different."""
    device = generator.device
    order = torch.randperm(experts, generator=generator, device=device)
    chosen = order[torch.arange(count * each, device=device).view(count, each) % experts]
    shares = torch.rand(count, each, generator=generator, device=device) + 0.5
    return chosen, shares / shares.sum(dim=1, keepdim=True)


def apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """The largest share of its length that a row [N, O] is apart, or a channel over all rows where there are enough of
    them to even out what rounding does to one value: among thousands of channels, one that is wrong hides in a row.

    Of rows and channels that are shorter than usual, it is the share of the usual length.
    """
    difference = ours.float() - theirs
    farthest = _largest_share(difference, theirs, -1)
    if len(theirs) >= LOOKED_AT:
        farthest = torch.maximum(farthest, _largest_share(difference, theirs, 0))
    return farthest


def _largest_share(difference: Tensor, of: Tensor, axis: int) -> Tensor:
    length = of.norm(dim=axis)
    share = difference.norm(dim=axis) / torch.maximum(length, length.median()).clamp_min(1e-30)
    return torch.where(share.isfinite(), share, torch.inf).max()


def _spread(count: int, most: int) -> Tensor:
    """The numbers of some of so many rows: the first in one piece, with all experts among them, and two later ones."""
    if count <= most + 2:
        return torch.arange(count)
    return torch.cat([torch.arange(most), torch.tensor([count // 2, count - 1])])
