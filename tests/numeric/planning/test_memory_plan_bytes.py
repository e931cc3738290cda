"""The memory plan's arithmetic against what transformers, the loader and one forward pass really take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    Qwen3MoeConfig,
)

from pinpoint.engine.forward import attention, head
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.weights import experts
from pinpoint.planning import activations
from pinpoint.planning.activations import Precision
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import PRECISIONS
from pinpoint.planning.shape import ModelShape
from pinpoint.planning.weight_bytes import weight_bytes_of
from tests.models import chatml_tokenizer, load_cpu, save_random
from tests.numeric.peak_bytes import measured
from tests.numeric.sixteen_bits import save_embedded

SMALL: dict[str, Any] = {
    "vocab_size": 1009,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
MIXTURE: dict[str, Any] = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
# One of each family and one of each thing that adds or moves parameters.
VARIANTS: dict[str, PreTrainedConfig] = {
    "mixtral": MixtralConfig(**SMALL, num_local_experts=5),
    "mixtral tied, own head size": MixtralConfig(**SMALL, head_dim=24, tie_word_embeddings=True),
    "mistral": MistralConfig(**SMALL),
    "llama": LlamaConfig(**SMALL),
    "llama with biases": LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True),
    "llama without grouped heads": LlamaConfig(**{**SMALL, "num_key_value_heads": None}),
    "qwen2": Qwen2Config(**SMALL),
    "qwen2 tied": Qwen2Config(**SMALL, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SMALL),
    "qwen3 with biases": Qwen3Config(**SMALL, attention_bias=True, head_dim=32),
    "qwen2_moe": Qwen2MoeConfig(**SMALL, **MIXTURE, shared_expert_intermediate_size=56),
    "qwen2_moe, some layers dense": Qwen2MoeConfig(
        **SMALL, **MIXTURE, shared_expert_intermediate_size=56, mlp_only_layers=[1], qkv_bias=False
    ),
    "qwen3_moe": Qwen3MoeConfig(**SMALL, **MIXTURE),
    "qwen3_moe, every second layer dense": Qwen3MoeConfig(**SMALL, **MIXTURE, decoder_sparse_step=2),
}


def saved_shape(config: PreTrainedConfig, folder: Path) -> ModelShape:
    """The shape as it is read from what transformers writes."""
    config.save_pretrained(folder)
    return find_shape(str(folder))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_are_those_of_the_model_that_transformers_builds(variant: str, tmp_path: Path) -> None:
    shape = saved_shape(VARIANTS[variant], tmp_path)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(VARIANTS[variant])
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    linears = {m.weight for m in model.modules() if type(m) is nn.Linear and m is not model.get_output_embeddings()}
    fused = {p for name, p in model.named_parameters() if ".experts." in name}
    assert shape.matrix_parameters == sum(weight.numel() for weight in linears | fused)


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """16-bit checkpoints by name, each written once."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            place = tmp_path_factory.mktemp("weights") / "checkpoint"
            known = name == "embedded"
            made[name] = save_embedded(place) if known else save_random(VARIANTS[name], chatml_tokenizer(), place)
        return made[name]

    return folder


@pytest.mark.parametrize("precision", [*PRECISIONS, "fp8"])
@pytest.mark.parametrize("name", ["embedded", "mixtral", "llama with biases", "qwen2 tied", "qwen3_moe"])
def test_planned_weights_are_the_loaded_bytes(
    name: str, precision: Precision, folder_of: Callable[[str], Path]
) -> None:
    folder = folder_of(name)
    loaded = load_cpu(folder, compute_dtype="bfloat16", precision=precision)
    assert loaded.precision == precision
    shape = find_shape(str(folder))
    planned = {each: weight_bytes_of(shape, each) for each in PRECISIONS}
    if precision == "fp8":  # as many bytes, in another form
        assert weight_bytes_of(shape, "fp8") == planned["int8"]
        precision = "int8"
    assert planned[precision] == pytest.approx(loaded.weight_bytes, rel=0.02)
    # The precisions differ by far more than the tolerance, so that it cannot hide the wrong one.
    assert all(abs(planned[each] / loaded.weight_bytes - 1) > 0.1 for each in PRECISIONS if each != precision)


def test_nf4_bytes_are_what_bitsandbytes_keeps(tmp_path: Path) -> None:
    from bitsandbytes.functional import quantize_4bit

    shape = saved_shape(VARIANTS["llama"], tmp_path)
    taken = 0
    for matrix in shape.matrices:
        packed, state = quantize_4bit(
            torch.randn(matrix.outputs, matrix.inputs), blocksize=64, compress_statistics=True, quant_type="nf4"
        )
        kept = [packed, state.absmax, state.offset, state.state2.absmax]  # the levels are the same for all weights
        taken += matrix.count * sum(tensor.numel() * tensor.element_size() for tensor in kept)
    in_16_bits = weight_bytes_of(shape, "bf16") - 2 * shape.matrix_parameters
    assert weight_bytes_of(shape, "nf4") == taken + in_16_bits


def test_the_measure_counts_what_is_held_at_a_time() -> None:
    def run() -> None:
        first = torch.empty(1000)
        second = first * 2
        del second
        third = first.view(10, 100) + 1
        del third

    assert measured(run) == 8000


# Where one stage is much wider than the rest, so that a pass measures that stage and no other.
WIDE = {**SMALL, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 1024}
NARROW = {**SMALL, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 32}
SHARED = {**WIDE, **MIXTURE, "shared_expert_intermediate_size": 1500}
WIDEST = {
    "feed-forward": LlamaConfig(**WIDE),
    "experts": MixtralConfig(**NARROW, num_local_experts=4),
    "shared expert": Qwen2MoeConfig(**SHARED),
}
ROW_TOKENS = 2048


def loaded_and_shape(
    config: PreTrainedConfig, folder: Path, precision: Precision = "int8"
) -> tuple[LoadedModel, ModelShape]:
    loaded = load_cpu(save_random(config, chatml_tokenizer(), folder), compute_dtype="bfloat16", precision=precision)
    return loaded, find_shape(str(folder))


def peak_of_a_pass(loaded: LoadedModel) -> int:
    ids = torch.randint(0, SMALL["vocab_size"], (1, ROW_TOKENS), generator=torch.Generator().manual_seed(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "sdpa_mask", lambda **_: None)  # none is made of a row on CUDA, which the plan is of
        return measured(lambda: loaded.model.base_model(input_ids=ids, use_cache=False))


@pytest.fixture(autouse=True)
def experts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All rows of an expert at a time, as on CUDA, which the plan is of."""
    monkeypatch.setattr(experts, "CPU_ROWS", 10**9)


@pytest.mark.parametrize("stage", WIDEST)
def test_a_stage_holds_what_a_pass_is_measured_to_hold(stage: str, tmp_path: Path) -> None:
    loaded, shape = loaded_and_shape(WIDEST[stage], tmp_path)
    planned = {one.name: one.peak_bytes(ROW_TOKENS) for one in activations.stages(shape, "int8")}
    assert 1.0 <= planned[stage] / peak_of_a_pass(loaded) < 1.01  # never less than is held


def test_experts_are_planned_for_the_worst_routing(tmp_path: Path) -> None:
    loaded, shape = loaded_and_shape(MixtralConfig(**WIDE, num_local_experts=4), tmp_path)
    planned, even = (
        max(
            stage.peak_bytes(ROW_TOKENS)
            for stage in activations.stages(shape, "int8", even_routing=routing)
            if stage.name != "experts, grouped"  # on CUDA alone
        )
        for routing in (False, True)
    )
    assert even < peak_of_a_pass(loaded) < planned
    for layer in loaded.model.base_model.layers:
        layer.mlp.gate.weight.data.zero_()  # all experts alike to the router, which then takes the same two every time
    assert 1.0 <= planned / peak_of_a_pass(loaded) < 1.02


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe"])
def test_experts_in_16_bits_are_all_computed_at_once(name: str, tmp_path: Path) -> None:
    """As an H200 showed it: 2.22 GB of 8,192 tokens of Mixtral 8x7B, where an expert at a time had been planned."""
    config = {
        "mixtral": MixtralConfig(**WIDE, num_local_experts=4),
        "qwen3_moe": Qwen3MoeConfig(**WIDE, **{**MIXTURE, "moe_intermediate_size": 512}),
    }[name]
    loaded, shape = loaded_and_shape(config, tmp_path, "bf16")
    planned = max(stage.peak_bytes(ROW_TOKENS) for stage in activations.stages(shape, "bf16"))
    assert 1.0 <= planned / peak_of_a_pass(loaded) < 1.03


def test_logits_hold_what_the_plan_says(tmp_path: Path) -> None:
    loaded, shape = loaded_and_shape(LlamaConfig(**WIDE), tmp_path)
    planned = next(stage for stage in activations.stages(shape, "int8") if stage.name == "logits")
    rows = 3 * activations.LOGIT_ROWS
    hidden = torch.randn(rows, shape.hidden, dtype=torch.bfloat16)
    asked = np.stack([np.arange(rows), np.arange(rows) % shape.vocabulary], axis=1)
    lookups = head.Lookups.of(asked, rows, hidden.device)
    taken = measured(lambda: head.lookup_log_probs(loaded.model, hidden, lookups))
    # Beside the logits there are only vectors of the lookups.
    assert planned.fixed_bytes <= taken < planned.fixed_bytes * 1.02
