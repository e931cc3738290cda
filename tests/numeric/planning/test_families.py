"""The list of families against transformers: sizes, and what each model type is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from pinpoint.errors import ModelError
from pinpoint.planning import known_models
from pinpoint.planning.families import PLANNED
from pinpoint.planning.gemma4 import sizes_of
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.model_shapes import shape_from_config
from pinpoint.planning.towers import Tower, tower_of
from pinpoint.planning.weight_bytes import kv_bytes_per_token
from tests.numeric.planning.family_configs import SMALL, VARIANTS, config_of

CASES = [(family, variant) for family, variants in VARIANTS.items() for variant in range(len(variants))]


def test_each_family_that_is_planned_is_among_the_cases() -> None:
    assert set(VARIANTS) == set(PLANNED)


@pytest.mark.parametrize(("family", "variant"), CASES)
def test_a_plan_has_the_parameters_that_transformers_builds(family: str, variant: int, tmp_path: Path) -> None:
    config = config_of(family, variant)
    config.save_pretrained(tmp_path)
    shape = find_shape(str(tmp_path))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    linears = {m.weight for m in model.modules() if type(m) is nn.Linear and m is not model.get_output_embeddings()}
    # Router's and experts' biases are no matrices.
    fused = {p for name, p in model.named_parameters() if ".experts." in name and p.ndim == 3}
    assert shape.matrix_parameters == sum(weight.numel() for weight in linears | fused)


OPTIONAL = (
    "attention_bias", "mlp_bias", "use_bias", "qkv_bias", "attention_out_bias", "tie_word_embeddings", "head_dim",
    "n_shared_experts", "first_k_dense_replace", "use_qk_norm", "use_sliding_window", "mlp_only_layers",
    "decoder_sparse_step", "q_lora_rank",
)  # fmt: skip


@pytest.mark.parametrize("family", VARIANTS)
def test_what_a_file_leaves_out_is_what_transformers_takes_it_for(family: str) -> None:
    config = config_of(family)
    whole = {**config.to_dict(), "model_type": family}
    usual = type(config)().to_dict()
    partial = {name: value for name, value in whole.items() if name not in OPTIONAL or value != usual.get(name)}
    assert shape_from_config(partial, "x") == shape_from_config(whole, "x")
    for field in OPTIONAL[:6]:
        if field in whole and isinstance(whole[field], bool):
            # Left out, it is the class's own default, whatever was there.
            assert shape_from_config({k: v for k, v in whole.items() if k != field}, "x") == shape_from_config(
                {**whole, field: usual[field]}, "x"
            ), field


@pytest.mark.parametrize("name", known_models.PUBLISHED)
def test_known_models_have_the_parameters_that_transformers_builds(name: str) -> None:
    fields = dict(known_models.PUBLISHED[name])
    config = CONFIG_MAPPING[fields.pop("model_type")](**fields)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert find_shape(name).parameters == sum(parameter.numel() for parameter in model.parameters())


SEES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 7}
SIGLIP = {**SEES, "image_size": 28, "model_type": "siglip_vision_model"}
SHIPPED: list[tuple[str, dict[str, Any]]] = [
    ("gemma3", SIGLIP),
    (
        "gemma3",
        {**SIGLIP, "vision_use_head": False, "num_channels": 1},
    ),
    ("gemma4", {**SEES, "num_key_value_heads": 1, "head_dim": 12, "position_embedding_size": 50}),
]


@pytest.mark.parametrize(("family", "vision"), SHIPPED)
def test_what_stands_beside_a_text_model_is_planned_as_well(
    family: str, vision: dict[str, Any], tmp_path: Path
) -> None:
    text = {**SMALL, **VARIANTS[f"{family}_text"][0], "model_type": f"{family}_text"}
    config = CONFIG_MAPPING[family](text_config=text, vision_config=vision)
    config.save_pretrained(tmp_path)
    shape = find_shape(str(tmp_path))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert (shape.family, shape.measured) == (family, False)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())
    head = model.get_output_embeddings()
    linears = [m.weight.numel() for m in model.modules() if type(m) is nn.Linear and m is not head]
    assert shape.matrix_parameters == sum(linears)


def test_a_model_that_hears_is_measured() -> None:
    whole = {**known_models.PUBLISHED["google/gemma-4-31B-it"], "audio_config": {"hidden_size": 8}}
    with pytest.raises(ModelError, match="measured while it is loaded"):
        shape_from_config(whole, "x")


def test_keys_and_values_of_layers_of_different_sizes_are_counted_one_by_one() -> None:
    """Gemma 4 31B: 50 local layers with 16 heads of 256, 10 global ones with 4 of 512."""
    shape = find_shape("google/gemma-4-31B-it")
    assert kv_bytes_per_token(shape) == 2 * 2 * (50 * 16 * 256 + 10 * 4 * 512)
    assert (shape.kv_width, shape.query_width) == (16 * 256, 32 * 512)


def test_layers_that_take_the_keys_of_others_keep_none() -> None:
    """Of local and global layers in turn the last two take theirs, and are twice as wide."""
    found = sizes_of({**SMALL, **VARIANTS["gemma4_text"][2]})
    assert [(layer.size, layer.has_keys) for layer in found.layers] == [
        (256, True), (512, True), (256, False), (512, False),
    ]  # fmt: skip
    assert (found.kv_channels, found.widest, found.width) == (2 * 2 * (256 + 512), 2 * 512, 2 * 160)
    local = sizes_of({**SMALL, "layer_types": ["sliding_attention"] * 4})
    assert [layer.size for layer in local.layers] == [256, 256, 256, 512], "the last is global, whatever a file says"


def test_a_text_model_as_it_is_shipped_may_have_nothing_beside_it() -> None:
    assert tower_of({"model_type": "gemma4", "vision_config": None}, 96) == Tower((), 0)
    assert tower_of({"model_type": "gemma3", "vision_config": None}, 96) is None
