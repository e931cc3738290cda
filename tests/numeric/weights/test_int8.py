"""8-bit weights: how far from the 16-bit ones, that none is forgotten, and that what is written is read as it was."""

import json
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import int8_vectorwise_quant
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.weights import fixed_rows, int8
from pinpoint.engine.weights.int8 import CHUNK_ELEMENTS, Int8Linear, is_int8_experts, quantize
from pinpoint.engine.weights.int8_product import cast_product, scaled_product
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.peak_bytes import measured

FAMILIES = ("mixtral", "qwen2", "qwen3_moe")
# How checkpoints call the parts of an expert.
GATED = ("gate_proj", "up_proj", "down_proj")
MIXTRAL = ("w1", "w3", "w2")
# What stays in the compute dtype: tables, the head, the router's choice, norms, biases.
KEPT = ("embed_tokens.weight", "lm_head.weight", "gate.weight", "norm.weight", "layernorm.weight", ".bias")


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoadedModel]:
    """A 16-bit checkpoint, every bias of it something else than zero, and the model that is loaded from it."""
    folder = tmp_path_factory.mktemp(request.param)
    tokenizer = chatml_tokenizer()
    save_random(configurations(len(tokenizer))[request.param], tokenizer, folder)
    weights = load_file(folder / "model.safetensors")
    for name in weights:
        if name.endswith(".bias"):
            weights[name] = torch.randn_like(weights[name].float()).bfloat16()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder, load_cpu(folder)


def dequantised(integers: Tensor, scales: Tensor) -> Tensor:
    return integers.float() * scales.unsqueeze(-1)


def check_half_a_step(integers: Tensor, scales: Tensor, original: Tensor) -> None:
    apart = (dequantised(integers, scales) - original.float()).abs()
    assert (apart <= scales.unsqueeze(-1) * 0.501).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from([(5, 7), (3, 4, 16), (1, 1)]), st.floats(-9, 9))
def test_a_weight_is_kept_to_half_a_step(seed: int, shape: tuple[int, ...], exponent: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(shape, generator=generator) * 10.0**exponent
    integers, scales = quantize(weight)
    assert (integers.dtype, scales.dtype) == (torch.int8, torch.float32)
    assert (integers.shape, scales.shape) == (weight.shape, weight.shape[:-1])
    assert int(integers.min()) >= -127
    # A step is the scale; the last factor is for float32's own rounding.
    apart = (dequantised(integers, scales) - weight).abs() / scales.unsqueeze(-1)
    assert float(apart.max()) <= 0.5 * (1 + 1e-4)


def test_the_largest_of_a_row_takes_the_whole_range_and_is_exact() -> None:
    weight = torch.tensor([[0.5, -2.0, 1.0], [3.0, 0.0, -1.5]])
    integers, scales = quantize(weight)
    assert integers.abs().amax(dim=-1).tolist() == [127, 127]
    assert dequantised(integers, scales)[:, [1, 0]].diagonal().tolist() == pytest.approx([-2.0, 3.0])


def test_a_row_of_zeros_stays_zeros() -> None:
    integers, scales = quantize(torch.zeros(2, 3, 4))
    assert (integers == 0).all()
    assert (scales == 0).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.sampled_from([torch.bfloat16, torch.float16, torch.float32]))
def test_the_bytes_are_those_of_bitsandbytes_on_a_cpu(seed: int, dtype: torch.dtype) -> None:
    weight = torch.randn(6, 33, generator=torch.Generator().manual_seed(seed)).to(dtype)
    integers, largest, _ = int8_vectorwise_quant(weight.float())
    ours, scales = quantize(weight)
    assert torch.equal(ours, integers)
    assert torch.equal(scales, largest / 127)


def test_chunks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    assert weight.numel() < CHUNK_ELEMENTS
    whole = quantize(weight)
    for chunk_elements in (1, 7, 20):
        monkeypatch.setattr(int8, "CHUNK_ELEMENTS", chunk_elements)
        assert all(torch.equal(*pair) for pair in zip(whole, quantize(weight), strict=True))


def test_no_more_than_a_chunk_is_widened_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    monkeypatch.setattr(int8, "CHUNK_ELEMENTS", 8 * 128)
    kept = weight.numel() + 4 * len(weight)
    assert kept < measured(lambda: quantize(weight)) <= kept + 3 * 4 * int8.CHUNK_ELEMENTS


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_not_finite_shows_in_the_scale(bad: float) -> None:
    weight = torch.ones(2, 4)
    weight[1, 2] = bad
    _, scales = quantize(weight)
    assert scales.isfinite().tolist() == [True, False]


def test_no_matrix_is_left_in_more_than_8_bits(saved: tuple[Path, LoadedModel]) -> None:
    _, loaded = saved
    wide = {name for name, tensor in loaded.model.named_parameters() if tensor.dtype != torch.int8}
    scales = {name for name in wide if name.endswith(("scale", "_scale"))}
    assert all(name.endswith(KEPT) for name in wide - scales), sorted(wide - scales)
    linears = [m for name, m in loaded.model.named_modules() if type(m) is nn.Linear and name != "lm_head"]
    assert linears == []
    narrow = [name for name, tensor in loaded.model.named_parameters() if tensor.dtype == torch.int8]
    assert len(narrow) == len(scales) > 0
    experts = [name for name in narrow if name.endswith(EXPERT_WEIGHTS)]
    mixture = loaded.model.config.model_type != "qwen2"
    assert len(experts) == (2 * loaded.model.config.num_hidden_layers if mixture else 0)


def test_every_weight_is_that_of_the_checkpoint(saved: tuple[Path, LoadedModel]) -> None:
    """The checkpoint holds each expert, and of it the gate and what it gates, on their own."""
    folder, loaded = saved
    source = load_file(folder / "model.safetensors")
    seen = 0
    for name, module in loaded.model.named_modules():
        if isinstance(module, Int8Linear):
            check_half_a_step(module.weight, module.scale, source[f"{name}.weight"])
            seen += 1
        elif is_int8_experts(module):
            place = name if f"{name}.0.down_proj.weight" in source else name.replace("mlp", "block_sparse_moe")
            gate, wide, down = GATED if place == name else MIXTRAL
            for expert, (up, up_scale) in enumerate(zip(module.gate_up_proj, module.gate_up_proj_scale, strict=True)):
                fused = torch.cat([source[f"{place}.{expert}.{part}.weight"] for part in (gate, wide)])
                check_half_a_step(up, up_scale, fused)
                original = source[f"{place}.{expert}.{down}.weight"]
                check_half_a_step(module.down_proj[expert], module.down_proj_scale[expert], original)
            seen += 1
    assert seen >= 5 * loaded.model.config.num_hidden_layers


def test_biases_are_kept(saved: tuple[Path, LoadedModel]) -> None:
    folder, loaded = saved
    source = {name: value for name, value in load_file(folder / "model.safetensors").items() if name.endswith(".bias")}
    own = dict(loaded.model.named_parameters())
    assert all(torch.equal(own[name], value.float()) for name, value in source.items())
    assert bool(source) == (loaded.model.config.model_type == "qwen2")


def test_the_loaded_state_written_with_its_configuration_is_read_bit_equal(
    saved: tuple[Path, LoadedModel], tmp_path: Path
) -> None:
    _, loaded = saved
    state = {name: value.contiguous() for name, value in loaded.model.state_dict().items()}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    loaded.model.config.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["quantization_config"]["quant_method"] == "pinpoint_int8"
    again = load_cpu(tmp_path).model.state_dict()
    assert again.keys() == state.keys()
    for name, value in state.items():
        assert again[name].dtype == value.dtype, name
        assert torch.equal(again[name], value), name


def test_an_8_bit_product_is_that_of_the_weight_it_stands_for(saved: tuple[Path, LoadedModel]) -> None:
    _, loaded = saved
    module = next(m for m in loaded.model.modules() if isinstance(m, Int8Linear))
    x = torch.randn(9, module.in_features, generator=torch.Generator().manual_seed(0))
    plain = x.double() @ dequantised(module.weight, module.scale).double().T
    plain = plain if module.bias is None else plain + module.bias.double()
    torch.testing.assert_close(module(x).double(), plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 3, 40])
def test_in_bf16_the_integers_are_multiplied_as_they_are(rows: int) -> None:
    """Each product is 0 in integers. A weight that is scaled first is rounded to bfloat16, and they do not cancel."""
    weight = torch.tensor([[127, -64, -63], [125, -101, -24], [-99, 62, 37]], dtype=torch.int8)
    scale = torch.tensor([0.0137, 0.0371, 0.0617])
    x = torch.ones(rows, 3, dtype=torch.bfloat16)
    scaled = (weight.float() * scale.unsqueeze(-1)).bfloat16()
    assert (scaled.float().sum(dim=1) != 0).all(), "else nothing is measured"
    assert (scaled_product(x, weight, scale) == 0).all()
    out = torch.empty(rows, 3, dtype=torch.bfloat16)
    cast_product(weight, scale, torch.bfloat16, rows)(x, out)
    assert (out == 0).all()


@pytest.mark.parametrize("rows", [3, 9])
def test_in_float32_each_output_has_its_own_scale(rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (5, 5), generator=generator, dtype=torch.int8)
    scale, x = torch.rand(5, generator=generator), torch.randn(rows, 5, generator=generator)
    plain = x.double() @ (weight.double() * scale.double().unsqueeze(-1)).T
    torch.testing.assert_close(scaled_product(x, weight, scale).double(), plain, rtol=1e-5, atol=1e-4)


def test_in_float32_a_row_has_the_same_bits_in_any_company() -> None:
    """It is the weight that is scaled, be the rows more than its columns or fewer."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(-127, 128, (24, 64), generator=generator, dtype=torch.int8)
    scale, x = torch.rand(24, generator=generator), torch.randn(70, 64, generator=generator)
    with fixed_rows.holding():
        whole = scaled_product(x, weight, scale)
        for count in (1, 3, 9, 17, 33):
            assert torch.equal(scaled_product(x[5 : 5 + count], weight, scale), whole[5 : 5 + count])
