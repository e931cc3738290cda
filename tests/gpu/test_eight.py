"""8-bit states on a real GPU, against the slow twin: whole numbers to the bit, E4M3 to what its sums keep."""

import pytest
import torch
from torch import Tensor, nn
from transformers import MixtralConfig
from transformers.models.mixtral.modeling_mixtral import MixtralExperts

from pinpoint.engine.weights import triton_eight as eight
from pinpoint.engine.weights.triton_eight import Tiles
from tests.reference import int8 as twin

E4M3 = torch.float8_e4m3fn
# Tokens, hidden, width, experts, choices: whole tiles and cut ones, experts without a token, one choice.
SIZES = ((1, 64, 48, 4, 2), (5, 80, 96, 3, 2), (33, 128, 64, 8, 2), (70, 96, 112, 5, 1), (300, 256, 128, 3, 3))
TILES = (
    Tiles(16, 128, 256, 4, 4), Tiles(64, 128, 128, 4, 4), Tiles(64, 256, 128, 4, 4), Tiles(128, 128, 128, 8, 4),
    Tiles(128, 256, 128, 8, 3), Tiles(128, 256, 128, 8, 4, group=1), Tiles(128, 256, 128, 8, 3, copied=True),
)  # fmt: skip


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator("cuda").manual_seed(5)


def states(rows: int, inputs: int, generator: torch.Generator, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(rows, inputs, device="cuda", generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rows_are_quantised_as_by_the_twin(dtype: torch.dtype, generator: torch.Generator) -> None:
    x = states(40, 200, generator, dtype)
    x[0], x[1, 3], x[2, 5], x[3], x[4] = 0, torch.inf, torch.nan, 1e-40, 127.5
    x[5, :4] = torch.tensor([127.0, 0.5, 1.5, -2.5])
    found = eight.quantize_rows(x, torch.int8)
    for row, values in enumerate(x.float().cpu().numpy()):
        q, scale = twin.quantise(list(values))
        assert found.values[row].tolist() == q, row
        here = found.scales[row].item()
        assert here == scale or not (torch.isfinite(found.scales[row]).item() or abs(scale) < 1e30), row


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_experts_are_those_of_the_twin(size: tuple[int, ...], generator: torch.Generator) -> None:
    tokens, hidden, _, experts, choices = size
    module = made(size, torch.int8, generator)
    x = states(tokens, hidden, generator)
    index = torch.stack([torch.randperm(experts)[:choices] for _ in range(tokens)])
    index[index == experts - 1] = 0 if choices == 1 else experts - 1
    weights = torch.rand(tokens, choices)
    found = eight.experts(module, x, index.cuda(), weights.cuda())
    up = module.gate_up_proj.cpu(), module.gate_up_proj_scale.cpu()
    down = module.down_proj.cpu(), module.down_proj_scale.cpu()
    exact = twin.mixed(x.cpu(), index, weights, up, down)
    # A gate's last bit is the exponential's of the one or the other; it may carry a quantised number to its neighbour.
    torch.testing.assert_close(found.float().cpu(), exact, rtol=0.02, atol=0.01 * float(exact.abs().max()))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("dtype", [torch.int8, E4M3], ids=str)
def test_tiles_do_not_change_a_bit(dtype: torch.dtype, gated: bool, generator: torch.Generator) -> None:
    weight, scale = matrices((3, 2 * 96, 272), dtype, generator)
    starts = torch.tensor([0, 70, 70, 203], dtype=torch.int32, device="cuda")
    rows = eight.quantize_rows(states(203, 272, generator), dtype)
    tiles = [one for one in TILES if dtype == torch.int8 or one.rows >= 64]
    tiles = [one for one in tiles if not one.copied or torch.cuda.get_device_capability() >= (9, 0)]
    first, *others = (eight.product(rows, weight, scale, starts, torch.bfloat16, one, gated) for one in tiles)
    assert torch.isfinite(first.float()).all()
    for other in others:
        assert torch.equal(first, other)


@pytest.mark.parametrize("dtype", [torch.int8, E4M3], ids=str)
def test_a_row_has_the_same_bits_in_any_company(dtype: torch.dtype, generator: torch.Generator) -> None:
    module = made((0, 256, 512, 4, 2), dtype, generator)
    x = states(700, 256, generator)
    index = torch.randint(0, 3, (700, 1), device="cuda", generator=generator)
    index, weights = torch.cat([index, index + 1], 1), torch.rand(700, 2, device="cuda", generator=generator)
    whole = eight.experts(module, x, index, weights)
    for count in (1, 2, 17, 200, 699):
        assert torch.equal(whole[:count], eight.experts(module, x[:count], index[:count], weights[:count]))


@pytest.mark.parametrize("dtype", [torch.int8, E4M3], ids=str)
def test_a_linear_layer_sums_what_was_quantised(dtype: torch.dtype, generator: torch.Generator) -> None:
    (weight,), (scale,) = matrices((1, 72, 200), dtype, generator)
    x = states(90, 200, generator, torch.float32).view(2, 45, 200)
    rows = eight.quantize_rows(x.view(-1, 200), dtype)
    exact = (rows.values.double() @ weight.double().t()).float() * rows.scales[:, None] * scale
    found = eight.linear(x, weight, scale)
    assert found.shape == (2, 45, 72)
    if dtype == torch.int8:
        assert torch.equal(found.view(-1, 72), exact)
    else:
        torch.testing.assert_close(found.view(-1, 72), exact, rtol=0.01, atol=0.01 * float(exact.abs().max()))


def test_what_is_not_finite_stays_so(generator: torch.Generator) -> None:
    (weight,), (scale,) = matrices((1, 72, 200), torch.int8, generator)
    x = states(4, 200, generator)
    x[1, 7], x[2, 9] = torch.nan, -torch.inf
    finite = torch.isfinite(eight.linear(x, weight, scale)).all(1)
    assert finite.tolist() == [True, False, False, True]


def matrices(shape: tuple[int, int, int], dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Weights that use all of the dtype, and scales."""
    wide = torch.randn(shape, device="cuda", generator=generator).mul_(eight.LARGEST[dtype] / 3)
    wide.clamp_(-eight.LARGEST[dtype], eight.LARGEST[dtype])
    scale = torch.rand(shape[:2], device="cuda", generator=generator) / shape[2] ** 0.5 / eight.LARGEST[dtype]
    return (wide.round_() if dtype == torch.int8 else wide).to(dtype), scale


def made(size: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> MixtralExperts:
    """Mixtral's experts of this size, in 8 bits."""
    _, hidden, width, experts, choices = size
    config = MixtralConfig(
        hidden_size=hidden, intermediate_size=width, num_local_experts=experts, num_experts_per_tok=choices
    )
    with torch.device("meta"):
        module = MixtralExperts(config)
    for name, shape in (("gate_up_proj", (experts, 2 * width, hidden)), ("down_proj", (experts, hidden, width))):
        weight, scale = matrices(shape, dtype, generator)
        setattr(module, name, nn.Parameter(weight, requires_grad=False))
        setattr(module, f"{name}_scale", scale * 8)
    return module
