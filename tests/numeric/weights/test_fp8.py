"""E4M3: the bytes and products of its slow twin, none of a model's matrices forgotten, refused where no card has it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pinpoint.engine.loading import load
from pinpoint.engine.loading.checkpoint import read_config
from pinpoint.engine.loading.checkpoint_writer import write
from pinpoint.engine.loading.finite import check_finite
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.loading.quantize_job import prepare
from pinpoint.engine.weights import fixed_rows, fp8, triton_eight
from pinpoint.engine.weights.fp8 import Fp8Config, Fp8Linear, Fp8Quantizer, fp8_experts, quantize, scaled_product
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, format_of
from pinpoint.errors import ModelError
from pinpoint.settings import Settings
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.peak_bytes import measured
from tests.reference import fp8 as slow

E4M3 = torch.float8_e4m3fn
SHAPES = [(5, 7), (3, 33), (1, 1), (9, 64), (2, 130)]


def as_bytes(values: Tensor) -> np.ndarray[Any, np.dtype[np.uint8]]:
    found: np.ndarray[Any, np.dtype[np.uint8]] = values.view(torch.uint8).numpy()
    return found


def random_rows(seed: int, shape: tuple[int, ...], exponent: float = 0.0) -> Tensor:
    """Rows of very different sizes, one of them zeros where there are several."""
    generator = torch.Generator().manual_seed(seed)
    rows: Tensor = torch.randn(shape, generator=generator) * 10.0**exponent
    rows *= torch.exp(3 * torch.randn((*shape[:-1], 1), generator=generator))
    if shape[0] > 1:
        rows[-1] = 0
    return rows


def test_every_byte_is_what_torch_takes_it_for() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(E4M3)
    ours, theirs = fp8._widened(every), every.float()
    assert torch.equal(ours.isnan(), theirs.isnan()) and torch.equal(ours.nan_to_num(), theirs.nan_to_num())
    numbers = (every.view(torch.uint8) & 127) != 127
    assert np.array_equal(slow.widened(as_bytes(every[numbers])), theirs[numbers].double().numpy())


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32), st.sampled_from(SHAPES), st.floats(-30, 30), st.sampled_from([torch.float32, torch.bfloat16])
)
def test_the_bytes_are_those_of_the_twin(
    seed: int, shape: tuple[int, int], exponent: float, dtype: torch.dtype
) -> None:
    weight = random_rows(seed, shape, exponent).to(dtype)
    values, scales = quantize(weight)
    expected, expected_scales = slow.quantize(weight.float().numpy())
    assert (values.dtype, scales.dtype, values.shape, scales.shape) == (E4M3, torch.float32, shape, shape[:1])
    assert np.array_equal(as_bytes(values), expected)
    assert np.array_equal(scales.numpy(), expected_scales)


def test_between_two_values_it_is_the_even_one_and_nothing_is_above_the_largest() -> None:
    """The largest of the row makes the step 1, so that the others are E4M3's own numbers and what lies between them."""
    row = [448.0, 17.0, 19.0, 2.0**-10, 3 * 2.0**-10, 2.0**-10 * 1.001, -17.0, 447.9, 433.0]
    values, scales = quantize(torch.tensor([row]))
    assert values.float().tolist() == [[448, 16, 20, 0, 2.0**-8, 2.0**-9, -16, 448, 448]]
    assert scales.tolist() == [1.0]
    # A last bit above 448 is no NaN.
    many = torch.rand(4096, 1, generator=torch.Generator().manual_seed(0)) + 0.5
    assert (quantize(many)[0].float() == 448).all()


def test_a_value_is_kept_to_a_sixteenth_of_itself_or_a_step_of_the_smallest() -> None:
    weight = random_rows(0, (64, 256)).bfloat16()
    values, scales = quantize(weight)
    apart = (values.float() * scales.unsqueeze(-1) - weight.float()).abs()
    smallest = scales.unsqueeze(-1) * 2.0**-10
    assert (apart <= torch.maximum(weight.float().abs() / 16, smallest) * (1 + 1e-5)).all()


@pytest.mark.parametrize("row", [[0.0, -0.0, 0.0], [1e-40, -2e-40, 0.0]])
def test_rows_of_zeros_and_of_next_to_nothing_are_zeros(row: list[float]) -> None:
    values, scales = quantize(torch.tensor([row]))
    assert (values.float() == 0).all() and scales.isfinite().all()
    assert (scaled_product(torch.ones(2, 3), values, scales) == 0).all()
    assert (scaled_product(torch.tensor([row]), *quantize(torch.ones(4, 3))) == 0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_shows_in_the_scale_of_its_row_alone(bad: float) -> None:
    weight = torch.ones(2, 4)
    weight[1, 2] = bad
    values, scales = quantize(weight)
    assert scales.isfinite().tolist() == [True, False]
    assert values.float().isfinite().all()


@pytest.mark.parametrize("byte", [127, 255])
def test_bytes_that_are_no_numbers_are_found_in_a_checkpoint(byte: int) -> None:
    every = torch.arange(256, dtype=torch.uint8)
    sound = every[(every & 127) != 127]
    check_finite("w", sound.view(E4M3))
    check_finite("w", sound[:0].view(E4M3))
    with pytest.raises(ModelError, match="not finite"):
        check_finite("w", torch.cat([sound, torch.tensor([byte], dtype=torch.uint8)]).view(E4M3))


def test_chunks_leave_no_trace_and_no_more_than_one_is_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = random_rows(0, (64, 128)).bfloat16()
    whole = quantize(weight)
    for chunk_elements in (1, 8 * 128, 900):
        monkeypatch.setattr(fp8, "CHUNK_ELEMENTS", chunk_elements)
        again = quantize(weight)
        assert np.array_equal(as_bytes(whole[0]), as_bytes(again[0])) and torch.equal(whole[1], again[1])
    monkeypatch.setattr(fp8, "CHUNK_ELEMENTS", 8 * 128)
    kept = weight.numel() + 4 * len(weight)
    assert kept < measured(lambda: quantize(weight)) <= kept + 4 * 4 * fp8.CHUNK_ELEMENTS


def test_rows_that_do_not_lie_in_one_piece_are_quantised_as_those_that_do() -> None:
    weight = random_rows(0, (32, 48))
    values, scales = quantize(weight.t())
    expected = quantize(weight.t().contiguous())
    assert values.is_contiguous()
    assert np.array_equal(as_bytes(values), as_bytes(expected[0])) and torch.equal(scales, expected[1])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([(1, 1, 1), (3, 5, 7), (7, 33, 65), (2, 9, 300)]))
def test_a_product_is_the_twins(seed: int, sizes: tuple[int, int, int]) -> None:
    rows, outputs, inputs = sizes
    x, (weight, scale) = random_rows(seed, (rows, inputs)), quantize(random_rows(seed + 1, (outputs, inputs)))
    expected = slow.linear(x.numpy(), as_bytes(weight), scale.numpy())
    found = scaled_product(x, weight, scale)
    size = np.abs(expected).max(axis=1, keepdims=True) + 1e-30
    assert (np.abs(found.numpy() - expected) <= 1e-5 * size).all()
    stacked = scaled_product(x[None, :, None], weight, scale)
    assert stacked.shape == (1, rows, 1, outputs)
    torch.testing.assert_close(stacked.view(rows, outputs), found, rtol=1e-5, atol=1e-5 * float(size.max()))
    # In bfloat16 it is rounded once.
    narrow = scaled_product(x.bfloat16(), weight, scale)
    once = torch.from_numpy(slow.linear(x.bfloat16().float().numpy(), as_bytes(weight), scale.numpy()))
    assert narrow.dtype == torch.bfloat16
    torch.testing.assert_close(narrow.float(), once, rtol=2.0**-8, atol=1e-5 * float(size.max()))


class OneLayer(nn.Module):
    """Fused experts as the quantizer leaves them, on their own."""

    def __init__(self, experts: int, width: int, hidden: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        quantizer = Fp8Quantizer(Fp8Config(), pre_quantized=False)
        for name, shape in zip(EXPERT_WEIGHTS, ((2 * width, hidden), (hidden, width)), strict=True):
            weight = torch.randn(experts, *shape, generator=generator)
            for key, part in quantizer.expert_parts(name, experts, weight).items():
                setattr(self, key, part)

    def _apply_gate(self, wide: Tensor) -> Tensor:
        gate, up = wide.chunk(2, dim=-1)
        return nn.functional.silu(gate) * up


def twin(layer: Any, states: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
    rise, fall = ((as_bytes(getattr(layer, w)), getattr(layer, f"{w}_scale").numpy()) for w in EXPERT_WEIGHTS)
    return torch.from_numpy(slow.experts(states.numpy(), chosen.numpy(), shares.numpy(), rise, fall))


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32), st.sampled_from([(4, 24, 32), (3, 5, 7), (1, 16, 64), (6, 3, 11)]), st.integers(1, 17),
    st.integers(0, 5),
)  # fmt: skip
def test_experts_are_mixed_as_the_twin_does(seed: int, sizes: tuple[int, int, int], tokens: int, unused: int) -> None:
    """Of odd sizes, and with experts that nobody chose."""
    experts, _, hidden = sizes
    layer: Any = OneLayer(*sizes)
    states = random_rows(seed, (tokens, hidden))
    generator = torch.Generator().manual_seed(seed)
    some = max(1, experts - unused)  # the others are chosen by no token
    chosen = torch.rand(tokens, some, generator=generator).argsort(dim=1)[:, : min(2, some)]
    shares = torch.rand(chosen.shape, generator=generator)
    mixed, expected = fp8_experts(layer, states, chosen, shares), twin(layer, states, chosen, shares)
    assert mixed.dtype == torch.float32
    # A gated value next to a tie may turn, by an eighth of itself, and its row with it: one in 100,000 of them.
    apart = ((mixed - expected).abs() / (expected.abs().amax(dim=1, keepdim=True) + 1e-30)).amax(dim=1)
    assert (apart <= 2e-5).sum() >= tokens - 1
    assert float(apart.max()) < 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_deterministic_a_row_has_the_same_bits_in_any_company(dtype: torch.dtype) -> None:
    layer: Any = OneLayer(4, 40, 72)
    states, generator = random_rows(3, (37, 72)).to(dtype), torch.Generator().manual_seed(3)
    chosen = torch.rand(37, 4, generator=generator).argsort(dim=1)[:, :2]
    shares = torch.rand(37, 2, generator=generator)
    with fixed_rows.holding():
        together = fp8_experts(layer, states, chosen, shares)
        for count in (1, 2, 5, 36):
            alone = fp8_experts(layer, states[-count:], chosen[-count:], shares[-count:])
            assert torch.equal(alone, together[-count:]), count


@pytest.fixture(scope="module", params=["mixtral", "qwen2", "qwen3_moe"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoadedModel]:
    """A 16-bit checkpoint, and the model that is loaded from it in FP8."""
    folder, tokenizer = tmp_path_factory.mktemp(request.param), chatml_tokenizer()
    save_random(configurations(len(tokenizer))[request.param], tokenizer, folder)
    return folder, load_cpu(folder, precision="fp8")


def test_no_matrix_is_left_in_more_than_8_bits(saved: tuple[Path, LoadedModel]) -> None:
    _, loaded = saved
    assert loaded.precision == "fp8"
    assert [n for n, m in loaded.model.named_modules() if type(m) is nn.Linear and n != "lm_head"] == []
    held = [module for module in loaded.model.modules() if format_of(module) is not None]
    assert {format_of(module) for module in held} == {fp8.METHOD}
    fused = [module for module in held if not isinstance(module, Fp8Linear)]
    mixture = loaded.model.config.model_type != "qwen2"
    assert len(fused) == (loaded.model.config.num_hidden_layers if mixture else 0)
    assert all(getattr(module, name).dtype == E4M3 for module in fused for name in EXPERT_WEIGHTS)
    assert not mixture or loaded.model.config._experts_implementation == fp8.METHOD


def test_a_written_checkpoint_says_what_it_holds_and_is_read_as_it_was_streamed(
    saved: tuple[Path, LoadedModel], tmp_path: Path
) -> None:
    source, streamed = saved
    write(prepare(source, tmp_path / "made", "fp8"))
    with safe_open(tmp_path / "made" / "model.safetensors", framework="pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F8_E4M3", "F32", "BF16"}  # noqa: SIM118
    again = load_cpu(tmp_path / "made", precision="auto")
    assert again.precision == "fp8"
    ours, theirs = again.model.state_dict(), streamed.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype, name
        assert torch.equal(tensor.view(torch.uint8), theirs[name].view(torch.uint8)), name


def test_a_published_checkpoint_with_a_byte_that_is_no_number_is_refused(
    saved: tuple[Path, LoadedModel], tmp_path: Path
) -> None:
    write(prepare(saved[0], tmp_path, "fp8"))
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.1.self_attn.q_proj.weight"
    weights[name].view(torch.uint8)[3, 5] = 255
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError) as caught:
        load_cpu(tmp_path, precision="fp8")
    assert (caught.value.code, name in caught.value.message) == ("weight_not_finite", True)


def test_a_bias_is_kept() -> None:
    bias, weight, x = torch.randn(6), torch.randn(6, 64), torch.randn(3, 64)
    layer = Fp8Linear(64, 6, bias)
    for suffix, part in Fp8Quantizer(Fp8Config(), pre_quantized=False).quantize(weight).items():
        setattr(layer, suffix or "weight", nn.Parameter(part, requires_grad=False))
    torch.testing.assert_close(layer(x), scaled_product(x, layer.weight, layer.scale) + bias)


# Where there is no product for it


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[int, int]], None]:
    """Makes torch believe in a card of 2 GB with a compute capability."""

    monkeypatch.setattr(load, "kernels_work", lambda: True)

    def believe(capability: tuple[int, int]) -> None:
        for name, answer in {
            "get_device_capability": capability, "get_device_name": "NVIDIA A100", "mem_get_info": (2 * 10**9,) * 2,
            "set_per_process_memory_fraction": None, "memory_reserved": 0,
        }.items():  # fmt: skip
            monkeypatch.setattr(torch.cuda, name, lambda *_, answer=answer: answer)

    return believe


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6)])
def test_a_card_without_it_is_refused_in_words_before_loading(
    capability: tuple[int, int], saved: tuple[Path, LoadedModel], card: Callable[[tuple[int, int]], None]
) -> None:
    card(capability)
    config, device = read_config(saved[0]), torch.device("cuda", 0)
    with pytest.raises(ModelError) as caught:
        load.settle_precision(Settings(precision="fp8"), config, "x/y", device)
    assert (caught.value.code, caught.value.field) == ("precision_unsuitable", "PINPOINT_PRECISION")
    assert f"NVIDIA A100 has compute capability {capability[0]}.{capability[1]}, and fp8 needs 8.9" in str(caught.value)
    assert "PINPOINT_PRECISION=int8" in caught.value.message
    other = Settings(precision="int8", buffer_gb=0.1, max_concurrency=1)
    assert load.settle_precision(other, config, "x/y", device)[0] == "int8"


@pytest.mark.parametrize("capability", [(8, 9), (9, 0), (10, 0), (12, 0)])
def test_a_card_with_it_is_planned(
    capability: tuple[int, int], saved: tuple[Path, LoadedModel], card: Callable[[tuple[int, int]], None]
) -> None:
    card(capability)
    settings_ = Settings(precision="fp8", buffer_gb=0.1, max_concurrency=1)
    precision, made = load.settle_precision(settings_, read_config(saved[0]), "x/y", torch.device("cuda", 0))
    assert made is not None and precision == made.precision == "fp8"


def test_a_card_on_which_nothing_can_be_compiled_is_refused_in_words(
    saved: tuple[Path, LoadedModel], card: Callable[[tuple[int, int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    card((9, 0))
    monkeypatch.setattr(load, "kernels_work", lambda: False)
    with pytest.raises(ModelError, match="no C compiler here; install gcc") as caught:
        load.settle_precision(Settings(precision="fp8"), read_config(saved[0]), "x/y", torch.device("cuda", 0))
    assert caught.value.code == "precision_unsuitable"


def test_what_is_on_a_card_goes_to_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """No card is here: whatever says that it lies on one is handed over whole."""
    calls: list[tuple[str, tuple[Any, ...]]] = []

    def noted(name: str) -> Callable[..., str]:
        return lambda *given: calls.append((name, given)) or name  # type: ignore[func-returns-value]

    monkeypatch.setattr(triton_eight, "linear", noted("linear"))
    monkeypatch.setattr(triton_eight, "experts", noted("experts"))
    there, *rest = [cast(Tensor, SimpleNamespace(is_cuda=True)) for _ in range(4)]
    assert scaled_product(there, rest[0], rest[1]) == "linear"
    assert fp8_experts(rest[0], there, *rest[1:]) == "experts"
    assert calls == [("linear", (there, *rest[:2], False)), ("experts", (rest[0], there, *rest[1:]))]


def test_states_that_a_model_casts_to_the_dtype_of_its_weights_are_refused() -> None:
    """`x.to(self.proj.weight.dtype)`, as some models have it, would leave three bits of a state, in both ways alike."""
    layer = Fp8Linear(16, 8, None)
    values, scales = quantize(torch.randn(8, 16))
    layer.weight, layer.scale = nn.Parameter(values, requires_grad=False), nn.Parameter(scales, requires_grad=False)
    assert layer(torch.randn(2, 16)).isfinite().all()
    with pytest.raises(TypeError, match="float8_e4m3fn"):
        layer(torch.randn(2, 16).to(layer.weight.dtype))
