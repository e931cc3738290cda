"""4-bit weights: bitsandbytes' own to the bit, none forgotten, and products of exactly the weights they stand for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.weights.nf4 import (
    METHOD,
    SUFFIXES,
    Nf4Config,
    Nf4Linear,
    Nf4Quantizer,
    dequantize,
    expert_weight,
    nf4_experts,
    quantize,
)
from pinpoint.engine.weights.plainly import numbers_of_nf4
from pinpoint.engine.weights.quantizer import EXPERT_WEIGHTS, format_of, part_name
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.tolerances import FLOAT32

FAMILIES = ("mixtral", "qwen2", "qwen3_moe")
# A whole number of blocks and groups, part of a block, part of a group, an odd number of elements.
SHAPES = [(64, 256), (3, 64), (5, 7), (129, 130), (300, 64)]


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoadedModel]:
    """A 16-bit checkpoint, and the model that is loaded from it in NF4."""
    folder, tokenizer = tmp_path_factory.mktemp(request.param), chatml_tokenizer()
    save_random(configurations(len(tokenizer))[request.param], tokenizer, folder)
    return folder, load_cpu(folder, precision="nf4")


def reference(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """Through bitsandbytes alone."""
    packed, state = quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")
    # As one row: where rows end within a block, its kernel for CPUs takes another block's largest value.
    state.dtype, state.shape = dtype, torch.Size((1, weight.numel()))
    return dequantize_4bit(packed, state).view(weight.shape)


def plain_model(folder: Path) -> PreTrainedModel:
    """transformers' own model, each matrix replaced by what NF4 makes of it."""
    plain = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, attn_implementation="eager", experts_implementation="eager"
    )
    for module in plain.modules():
        if type(module) is nn.Linear and module is not plain.get_output_embeddings():
            module.weight.data = reference(module.weight.data, torch.float32)
        for name in EXPERT_WEIGHTS:
            fused = getattr(module, name, None)
            if isinstance(fused, nn.Parameter):
                fused.data = torch.stack([reference(expert, torch.float32) for expert in fused.data])
    return plain.float().eval()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(SHAPES), st.sampled_from([torch.bfloat16, torch.float16, torch.float32]))
def test_a_weight_is_what_bitsandbytes_makes_of_it(seed: int, shape: tuple[int, int], dtype: torch.dtype) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    parts = quantize(weight)
    assert tuple(parts) == SUFFIXES
    for out in (torch.float32, torch.bfloat16):
        ours = dequantize(parts, *shape, out)
        assert (ours.shape, ours.dtype) == (weight.shape, out)
        assert torch.equal(ours, reference(weight, out))


def test_a_weight_is_near_to_what_it_was() -> None:
    weight = torch.randn(64, 512, generator=torch.Generator().manual_seed(0))
    apart = dequantize(quantize(weight), 64, 512, torch.float32) - weight
    # The widest gap between NF4's levels is 0.3 of a block's largest value, which here is below 4.5.
    assert float(apart.abs().max()) < 0.16 * 4.5
    assert float(apart.std()) < 0.1
    zeros = quantize(torch.zeros(4, 64))
    assert not dequantize(zeros, 4, 64, torch.float32).any()


def test_the_parts_have_the_sizes_that_were_waiting_for_them() -> None:
    for outputs, inputs in SHAPES:
        waiting = dict(Nf4Linear(inputs, outputs, None).named_parameters())
        made = {suffix or "weight": part for suffix, part in quantize(torch.randn(outputs, inputs)).items()}
        assert waiting.keys() == made.keys()
        for name, part in made.items():
            assert (part.shape, part.dtype) == (waiting[name].shape, waiting[name].dtype), name


def test_no_matrix_is_left_in_more_than_4_bits(saved: tuple[Path, LoadedModel]) -> None:
    _, loaded = saved
    assert loaded.precision == "nf4"
    linears = [m for name, m in loaded.model.named_modules() if type(m) is nn.Linear and name != "lm_head"]
    assert linears == []
    held = [module for module in loaded.model.modules() if format_of(module) is not None]
    assert {format_of(module) for module in held} == {METHOD}
    mixture = loaded.model.config.model_type != "qwen2"
    fused = [module for module in held if not isinstance(module, Nf4Linear)]
    assert len(fused) == (loaded.model.config.num_hidden_layers if mixture else 0)
    for module in fused:
        for name in EXPERT_WEIGHTS:
            packed = getattr(module, name)
            outputs, inputs = module.nf4_sizes[name]
            assert (packed.dtype, packed.nbytes) == (torch.uint8, len(packed) * -(-outputs * inputs // 2))


def test_scores_are_those_of_the_weights_they_stand_for(saved: tuple[Path, LoadedModel]) -> None:
    folder, loaded = saved
    plain = plain_model(folder)
    loaded.model.set_attn_implementation("eager")
    ids = torch.randint(3, 500, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ours = loaded.model(ids).logits.log_softmax(-1)
        theirs = plain(ids).logits.log_softmax(-1)
    assert float((ours - theirs).abs().max()) < FLOAT32
    assert float(theirs.std()) > 0.1


class OneLayer(nn.Module):
    """Fused experts as the quantizer leaves them, on their own."""

    def __init__(self, experts: int, width: int, hidden: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.wide = torch.randn(experts, 2 * width, hidden, generator=generator)
        self.down = torch.randn(experts, hidden, width, generator=generator)
        quantizer = Nf4Quantizer(Nf4Config(), pre_quantized=False)
        for name, weight in zip(EXPERT_WEIGHTS, (self.wide, self.down), strict=True):
            for key, part in quantizer.expert_parts(name, experts, weight).items():
                setattr(self, key, part)
        self.nf4_sizes = {"gate_up_proj": (2 * width, hidden), "down_proj": (hidden, width)}

    def _apply_gate(self, wide: Tensor) -> Tensor:
        gate, up = wide.chunk(2, dim=-1)
        return nn.functional.silu(gate) * up


def route(tokens: int, experts: int, choices: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    chosen = torch.stack([torch.randperm(experts, generator=generator)[:choices] for _ in range(tokens)])
    return chosen, torch.rand(tokens, choices, generator=generator)


@pytest.mark.parametrize(("experts", "width", "hidden"), [(4, 24, 32), (3, 5, 7), (1, 16, 64)])
def test_experts_are_mixed_as_one_by_one(experts: int, width: int, hidden: int) -> None:
    layer: Any = OneLayer(experts, width, hidden)
    states = torch.randn(11, hidden, generator=torch.Generator().manual_seed(5))
    chosen, weights = route(11, experts, min(2, experts))
    mixed = nf4_experts(layer, states, chosen, weights)
    for token in range(len(states)):
        expected = torch.zeros(hidden)
        for expert, weight in zip(chosen[token].tolist(), weights[token], strict=True):
            wide = states[token] @ reference(layer.wide[expert].bfloat16(), torch.float32).T
            expected += weight * (layer._apply_gate(wide) @ reference(layer.down[expert].bfloat16(), torch.float32).T)
        torch.testing.assert_close(mixed[token], expected, rtol=1e-4, atol=1e-4)


def test_each_expert_is_quantised_as_if_it_were_alone() -> None:
    layer: Any = OneLayer(4, 24, 32)
    for name, weight in zip(EXPERT_WEIGHTS, (layer.wide, layer.down), strict=True):
        for expert in range(4):
            alone = reference(weight[expert].bfloat16(), torch.bfloat16)
            assert torch.equal(expert_weight(layer, name, expert, torch.bfloat16), alone)


def test_a_bias_is_kept() -> None:
    bias = torch.randn(6)
    layer = Nf4Linear(64, 6, bias)
    weight = torch.randn(6, 64)
    for suffix, part in quantize(weight).items():
        setattr(layer, suffix or "weight", nn.Parameter(part, requires_grad=False))
    x = torch.randn(3, 64)
    torch.testing.assert_close(layer(x), x @ reference(weight, torch.float32).T + bias)


@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [
        (32, 32),
        (48, 32),
        (32, 48),
        (64, 96),
        (128, 160),
        (64, 33),
        (3, 5),
        (1, 1),
        (5, 48),
        (1, 96),
        (9, 14),
        (40, 320),
    ],
)
def test_rows_that_end_within_a_block_are_widened_by_its_largest_value(outputs: int, inputs: int) -> None:
    """bitsandbytes' own kernel for CPUs is off by half of the weight's size at some widths, both ways of the proof
    alike."""
    torch.manual_seed(0)
    weight = torch.randn(outputs, inputs) * torch.linspace(1, 4, outputs)[:, None]
    layer = Nf4Linear(inputs, outputs, None)
    for suffix, part in quantize(weight.bfloat16()).items():
        setattr(layer, part_name("weight", suffix), nn.Parameter(part, requires_grad=False))
    parts = {suffix: getattr(layer, part_name("weight", suffix)) for suffix in SUFFIXES}
    by_definition = numbers_of_nf4(layer, "weight", torch.arange(outputs * inputs))[0].view(outputs, inputs)
    torch.testing.assert_close(dequantize(parts, outputs, inputs, torch.float32), by_definition, rtol=1e-6, atol=1e-7)
    assert ((by_definition - weight).norm() / weight.norm()) < 0.15
