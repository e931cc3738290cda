"""Products of 8-bit states with 8-bit weights, at the sizes of one layer of Mixtral 8x7B: what each way takes.

Ways: the tiles of `triton_eight`, its kernels besides, torch's own grouped product in E4M3
and what the worker does with 16-bit states. Tokens choose their experts at random, so experts differ in rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.mixtral.modeling_mixtral import MixtralExperts

from bench.gpu_model import mixtral_8x7b
from bench.gpu_rows import Row
from pinpoint.engine.weights import triton_eight as eight
from pinpoint.engine.weights.experts import int8_experts
from pinpoint.engine.weights.triton_eight import Tiles

HIDDEN, WIDTH, EXPERTS, CHOICES = 4096, 14336, 8, 2
E4M3 = torch.float8_e4m3fn
LARGE = (
    Tiles(128, 256, 128, 8, 3), Tiles(128, 256, 128, 8, 4), Tiles(128, 256, 128, 8, 3, 16, True),
    Tiles(128, 256, 128, 8, 4, 16, True), Tiles(128, 256, 128, 8, 3, 8, True), Tiles(128, 128, 128, 8, 4, 16, True),
)  # fmt: skip
SMALL = (Tiles(64, 256, 128, 4, 4), Tiles(64, 256, 128, 4, 4, 16, True), Tiles(64, 128, 128, 4, 4, 16, True))
FEW = (Tiles(16, 128, 256, 4, 4), Tiles(16, 64, 512, 4, 3))
LINEAR = (Tiles(128, 256, 128, 8, 3), Tiles(128, 128, 128, 8, 4), *LARGE[2:4], LARGE[5], *SMALL)


def seconds(run: Callable[[], object], reps: int = 12) -> float:
    """Median device time of a call, s."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    took = []
    for _ in range(reps):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        end.synchronize()
        took.append(begin.elapsed_time(end) / 1e3)
    return median(took)


class Layer:
    """One layer's experts in one dtype, and what its tokens chose."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        with torch.device("meta"):
            self.module: Any = MixtralExperts(mixtral_8x7b(1))
        for name, shape in (("gate_up_proj", (EXPERTS, 2 * WIDTH, HIDDEN)), ("down_proj", (EXPERTS, HIDDEN, WIDTH))):
            scale = (
                torch.empty(shape[:2], device="cuda")
                .uniform_(0.8, 1.2)
                .mul_(4 / shape[2] ** 0.5 / eight.LARGEST[dtype])
            )
            weight = torch.empty(shape, dtype=dtype, device="cuda")
            for expert in weight:
                wide = (
                    torch.randn(expert.shape, device="cuda")
                    .mul_(eight.LARGEST[dtype] / 4)
                    .clamp_(-eight.LARGEST[dtype], eight.LARGEST[dtype])
                )
                expert.copy_(wide.round_() if dtype == torch.int8 else wide)
            setattr(self.module, name, nn.Parameter(weight, requires_grad=False))
            setattr(self.module, f"{name}_scale", scale)

    def take(self, tokens: int) -> None:
        """States for so many tokens, and their experts."""
        self.states = torch.randn(tokens, HIDDEN, dtype=torch.bfloat16, device="cuda")
        scores = torch.randn(tokens, EXPERTS, device="cuda")
        weights, self.index = scores.softmax(-1).topk(CHOICES)
        self.weights = weights.to(torch.bfloat16)
        self.to = eight.route(self.index, EXPERTS)
        self.rows = eight.quantize_rows(self.states, self.dtype, self.to.places)
        self.gated = self.gate_up()
        self.between = eight.quantize_rows(self.gated, self.dtype)

    def gate_up(self, tiles: Tiles | None = None) -> Tensor:
        m = self.module
        return eight.product(
            self.rows, m.gate_up_proj, m.gate_up_proj_scale, self.to.starts, torch.bfloat16, tiles, True
        )

    def down(self, tiles: Tiles | None = None) -> Tensor:
        m = self.module
        return eight.product(self.between, m.down_proj, m.down_proj_scale, self.to.starts, torch.bfloat16, tiles)

    def all(self) -> Tensor:
        return eight.experts(self.module, self.states, self.index, self.weights)


def scaled_grouped(layer: Layer, x: eight.Rows, name: str, fast: bool) -> Tensor:
    """torch's grouped product in E4M3."""
    weight, scale = getattr(layer.module, name), getattr(layer.module, f"{name}_scale")
    return torch._scaled_grouped_mm(
        x.values, weight.transpose(1, 2), x.scales, scale, offs=layer.to.starts[1:], out_dtype=torch.bfloat16,
        use_fast_accum=fast,
    )  # fmt: skip


def reference(layer: Layer) -> Tensor:
    """Expert by expert in float64 from the quantised values: exact for whole numbers."""
    m, out = layer.module, torch.zeros(len(layer.states), HIDDEN, dtype=torch.float32, device="cuda")
    starts = layer.to.starts.tolist()
    order = torch.argsort(layer.index.reshape(-1), stable=True)
    assert torch.equal(order[layer.to.places.reshape(-1).long()], torch.arange(len(order), device="cuda"))
    for e in range(EXPERTS):
        pairs = order[starts[e] : starts[e + 1]]
        mine = slice(starts[e], starts[e + 1])
        rows, scales = layer.rows.values[mine].double(), layer.rows.scales[mine]
        wide = (rows @ m.gate_up_proj[e].double().t()).float() * scales[:, None] * m.gate_up_proj_scale[e]
        gate, up = wide.to(torch.bfloat16).float().chunk(2, -1)
        again = eight.quantize_rows((F.silu(gate) * up).to(torch.bfloat16), layer.dtype)
        fell = (
            (again.values.double() @ m.down_proj[e].double().t()).float() * again.scales[:, None] * m.down_proj_scale[e]
        )
        share = layer.weights.reshape(-1)[pairs].float()[:, None]
        out.index_add_(0, pairs // CHOICES, fell.to(torch.bfloat16).float() * share)
    return out


def gap(a: Tensor, b: Tensor) -> float:
    """‖a − b‖ / ‖b‖."""
    return ((a.double() - b.double()).norm() / b.double().norm()).item()


def quantised_on_host(x: Tensor, dtype: torch.dtype) -> eight.Rows:
    """`quantize_rows`, in torch."""
    x = x.float()
    largest = x.abs().amax(-1, keepdim=True)
    step = torch.full_like(largest, eight.LARGEST[dtype]) / largest
    scaled = torch.where(largest > 0, x * step, torch.zeros_like(x))
    values = scaled.round().to(dtype) if dtype == torch.int8 else scaled.clamp(-448, 448).to(dtype)
    return eight.Rows(values, (largest / torch.full_like(largest, eight.LARGEST[dtype]))[:, 0])


def measure(out: Path | None, sizes: tuple[int, ...] = (1, 16, 256, 1024, 2048, 8192)) -> list[Row]:
    """All of it; rows are ms and TFLOP/s."""
    rows: list[Row] = []

    def say(name: str, value: float | str, ok: bool | None = None) -> None:
        rows.append(Row("eight", name, value, "", ok))
        print(f"{name:100s} {value}", flush=True)

    def time(name: str, run: Callable[[], object], flop: float) -> None:
        try:
            took = seconds(run)
            say(name, f"{took * 1e3:.3f} ms, {flop / took / 1e12:.0f} TFLOP/s")
        except Exception as error:
            say(name, f"{type(error).__name__}: {str(error)[:160]}", False)

    for dtype in (torch.int8, E4M3):
        layer, short = Layer(dtype), "int8" if dtype == torch.int8 else "e4m3"
        for tokens in sizes:
            layer.take(tokens)
            pairs = tokens * CHOICES
            flop_up, flop_down = 2.0 * pairs * HIDDEN * 2 * WIDTH, 2.0 * pairs * WIDTH * HIDDEN
            at = f"{short} {tokens}"
            ours = layer.all()
            say(f"{at}: gap to the exact sums", gap(ours, reference(layer)))
            host = quantised_on_host(layer.states, dtype)
            found = eight.quantize_rows(layer.states, dtype)
            same = torch.equal(host.values.float(), found.values.float()) and torch.equal(host.scales, found.scales)
            say(f"{at}: quantised as on the host", str(same), same)
            narrow = layer.down()
            tiles = FEW if tokens <= 16 else SMALL if tokens == 256 else (*LARGE, *SMALL[1:2])
            for one in tiles:
                if dtype == E4M3 and one.rows < 64:
                    continue
                same = torch.equal(layer.gate_up(one), layer.gated)
                time(f"{at}: gate_up {tuple(one)} {'' if same else 'OTHER BITS'}", partial(layer.gate_up, one), flop_up)
                time(f"{at}: down {tuple(one)}", partial(layer.down, one), flop_down)
            time(f"{at}: quantise states", lambda: eight.quantize_rows(layer.states, dtype, layer.to.places), 0)
            time(f"{at}: quantise gated", lambda: eight.quantize_rows(layer.gated, dtype), 0)
            time(f"{at}: route", lambda: eight.route(layer.index, EXPERTS), 0)
            time(f"{at}: combine", lambda: eight.combine(narrow, layer.to.places, layer.weights), 0)
            time(f"{at}: experts, all", layer.all, flop_up + flop_down)
            if dtype == torch.int8:
                time(
                    f"{at}: experts with 16-bit states",
                    lambda: int8_experts(layer.module, layer.states, layer.index, layer.weights),
                    flop_up + flop_down,
                )
            elif tokens >= 2048:
                runs = layer.to.starts.diff().tolist()
                for fast in (True, False) if tokens >= 2048 else ():
                    word = "fast" if fast else "full"
                    for name, x, flop in (
                        ("gate_up_proj", layer.rows, flop_up),
                        ("down_proj", layer.between, flop_down),
                    ):
                        time(
                            f"{at}: torch grouped, {word}, {name}", partial(scaled_grouped, layer, x, name, fast), flop
                        )
                    try:
                        exact = torch.cat(
                            [
                                (a.double() @ layer.module.down_proj[e].double().t()).float()
                                * s[:, None]
                                * layer.module.down_proj_scale[e]
                                for e, (a, s) in enumerate(
                                    zip(layer.between.values.split(runs), layer.between.scales.split(runs), strict=True)
                                )
                            ]
                        )
                        say(
                            f"{at}: gap of torch grouped, {word}, down",
                            gap(scaled_grouped(layer, layer.between, "down_proj", fast), exact),
                        )
                        if fast:
                            say(f"{at}: gap of ours, down", gap(layer.down(), exact))
                    except Exception as error:
                        say(f"{at}: torch grouped", str(error)[:160], False)
        for tokens in (1024, 8192):
            x = torch.randn(tokens, HIDDEN, dtype=torch.bfloat16, device="cuda")
            rows_x = eight.quantize_rows(x, dtype)
            for outputs in (4096, 1024):
                weight, scale = layer.module.gate_up_proj[0][:outputs], layer.module.gate_up_proj_scale[0][:outputs]
                flop = 2.0 * tokens * HIDDEN * outputs
                for one in LINEAR:
                    time(
                        f"{short} {tokens}: linear {outputs} {tuple(one)}",
                        lambda one=one: eight.product(rows_x, weight[None], scale[None], None, torch.bfloat16, one),
                        flop,
                    )
                wide = weight.to(torch.bfloat16)
                time(f"{short} {tokens}: linear {outputs} in bf16", lambda: F.linear(x, wide), flop)
        del layer
        torch.cuda.empty_cache()
    if out is not None:
        (out / "eight.json").write_text(json.dumps([row.to_json() for row in rows], indent=1))
    return rows


if __name__ == "__main__":
    import os

    measure(Path(os.environ["OUT"]) if "OUT" in os.environ else None)
