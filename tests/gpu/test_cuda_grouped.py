"""The kernel in CUDA for large products on Hopper, against Triton's: all bits, in both dtypes."""

import pytest
import torch
from torch import Tensor

from pinpoint.engine.weights import cuda_grouped, triton_eight
from pinpoint.engine.weights.triton_eight import Rows, Tiles
from tests.gpu.test_eight import made, matrices, states

E4M3 = torch.float8_e4m3fn
TILES = Tiles(128, 256, 128, 8, 3)
# Rows of each expert, inputs, results: whole tiles and cut ones, experts without a row, more tiles than the card has
# multiprocessors, the sizes of Mixtral.
SIZES = (
    ((128, 128), 512, 256), ((70, 0, 133, 0, 0, 0, 0, 1), 1040, 392), ((300, 5, 1000, 129, 128, 0, 64, 0), 528, 200),
    ((2050, 900, 1, 257, 640, 0, 0, 99), 2064, 776), ((0, 0, 3, 0), 512, 128), ((333,), 4096, 1032),
    ((900,), 14_336, 4096), ((500, 700, 31, 0), 4096, 14_336),
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available() and torch.cuda.get_device_capability() != (9, 0), reason="the kernel is Hopper's"
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator("cuda").manual_seed(5)


def by_cuda(
    x: Rows, weight: Tensor, scale: Tensor, starts: Tensor | None, dtype: torch.dtype = torch.bfloat16,
    gated: bool = False,
) -> Tensor:  # fmt: skip
    out = cuda_grouped.product(x.values, x.scales, weight, scale, starts, dtype, gated)
    assert out is not None, "the kernel was not made"
    return out


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.int8, E4M3], ids=str)
@pytest.mark.parametrize("gated", [False, True])
def test_the_bits_are_those_of_tritons_kernel(
    dtype: torch.dtype, gated: bool, size: tuple[tuple[int, ...], int, int], generator: torch.Generator
) -> None:
    rows, inputs, outputs = size
    weight, scale = matrices((len(rows), outputs * (2 if gated else 1), inputs), dtype, generator)
    x = triton_eight.quantize_rows(states(sum(rows), inputs, generator), dtype)
    ends = torch.tensor((0, *rows)).cumsum(0)
    starts = ends.to("cuda", torch.int32) if len(rows) > 1 else None
    for result in (torch.bfloat16, torch.float16):
        theirs = triton_eight.product(x, weight, scale, starts, result, TILES, gated)
        assert torch.isfinite(theirs).all() and theirs.any()
        for _ in range(3):
            assert torch.equal(by_cuda(x, weight, scale, starts, result, gated), theirs)


def test_what_is_not_finite_stays_so(generator: torch.Generator) -> None:
    weight, scale = matrices((1, 256, 512), torch.int8, generator)
    x = states(300, 512, generator)
    x[1, 7], x[200, 9] = torch.nan, -torch.inf
    found = by_cuda(triton_eight.quantize_rows(x, torch.int8), weight, scale, None)
    assert torch.where(~torch.isfinite(found).any(1))[0].tolist() == [1, 200]


@pytest.mark.parametrize("dtype", [torch.int8, E4M3], ids=str)
def test_experts_have_the_same_bits_by_either_and_in_any_company(
    dtype: torch.dtype, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = made((0, 2048, 1024, 4, 2), dtype, generator)
    x = states(4000, 2048, generator)
    index = torch.randint(0, 3, (4000, 1), device="cuda", generator=generator)
    index, weights = torch.cat([index, index + 1], 1), torch.rand(4000, 2, device="cuda", generator=generator)
    for weight in (module.gate_up_proj, module.down_proj):
        assert cuda_grouped.takes(8000, weight, torch.bfloat16)
    whole = triton_eight.experts(module, x, index, weights)
    for count in (1, 100, 700, 2500):
        assert torch.equal(whole[:count], triton_eight.experts(module, x[:count], index[:count], weights[:count]))
    monkeypatch.setattr(triton_eight, "PREFER_CUDA", False)
    assert torch.equal(whole, triton_eight.experts(module, x, index, weights))


@pytest.mark.parametrize("gated", [False, True])
def test_a_recorded_product_reads_what_is_there_when_it_runs(gated: bool, generator: torch.Generator) -> None:
    weight, scale = matrices((2, 1024, 512), torch.int8, generator)
    starts = torch.tensor([0, 250, 600], dtype=torch.int32, device="cuda")
    x = triton_eight.quantize_rows(states(600, 512, generator), torch.int8)
    first = by_cuda(x, weight, scale, starts, gated=gated)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = by_cuda(x, weight, scale, starts, gated=gated)
    graph.replay()
    assert torch.equal(out, first)
    other = triton_eight.quantize_rows(states(600, 512, generator), torch.int8)
    x.values.copy_(other.values)
    x.scales.copy_(other.scales)
    starts.copy_(torch.tensor([0, 17, 600]))
    graph.replay()
    assert torch.equal(out, triton_eight.product(other, weight, scale, starts, torch.bfloat16, TILES, gated))
    assert not torch.equal(out, first)
