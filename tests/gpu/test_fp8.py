"""FP8 on a real GPU: the bytes that a CPU makes, products near the slow twin's, a model that is proved in it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pinpoint.engine.loading.load import load
from pinpoint.engine.proof import prove
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import fp8, triton_eight
from pinpoint.errors import ModelError
from pinpoint.planning.cards import FP8_CAPABILITY
from pinpoint.settings import Settings
from tests.numeric.sixteen_bits import save_embedded
from tests.reference import fp8 as slow

SIZES = ((1, 64, 48), (5, 200, 72), (33, 129, 257), (300, 1024, 96))


@pytest.fixture(autouse=True)
def card_with_it() -> None:
    if torch.cuda.get_device_capability() < FP8_CAPABILITY:
        pytest.skip("this card does not multiply FP8; that it is refused is tested without one")


def rows(count: int, inputs: int, seed: int) -> Tensor:
    """Of very different sizes, one of them zeros and one next to nothing."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(count, inputs, generator=generator) * torch.exp(5 * torch.randn(count, 1, generator=generator))
    if count > 2:
        found[0], found[1] = 0, 1e-40
    return found


def same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one.cpu().view(torch.uint8), other.cpu().view(torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_card_makes_the_bytes_that_a_cpu_makes(size: tuple[int, int, int], dtype: torch.dtype) -> None:
    weight = rows(size[2], size[1], 0).to(dtype)
    (values, scales), (theirs, their_scales) = fp8.quantize(weight), fp8.quantize(weight.cuda())
    assert same(values, theirs) and same(scales, their_scales)
    kernels = triton_eight.quantize_rows(weight.cuda(), torch.float8_e4m3fn)
    assert same(values, kernels.values) and same(scales, kernels.scales)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_product_is_near_the_twins(size: tuple[int, int, int]) -> None:
    x = rows(size[0], size[1], 1)
    weight, scale = fp8.quantize(rows(size[2], size[1], 2))
    expected = torch.from_numpy(slow.linear(x.numpy(), weight.view(torch.uint8).numpy(), scale.numpy()))
    found = fp8.scaled_product(x.cuda(), weight.cuda(), scale.cuda()).cpu()
    # The matrix units keep some 14 bits of a sum: an error is to be measured by what is summed, whose signs may cancel.
    # Computed so, with 14 bits, these sums are at most 0.0059 off.
    terms = ((x.double() ** 2) @ (weight.double() ** 2).T).sqrt() * scale + 1e-30
    assert float(((found - expected).abs() / terms).max()) < 0.01


def test_the_embedded_model_is_proved_on_the_card_and_nothing_of_it_is_wider(tmp_path: Path) -> None:
    folder = str(save_embedded(tmp_path / "m"))
    settings: dict[str, Any] = {"model_name": folder, "precision": "fp8", "buffer_gb": 1.0}
    loaded = load(Settings(**settings, device="cuda"))
    there = load(Settings(**settings, device="cpu")).model.state_dict()
    for name, tensor in loaded.model.state_dict().items():
        if tensor.dtype == torch.float8_e4m3fn or name.endswith("scale"):
            assert same(tensor, there[name]), name
    scorer = Scorer(loaded, 4096)
    found = prove(scorer)
    assert found.wrong is None and found.dtype == "bfloat16"


def test_a_card_before_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (8, 6))
    before = torch.cuda.memory_allocated()
    with pytest.raises(ModelError, match=r"compute capability 8\.6, and fp8 needs 8\.9"):
        load(Settings(model_name=str(save_embedded(tmp_path / "m")), precision="fp8", device="cuda"))
    assert torch.cuda.memory_allocated() == before
