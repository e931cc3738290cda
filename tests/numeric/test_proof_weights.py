"""What is in the modules that both ways of the proof share: each fault that is planted there is noticed, and named."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.utils import logging as transformers_logging

from pinpoint.engine import proof
from pinpoint.engine.forward.plain import Plain
from pinpoint.engine.loading import read_back
from pinpoint.engine.loading.checkpoint import FORMATS, empty_model, expected_parameters
from pinpoint.engine.loading.checkpoint_writer import write
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.loading.quantize_job import prepare
from pinpoint.engine.loading.read_back import ReadBack
from pinpoint.engine.proof import prove
from pinpoint.engine.proof_parts import TOLERANCE, TOLERANCE_OF_8_BITS, WEIGHTS
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights import plainly, product_proof
from pinpoint.engine.weights.product_proof import EXPERTS, LINEAR, Calls
from pinpoint.errors import ModelError
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.forward import families
from tests.numeric.forward.families import COMMON, FAMILIES, MIXTURE, configuration, nested_configuration
from tests.numeric.sixteen_bits import cast, fuse_mixtral, shard

WAYS: dict[str, dict[str, Any]] = {
    "int8": {"precision": "int8"},
    "int8 in bfloat16": {"precision": "int8", "compute_dtype": "bfloat16"},
    "int8 states": {"precision": "int8", "activations": "int8"},
    "fp8": {"precision": "fp8"},
    "fp8 in bfloat16": {"precision": "fp8", "compute_dtype": "bfloat16"},
    "nf4": {"precision": "nf4"},
    "bf16": {"precision": "bf16"},
}
STREAMED = ["int8", "fp8", "nf4", "bf16"]
Change = Callable[[Any], None]
Load = Callable[[str], LoadedModel]


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers_logging.set_verbosity_error()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Mixtral in 16 bits, its experts one by one."""
    tokenizer = chatml_tokenizer()
    return save_random(configurations(len(tokenizer))["mixtral"], tokenizer, tmp_path_factory.mktemp("mixtral"))


@pytest.fixture(scope="module")
def all_loaded(folder: Path) -> dict[str, LoadedModel]:
    """Filled as they are asked for."""
    return {}


@pytest.fixture
def loaded_as(folder: Path, all_loaded: dict[str, LoadedModel]) -> Iterator[Callable[[str], LoadedModel]]:
    """The model in one of `WAYS`; other data that a test gives its parameters is taken from them again."""
    before: list[tuple[nn.Parameter, Tensor]] = []

    def load(way: str) -> LoadedModel:
        if way not in all_loaded:
            all_loaded[way] = load_cpu(folder, **WAYS[way])
        before.extend((parameter, parameter.data) for parameter in all_loaded[way].model.parameters())
        return all_loaded[way]

    yield load
    for parameter, data in before:
        parameter.data = data


def of_products(loaded: LoadedModel) -> dict[str, float]:
    """The largest difference of each stage."""
    calls = Calls()
    with calls.watching(loaded.model):
        Plain(loaded.model).read(range(3, 20), 2)
    found: dict[str, float] = {}
    for one in product_proof.compare(loaded.model, loaded.compute_dtype, 1000, calls):
        found[one.stage] = max(found.get(one.stage, 0.0), float(one.apart))
    return found


def allowed(loaded: LoadedModel, stage: str) -> float:
    rounds = any(map(plainly.rounds, loaded.model.modules()))
    return (TOLERANCE[loaded.compute_dtype] | (TOLERANCE_OF_8_BITS if rounds else {}))[stage]


def look(loaded: LoadedModel) -> ReadBack:
    assert loaded.folder is not None
    return read_back.compare(loaded.model, loaded.folder)


# Products


@pytest.mark.parametrize("way", WAYS)
def test_products_are_those_of_the_weights(way: str, loaded_as: Load) -> None:
    loaded = loaded_as(way)
    found = of_products(loaded)
    assert found.keys() == {EXPERTS} if way == "bf16" else {LINEAR, EXPERTS}
    assert all(apart <= allowed(loaded, stage) / 2 for stage, apart in found.items()), found


def other_expert(own: Any, module: Any) -> Any:
    return lambda states, chosen, shares: own(states, len(module.gate_up_proj) - 1 - chosen, shares)


def shares_of_others(own: Any, _: Any) -> Any:
    return lambda states, chosen, shares: own(states, chosen, shares.flip(-1))


def row_of_another(own: Any, _: Any) -> Any:
    return lambda states, chosen, shares: own(states, chosen, shares).roll(1, 0)


def wrong_from_300_pairs(own: Any, _: Any) -> Any:
    return lambda states, chosen, shares: own(states, chosen, shares * (1 + (chosen.numel() > 300)))


@pytest.mark.parametrize("fault", [other_expert, shares_of_others, row_of_another, wrong_from_300_pairs])
@pytest.mark.parametrize("way", WAYS)
def test_experts_that_mix_otherwise_are_noticed(
    way: str, fault: Any, loaded_as: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loaded_as(way)
    module = loaded.model.model.layers[1].mlp.experts
    monkeypatch.setattr(module, "forward", fault(module.forward, module))
    assert of_products(loaded)[EXPERTS] > 2 * allowed(loaded, EXPERTS)


def scale_of_another_channel(own: Any, module: Any) -> Any:
    def product(x: Tensor) -> Tensor:
        scale = module.scale.data
        module.scale.data = scale.roll(1)
        out: Tensor = own(x)
        module.scale.data = scale
        return out

    return product


def scale_of_a_neighbour(own: Any, module: Any) -> Any:
    """One channel has it: of a row among thousands of channels that is less than rounding."""

    def product(x: Tensor) -> Tensor:
        out: Tensor = own(x)
        out[:, 5] *= 0.8
        return out

    return product


def transposed(own: Any, _: Any) -> Any:
    """Of x W with W [I, O] square: the product with what lies in it the other way round."""
    return lambda x: x @ own(torch.eye(x.shape[-1], dtype=x.dtype)).t()


def without_bias(own: Any, module: Any) -> Any:
    return lambda x: own(x) - module.bias


def short_row(own: Any, _: Any) -> Any:
    """The last inputs are left out, as by a tile that does not fill."""
    return lambda x: own(x.masked_fill(torch.arange(x.shape[-1]) >= x.shape[-1] - 2, 0))


@pytest.mark.parametrize(
    ("way", "fault"),
    [
        (way, fault)
        for way in WAYS
        for fault in (scale_of_another_channel, scale_of_a_neighbour, transposed, short_row)
        if way != "bf16" and (fault is not scale_of_another_channel or way != "nf4")
    ],
)  # fmt: skip
def test_a_linear_layer_that_multiplies_otherwise_is_noticed(
    way: str, fault: Any, loaded_as: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = loaded_as(way)
    module = loaded.model.model.layers[0].self_attn.q_proj
    monkeypatch.setattr(module, "forward", fault(module.forward, module))
    assert of_products(loaded)[LINEAR] > 2 * allowed(loaded, LINEAR)


def test_one_channel_among_thousands_is_noticed_and_rounding_is_not() -> None:
    generator = torch.Generator().manual_seed(1)
    theirs = torch.randn(18, 4096, generator=generator)
    rounded = theirs.to(torch.bfloat16)
    most = TOLERANCE[torch.bfloat16][LINEAR]
    assert product_proof.apart(rounded, theirs) < most / 2
    rounded[:, 7] *= 0.8
    assert product_proof.apart(rounded[:3], theirs[:3]) < most, "of a few rows a value alone says little"
    assert product_proof.apart(rounded, theirs) > 5 * most
    rounded[1, 7] = torch.nan
    assert product_proof.apart(rounded, theirs) == torch.inf


def test_a_bias_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    tokenizer = chatml_tokenizer()
    config = configurations(len(tokenizer))["qwen2"]
    loaded = load_cpu(save_random(config, tokenizer, tmp_path))
    module = loaded.model.model.layers[0].self_attn.q_proj
    module.bias.data += 0.5
    assert of_products(loaded)[LINEAR] < allowed(loaded, LINEAR)
    module.forward = without_bias(module.forward, module)
    assert of_products(loaded)[LINEAR] > 2 * allowed(loaded, LINEAR)


def test_a_fault_in_a_product_passes_every_other_stage(loaded_as: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways have it: so it is this stage or none."""
    loaded = loaded_as("int8")
    for experts in (layer.mlp.experts for layer in loaded.model.model.layers):
        monkeypatch.setattr(experts, "forward", other_expert(experts.forward, experts))
    scorer = Scorer(loaded, 1000)
    assert [part.stage for part in proof.compare(scorer).parts if not part.holds] == [EXPERTS]
    with pytest.raises(ModelError, match=r"model\.layers\.0\.mlp\.experts, 3 rows does not multiply") as caught:
        prove(scorer)
    assert caught.value.code == "model_unproven"


class Normed(nn.Module):
    """Behind an expert."""

    def forward(self, states: Tensor) -> Tensor:
        length: Tensor = states.norm(dim=-1, keepdim=True)
        return states / length


def test_experts_that_do_more_than_ours_are_held_to_their_own_class(
    loaded_as: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A norm behind each expert (Muse Spark's), which 8 bits would leave out without a word."""

    def own(self: Any, states: Tensor, chosen: Tensor, shares: Tensor) -> Tensor:
        out = torch.zeros_like(states)
        for token, at in ((token, at) for token in range(len(states)) for at in range(chosen.shape[1])):
            gate, up = F.linear(states[token : token + 1], self.gate_up_proj[chosen[token, at]]).chunk(2, dim=-1)
            made = F.linear(self.act_fn(gate) * up, self.down_proj[chosen[token, at]])
            out[token] += Normed()(made)[0] * shares[token, at]
        return out

    loaded = loaded_as("int8")
    kind = type(loaded.model.model.layers[0].mlp.experts)
    assert of_products(loaded)[EXPERTS] < allowed(loaded, EXPERTS)
    monkeypatch.setattr(kind.forward, "__wrapped__", own)
    assert of_products(loaded)[EXPERTS] > 0.1
    assert of_products(loaded_as("int8 states"))[EXPERTS] > 0.1
    # One that does more with a matrix than multiply by it has no products to be held to.
    monkeypatch.setattr(kind.forward, "__wrapped__", lambda self, *_: self.down_proj[0] + 1)
    assert of_products(loaded)[EXPERTS] < allowed(loaded, EXPERTS)
    # In 16 bits the class computes, and is not ours to compare.
    monkeypatch.setattr(kind.forward, "__wrapped__", None)
    assert EXPERTS not in of_products(loaded_as("bf16"))


# Weights as they are stored


@pytest.mark.parametrize("way", WAYS)
def test_what_is_loaded_is_what_the_files_hold(way: str, loaded_as: Load) -> None:
    found = look(loaded_as(way))
    stored = 3 + 2 * (4 + 1 + 2 + 4 * 3)  # the table, the norm and the head; attention, router, norms, experts
    assert (found.tensors, found.left_out) == (stored, 0)
    assert found.apart <= 1e-6


@pytest.mark.parametrize("precision", STREAMED)
@pytest.mark.parametrize("layout", ["fused", "sharded", "float16", "float32"])
def test_however_they_are_laid(layout: str, precision: str, folder: Path, tmp_path: Path) -> None:
    made = {
        "fused": lambda: fuse_mixtral(folder, tmp_path / "made"),
        "sharded": lambda: shard(folder, tmp_path / "made", 3),
        "float16": lambda: cast(folder, tmp_path / "made", torch.float16),
        "float32": lambda: cast(folder, tmp_path / "made", torch.float32),
    }[layout]()
    found = look(load_cpu(made, precision=precision))
    assert found.left_out == 0 and found.apart <= 1e-6


@pytest.fixture(scope="module")
def quantised(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("quantised")
    for precision in FORMATS:
        write(prepare(folder, root / precision, precision))
    return {precision: root / precision for precision in FORMATS}


@pytest.mark.parametrize("precision", ["int8", "fp8", "nf4"])
def test_of_a_quantised_checkpoint_the_parts_are_compared_to_the_bit(
    precision: str, quantised: dict[str, Path]
) -> None:
    loaded = load_cpu(quantised[precision], precision=precision)
    assert look(loaded).apart == 0
    part = "absmax" if precision == "nf4" else "scale"
    held = getattr(loaded.model.model.layers[1].self_attn.k_proj, part).data
    held[0] = held[0] + 1
    found = look(loaded)
    assert found.apart == float("inf") and found.farthest == f"model.layers.1.self_attn.k_proj.{part}"


def swap(one: Any, other: Any) -> None:
    for (name, mine), theirs in zip(one.named_parameters(), other.parameters(), strict=True):
        assert mine.shape == theirs.shape, name
        mine.data, theirs.data = theirs.data, mine.data


def layers_swapped(model: Any) -> None:
    swap(model.model.layers[0].self_attn.q_proj, model.model.layers[1].self_attn.q_proj)


def queries_and_outputs_swapped(model: Any) -> None:
    swap(model.model.layers[0].self_attn.q_proj, model.model.layers[0].self_attn.o_proj)


def experts_swapped(model: Any) -> None:
    for parameter in model.model.layers[1].mlp.experts.parameters():
        parameter.data = parameter.data.roll(1, 0)


def one_experts_down_swapped(model: Any) -> None:
    experts = model.model.layers[0].mlp.experts
    for name, parameter in experts.named_parameters():
        if name.startswith("down_proj"):
            parameter.data = parameter.data[[0, 2, 1, 3]]


def halves_swapped(model: Any) -> None:
    for name, parameter in model.model.layers[1].mlp.experts.named_parameters():
        if name.startswith("gate_up_proj") and parameter[0].numel() > 1:
            parameter.data = parameter.data.roll(parameter.shape[1] // 2, 1)


def norms_swapped(model: Any) -> None:
    norm = model.model.layers[0].input_layernorm
    norm.weight.data = norm.weight.data.roll(1) + torch.linspace(0, 0.1, len(norm.weight), dtype=norm.weight.dtype)


def table_shifted(model: Any) -> None:
    table = model.model.embed_tokens.weight
    table.data = table.data.roll(1, 0)


def head_is_the_table(model: Any) -> None:
    model.lm_head.weight.data = model.model.embed_tokens.weight.data


FAULTS: list[Change] = [
    layers_swapped, queries_and_outputs_swapped, experts_swapped, one_experts_down_swapped, halves_swapped,
    norms_swapped, table_shifted, head_is_the_table,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("precision", STREAMED)
def test_a_weight_that_is_anothers_is_noticed(precision: str, fault: Change, loaded_as: Load) -> None:
    loaded = loaded_as(precision)
    fault(loaded.model)
    found = look(loaded)
    assert found.apart > 10 * TOLERANCE[torch.float32][WEIGHTS], found


def scales_shifted(module: Any) -> None:
    module.scale.data = module.scale.data.roll(1)


def weight_transposed(module: Any) -> None:
    module.weight.data = module.weight.data.t().contiguous()


def signs_turned(module: Any) -> None:
    module.weight.data = -module.weight.data


def values_one_step_off(module: Any) -> None:
    module.weight.data = module.weight.data.clamp(-126) - 1


@pytest.mark.parametrize("fault", [scales_shifted, weight_transposed, signs_turned, values_one_step_off])
def test_what_is_wrong_within_a_quantised_matrix_is_noticed(fault: Change, loaded_as: Load) -> None:
    for precision in ("int8",) if fault in (signs_turned, values_one_step_off) else ("int8", "fp8"):
        loaded = loaded_as(precision)
        fault(loaded.model.model.layers[1].self_attn.q_proj)
        found = look(loaded)
        assert found.apart > TOLERANCE[torch.float32][WEIGHTS], (precision, found)
        assert found.farthest == "model.layers.1.self_attn.q_proj.weight"


def test_a_fault_in_a_weight_passes_every_other_stage(loaded_as: Load, caplog: pytest.LogCaptureFixture) -> None:
    loaded = loaded_as("int8")
    layers_swapped(loaded.model)
    scorer = Scorer(loaded, 1000)
    assert [part.stage for part in proof.compare(scorer).parts if not part.holds] == [WEIGHTS]
    with caplog.at_level(logging.INFO), pytest.raises(ModelError, match="is not held as its file has it") as caught:
        prove(scorer)
    assert caught.value.code == "model_unproven" and "self_attn.q_proj.weight" in caught.value.message
    assert "not proved" in caplog.text and "tensors=41" in caplog.text


def test_rows_of_zeros_and_of_one_large_value_are_no_fault(folder: Path, tmp_path: Path) -> None:
    made = cast(folder, tmp_path / "made", torch.bfloat16)
    path = made / "model.safetensors"
    tensors = load_file(path)
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and "norm" not in name:
            tensor[0] = 0
            tensor[-1] = 0
            tensor[-1, 3] = 7.5
            tensor[:, 5] *= 100
    save_file(tensors, path, metadata={"format": "pt"})
    for precision in STREAMED:
        loaded = load_cpu(made, precision=precision)
        assert look(loaded).apart <= 1e-6
        assert all(apart <= allowed(loaded, stage) for stage, apart in of_products(loaded).items())


@pytest.mark.parametrize("family", ["apertus", "opt", "deepseek_v3", "gemma4 text", "phimoe", "dots1", "mistral3"])
def test_parameters_of_many_shapes_and_names_are_found_in_their_files(family: str, tmp_path: Path) -> None:
    """Numbers alone, tables, shared experts, latent projections, names under a prefix that transformers changes."""
    config = configuration(family) if family in FAMILIES else nested_configuration(family)
    families.random_model(config).to(torch.bfloat16).save_pretrained(tmp_path)
    chatml_tokenizer().save_pretrained(tmp_path)
    loaded = load_cpu(tmp_path)
    found = look(loaded)
    assert found.left_out == 0 and found.apart == 0
    assert found.tensors > 0.9 * len(expected_parameters(empty_model(config)))
    assert all(apart <= allowed(loaded, stage) for stage, apart in of_products(loaded).items())


@pytest.mark.parametrize("precision", STREAMED)
def test_widths_that_no_kernel_likes(precision: str, tmp_path: Path) -> None:
    """Experts of 20 and layers of 36: not whole pieces of 16 bytes in bfloat16, no whole blocks of 64 in nf4."""
    config = AutoConfig.for_model(
        "qwen3_moe", **{**COMMON, **MIXTURE, "hidden_size": 36, "moe_intermediate_size": 20, "head_dim": 10}
    )
    families.random_model(config).to(torch.bfloat16).save_pretrained(tmp_path)
    chatml_tokenizer().save_pretrained(tmp_path)
    found = prove(Scorer(load_cpu(tmp_path, precision=precision), 1000))
    assert found.wrong is None and found.products and found.tensors_left_out == (0 if precision != "nf4" else 4 * 3)


def test_the_row_of_the_padding_token_is_the_familys_own_matter(tmp_path: Path) -> None:
    """Youtu-LLM loads it as zeros; a row beside it is another thing."""
    config = AutoConfig.for_model("youtu", **{**COMMON, "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8,
                                              "qk_nope_head_dim": 16, "v_head_dim": 12})  # fmt: skip
    families.random_model(config).to(torch.bfloat16).save_pretrained(tmp_path)
    chatml_tokenizer().save_pretrained(tmp_path)
    loaded = load_cpu(tmp_path)
    table = loaded.model.get_input_embeddings()
    assert table.padding_idx == 0 and not table.weight[0].any() and look(loaded).apart == 0
    table.weight.data[1] = 0
    assert look(loaded).farthest == "model.embed_tokens.weight"


def test_a_product_that_fails_refuses_the_model_and_says_where(
    loaded_as: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*about: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(product_proof, "compare", fail)
    with pytest.raises(ModelError, match=r"a product .* fails by itself \(RuntimeError: no such kernel\)") as caught:
        prove(Scorer(loaded_as("int8"), 1000))
    assert caught.value.code == "model_unproven"
