"""The list of families against transformers: sizes, and what each model type is."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from pinpoint.planning import known_models
from pinpoint.planning.families import PLANNED
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.model_shapes import shape_from_config
from tests.numeric.planning.family_configs import VARIANTS, config_of

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
