"""Products of 8-bit states with 8-bit weights, at the sizes of one layer of Mixtral 8x7B: what each way takes.

Ways: the tiles of `triton_eight` and its kernels besides, torch's own grouped product in E4M3, and what the worker does
with 16-bit states. Tokens choose their experts at random, so experts differ in rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.mixtral.modeling_mixtral import MixtralExperts

from bench.gpu_model import mixtral_8x7b
from bench.gpu_rows import Row, at_most
from pinpoint.engine.weights import triton_eight as eight
from pinpoint.engine.weights import triton_pointwise
from pinpoint.engine.weights.experts import int8_experts
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from pinpoint.engine.weights.triton_eight import Tiles

PART = "eight"
HIDDEN, WIDTH, EXPERTS, CHOICES = 4096, 14336, 8, 2
SHAPES = {"gate_up_proj": (EXPERTS, 2 * WIDTH, HIDDEN), "down_proj": (EXPERTS, HIDDEN, WIDTH)}
E4M3 = torch.float8_e4m3fn
LARGE = (
    Tiles(128, 256, 128, 8, 3), Tiles(128, 256, 128, 8, 4), Tiles(128, 256, 128, 8, 3, copied=True),
    Tiles(128, 256, 128, 8, 3, 8), Tiles(128, 128, 128, 8, 4), Tiles(64, 256, 128, 4, 4),
)  # fmt: skip
SMALL = (Tiles(64, 256, 128, 4, 4), Tiles(64, 128, 128, 4, 4), Tiles(64, 128, 256, 4, 3))
FEW = (Tiles(16, 128, 256, 4, 4), Tiles(16, 64, 512, 4, 3))
# Outputs are rounded to bfloat16, 0.0017 of their size; E4M3 is summed in fewer bits than float32.
GAPS = {torch.int8: 0.002, E4M3: 0.005}
ROUNDS = 12


class Layer:
    """One layer's experts in one dtype, and what its tokens chose."""

    def __init__(self, dtype: torch.dtype) -> None:
        """Weights are normal, four deviations the largest number of the dtype."""
        self.dtype, largest = dtype, eight.LARGEST[dtype]
        with torch.device("meta"):
            self.module: Any = MixtralExperts(mixtral_8x7b(1))
        for name, shape in SHAPES.items():
            weight = torch.empty(shape, dtype=dtype, device="cuda")
            for expert in weight:
                wide = torch.randn(expert.shape, device="cuda").mul_(largest / 4).clamp_(-largest, largest)
                expert.copy_(wide.round_() if dtype == torch.int8 else wide)
            scale = torch.empty(shape[:2], device="cuda").uniform_(0.8, 1.2).mul_(4 / shape[2] ** 0.5 / largest)
            setattr(self.module, name, nn.Parameter(weight, requires_grad=False))
            setattr(self.module, f"{name}_scale", scale)

    def take(self, tokens: int) -> None:
        """States for so many tokens, and their experts."""
        self.states = torch.randn(tokens, HIDDEN, dtype=torch.bfloat16, device="cuda")
        weights, self.index = torch.randn(tokens, EXPERTS, device="cuda").softmax(-1).topk(CHOICES)
        self.weights = weights.to(torch.bfloat16)
        self.to = eight.route(self.index, EXPERTS)
        rows = eight.quantize_rows(self.states, self.dtype, self.to.places)
        self.rows = {"gate_up_proj": rows}
        self.gated = self.product("gate_up_proj")
        self.rows["down_proj"] = eight.quantize_rows(self.gated, self.dtype)

    def product(self, name: str, tiles: Tiles | None = None) -> Tensor:
        """The gated product, or the one behind it."""
        weight, scale = getattr(self.module, name), getattr(self.module, f"{name}_scale")
        gated = name == "gate_up_proj"
        return eight.product(self.rows[name], weight, scale, self.to.starts, torch.bfloat16, tiles, gated)

    def torch_grouped(self, name: str, fast: bool) -> Tensor:
        """torch's product in E4M3, without the gate."""
        weight, scale, x = getattr(self.module, name), getattr(self.module, f"{name}_scale"), self.rows[name]
        return torch._scaled_grouped_mm(
            x.values, weight.transpose(1, 2), x.scales, scale, offs=self.to.starts[1:], out_dtype=torch.bfloat16,
            use_fast_accum=fast,
        )  # fmt: skip

    def all(self) -> Tensor:
        """Everything from the states to the experts' mixture."""
        return eight.experts(self.module, self.states, self.index, self.weights)

    def with_16_bit_states(self) -> Tensor:
        """The worker's way for 16-bit states."""
        return int8_experts(self.module, self.states, self.index, self.weights)

    def exact(self) -> Tensor:
        """`product("down_proj")` summed in float64."""
        x, parts = self.rows["down_proj"], []
        runs = self.to.starts.diff().tolist()
        split = zip(torch.split(x.values, runs), torch.split(x.scales, runs), strict=True)
        for weight, scale, (rows, scales) in zip(
            self.module.down_proj, self.module.down_proj_scale, split, strict=True
        ):
            parts.append((rows.double() @ weight.double().t()).float() * scales[:, None] * scale)
        return torch.cat(parts)


def products(sizes: tuple[int, ...] = (1, 16, 256, 1024, 2048, 8192)) -> Iterator[Row]:
    """Milliseconds and TFLOP/s by size and way, and how far each kind is from exact sums."""
    for dtype in (torch.int8, E4M3):
        layer = Layer(dtype)
        for tokens in sizes:
            layer.take(tokens)
            yield from _of_size(layer, tokens)
        yield from _linear(dtype)
        del layer
        torch.cuda.empty_cache()


def _of_size(layer: Layer, tokens: int) -> Iterator[Row]:
    at = f"{str(layer.dtype).removeprefix('torch.')}, {tokens} tokens"
    flop = {name: 2.0 * tokens * CHOICES * shape[1] * shape[2] for name, shape in SHAPES.items()}
    exact = layer.exact()
    yield at_most(
        PART, f"{at}: gap of down_proj to exact sums", _gap(layer.product("down_proj"), exact), GAPS[layer.dtype]
    )
    for tiles in FEW if tokens <= 16 else SMALL if tokens == 256 else LARGE:
        if layer.dtype == E4M3 and tiles.rows < 64:
            continue  # not among those that sum in one order
        same = torch.equal(layer.product("gate_up_proj", tiles), layer.gated)
        yield Row(PART, f"{at}: the same bits by {tuple(tiles)}", str(same), "True", same)
        for name in EXPERT_WEIGHTS:
            yield _timed(f"{at}: {name} by {tuple(tiles)}", partial(layer.product, name, tiles), flop[name])
    for name in EXPERT_WEIGHTS:
        yield _timed(f"{at}: {name} as the worker makes it", partial(layer.product, name), flop[name])
    mixed = layer.product("down_proj")
    parts: dict[str, Callable[[], object]] = {
        "states quantised and put in order": partial(eight.quantize_rows, layer.states, layer.dtype, layer.to.places),
        "gated states quantised": partial(eight.quantize_rows, layer.gated, layer.dtype),
        "order of the experts": partial(eight.route, layer.index, EXPERTS),
        "weighted sum": partial(triton_pointwise.combine, mixed, layer.to.places, layer.weights),
    }
    for name, run in parts.items():
        yield _timed(f"{at}: {name}", run)
    yield _timed(f"{at}: all of the experts", layer.all, sum(flop.values()))
    if layer.dtype == torch.int8:
        yield _timed(f"{at}: all of the experts, 16-bit states", layer.with_16_bit_states, sum(flop.values()))
    elif tokens >= 2048:
        for fast in (True, False):
            word = "fast" if fast else "full"
            yield Row(PART, f"{at}: gap of torch's, {word} sums", _gap(layer.torch_grouped("down_proj", fast), exact))
            for name in EXPERT_WEIGHTS:
                yield _timed(
                    f"{at}: {name} by torch's, {word} sums", partial(layer.torch_grouped, name, fast), flop[name]
                )


def _linear(dtype: torch.dtype) -> Iterator[Row]:
    """Attention's projections, beside those of bfloat16 in both."""
    for tokens in (1024, 8192):
        x = torch.randn(tokens, HIDDEN, dtype=torch.bfloat16, device="cuda")
        rows = eight.quantize_rows(x, dtype)
        for outputs in (4096, 1024):
            wide = torch.randn(outputs, HIDDEN, dtype=torch.bfloat16, device="cuda")
            held, scale = eight.quantize_rows(wide, dtype)
            at, flop = (
                f"{str(dtype).removeprefix('torch.')}, {tokens} rows to {outputs}",
                2.0 * tokens * HIDDEN * outputs,
            )
            for tiles in (LARGE[0], LARGE[4], *SMALL[:2]):
                run = partial(eight.product, rows, held[None], scale[None], None, torch.bfloat16, tiles)
                yield _timed(f"{at}: by {tuple(tiles)}", run, flop)
            run = partial(eight.product, rows, held[None], scale[None], None, torch.bfloat16)
            yield _timed(f"{at}: as the worker makes it", run, flop)
            yield _timed(f"{at}: bfloat16", partial(F.linear, x, wide), flop)


def _timed(name: str, run: Callable[[], object], flop: float = 0.0) -> Row:
    """Median time on the device."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    took = []
    for _ in range(ROUNDS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        run()
        end.record()
        end.synchronize()
        took.append(begin.elapsed_time(end))
    ms = median(took)
    return Row(PART, name, f"{ms:.3f} ms" + (f", {flop / ms / 1e9:.0f} TFLOP/s" if flop else ""))


def _gap(a: Tensor, b: Tensor) -> float:
    """‖a − b‖ / ‖b‖."""
    return float((a.double() - b.double()).norm() / b.double().norm())
