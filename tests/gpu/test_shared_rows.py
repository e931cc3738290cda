"""Norms that quantise, on a real GPU: the bits of torch's norm and of the rows quantised after it; and whole passes."""

from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.mixtral.modeling_mixtral import MixtralRMSNorm

from bench.gpu_speed import forest_of
from pinpoint.engine.forward import recorded
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import shared_rows, triton_eight, triton_norm
from tests.gpu.two_layers import STATES, scores, two_layers
from tests.reference import norms as twin

E4M3 = torch.float8_e4m3fn
EPSILON = 1e-5


def states(rows: int, hidden: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Rows of many sizes, and a weight."""
    generator = torch.Generator("cuda").manual_seed(rows + hidden)
    x = torch.randn(rows, hidden, device="cuda", generator=generator)
    x *= torch.rand(rows, 1, device="cuda", generator=generator) * 6 + 0.01
    weight = torch.randn(hidden, device="cuda", generator=generator)
    return x.to(dtype), weight.to(dtype)


def bits(x: Tensor) -> Tensor:
    return x.view({1: torch.uint8, 2: torch.int16, 4: torch.int32}[x.element_size()])


@pytest.mark.parametrize(
    ("hidden", "dtype"),
    [(200, torch.bfloat16), (4096, torch.bfloat16), (4096, torch.float16)],
    ids=str,
)
def test_the_bits_are_those_of_two_kernels(hidden: int, dtype: torch.dtype) -> None:
    assert triton_norm._find_warps(torch.device("cuda", 0), dtype, hidden) is not None
    for rows in (1, 3, 700, 33_000 if hidden <= 4096 else 900):
        x, weight = states(rows, hidden, dtype)
        wanted = F.rms_norm(x, weight.shape, weight, EPSILON)
        for eight in (torch.int8, E4M3):
            found = triton_norm.norm(x[None], weight, EPSILON, eight)
            assert found is not None and found.shape == (1, rows, hidden)
            assert torch.equal(bits(found[0]), bits(wanted))
            kept, two = shared_rows.found(found, eight), triton_eight.quantize_rows(wanted, eight)
            assert kept is not None
            assert torch.equal(bits(kept.values), bits(two.values))
            assert torch.equal(bits(kept.scales), bits(two.scales))


def test_the_order_of_its_sums_is_the_twins() -> None:
    x, weight = states(3, 4096, torch.bfloat16)
    for warps in (4, 16):
        found = torch.empty(x.shape, device="cuda")
        triton_norm.write(x, weight, EPSILON, torch.int8, warps, found)
        wanted = twin.norm(x.cpu().float(), weight.cpu().float(), EPSILON, warps)
        # Both round 1/√, a card to within two of its last bits.
        torch.testing.assert_close(found.cpu(), wanted, rtol=4e-7, atol=0)


def test_rows_that_are_not_usual() -> None:
    """Zeros, numbers whose squares are nothing or infinite, and what is not finite."""
    x, weight = states(8, 4096, torch.bfloat16)
    x[0], x[1], x[2], x[3, 5], x[4, 6], x[5, ::2] = 0, 1e-38, 3e38, torch.inf, torch.nan, 0
    found = triton_norm.norm(x, weight, EPSILON, torch.int8)
    assert found is not None
    wanted = F.rms_norm(x, weight.shape, weight, EPSILON)
    assert torch.equal(found.nan_to_num(), wanted.nan_to_num())
    assert torch.equal(found.isnan(), wanted.isnan())
    kept, two = shared_rows.found(found, torch.int8), triton_eight.quantize_rows(wanted, torch.int8)
    assert kept is not None
    assert torch.equal(kept.values, two.values)
    assert torch.equal(kept.scales.isfinite(), two.scales.isfinite())
    assert torch.equal(kept.scales.nan_to_num(), two.scales.nan_to_num())


def test_it_is_the_familys_norm_but_for_where_it_rounds() -> None:
    x, weight = states(300, 4096, torch.bfloat16)
    own = MixtralRMSNorm(4096, EPSILON).cuda().bfloat16()
    own.weight.data.copy_(weight)
    found, wanted = triton_norm.norm(x, weight, EPSILON, torch.int8), own(x).detach()
    assert found is not None
    # Twice rounded against once: at most one step of bfloat16 each.
    assert bool(((found.float() - wanted.float()).abs() <= 2**-7 * wanted.float().abs()).all())


def test_what_the_kernel_does_not_take_has_two(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = states(4, 4096, torch.float32)
    assert triton_norm.norm(x, weight, EPSILON, torch.int8) is None
    x, weight = x.bfloat16(), weight.bfloat16()
    assert triton_norm.norm(x[:, ::2], weight[::2], EPSILON, torch.int8) is None
    monkeypatch.setattr(triton_norm, "_found", {})
    monkeypatch.setattr(triton_norm, "_find_warps", lambda *_: None)  # as if torch summed in another order
    assert triton_norm.norm(x, weight, EPSILON, torch.int8) is None


@pytest.fixture(scope="module", params=STATES)
def scorer(request: pytest.FixtureRequest) -> Iterator[Scorer]:
    """Two full-size layers with 8-bit states."""
    yield from two_layers(request.param)


def test_passes_have_the_same_bits_with_fewer_kernels(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    quantize = triton_eight.quantize_rows

    def noted(x: Tensor, dtype: torch.dtype, places: Tensor | None = None) -> triton_eight.Rows:
        asked.append(len(x))
        return quantize(x, dtype, places)

    monkeypatch.setattr(triton_eight, "quantize_rows", noted)
    forest = forest_of(scorer, 1030, 600)
    monkeypatch.setattr(shared_rows, "KEEP", False)
    before = scores(scorer, forest)
    # Of two layers: queries, keys and values, attention's output, the experts' states and what is gated.
    assert len(asked) == 12
    monkeypatch.setattr(shared_rows, "KEEP", True)
    asked.clear()
    assert scores(scorer, forest) == before
    assert len(asked) == 7  # the last layer's queries are of the wanted rows alone
    monkeypatch.setattr(triton_norm, "norm", lambda *_: None)
    asked.clear()
    assert scores(scorer, forest) == before
    assert len(asked) == 9


def test_recorded_passes_have_the_same_bits(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = forest_of(scorer, 1030, 600)
    monkeypatch.setattr(recorded, "RECORDED_LENGTHS", (1280,))
    monkeypatch.setattr(shared_rows, "KEEP", False)
    before = scores(scorer, forest)
    monkeypatch.setattr(shared_rows, "KEEP", True)
    assert scorer.record() == [1280]
    for _ in range(2):
        assert scores(scorer, forest) == before
