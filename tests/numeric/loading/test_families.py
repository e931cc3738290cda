"""What is refused at load, on a CPU as on a GPU, each with its code and in words; and what is measured then."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from pinpoint.engine.loading.architecture import check_architecture
from pinpoint.engine.loading.checkpoint import empty_model, unreadable
from pinpoint.engine.loading.measure import measured_shape, shape_of
from pinpoint.engine.loading.quantize_job import prepare
from pinpoint.engine.scorer import Scorer
from pinpoint.errors import ModelError
from pinpoint.planning.activations import Precision
from pinpoint.planning.families import ENCODER, EXACT, OWN_ATTENTION, RECURRENT, REFUSED
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import plan
from pinpoint.planning.weight_bytes import weight_bytes_of
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.planning.family_configs import VARIANTS, config_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama that loads."""
    tokenizer = chatml_tokenizer()
    folder = save_random(configurations(len(tokenizer))["llama"], tokenizer, tmp_path_factory.mktemp("llama"))
    assert load_cpu(folder).precision == "int8"
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def refused(folder: Path, **settings: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_cpu(folder, **settings)
    assert not caught.value.message.rstrip().endswith(":")
    return caught.value


def change_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


# Families


@pytest.mark.parametrize(
    ("family", "why"),
    [
        ("qwen3_next", RECURRENT), ("qwen3_5_text", RECURRENT), ("lfm2", RECURRENT), ("jamba", RECURRENT),
        ("mamba", RECURRENT), ("mamba2", RECURRENT), ("recurrent_gemma", RECURRENT), ("granitemoehybrid", RECURRENT),
        ("gptj", OWN_ATTENTION), ("falcon", OWN_ATTENTION), ("bart", ENCODER),
    ],
)  # fmt: skip
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_a_family_that_cannot_be_scored_is_refused_on_a_cpu(
    family: str, why: str, precision: str, folder: Path
) -> None:
    CONFIG_MAPPING[family]().save_pretrained(folder)
    error = refused(folder, precision=precision)
    assert error.code == "unsupported_family"
    assert why in error.message


def test_what_the_list_says_of_a_family_is_what_its_class_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the list, from transformers' own marks: the refusals of families that appear later."""
    monkeypatch.setattr("pinpoint.engine.loading.architecture.check_family", lambda *_: None)
    asked = [t for t, f in REFUSED.items() if f.refused in (RECURRENT, OWN_ATTENTION) and t in CONFIG_MAPPING]
    silent = []
    for family in asked:
        config = CONFIG_MAPPING[family]()
        config.architectures = None
        try:
            check_architecture(config, family)
        except ModelError as error:
            assert error.code == "unsupported_family"
        else:
            silent.append(family)
    # Of these only `layer_types`, or the list, tells.
    assert set(silent) <= {"minimax", "diffllama", "lfm2", "lfm2_moe", "lfm3", "kimi_linear"}


@pytest.mark.parametrize("family", sorted(EXACT))
def test_a_family_that_is_exact_is_let_through(family: str) -> None:
    check_architecture(config_of(family) if family in VARIANTS else CONFIG_MAPPING[family](), family)


@pytest.mark.parametrize(
    "architecture", ["LlamaForSequenceClassification", "LlamaForTokenClassification", "LlamaModel", "RewardModel"]
)
@pytest.mark.parametrize("tied", [False, True])
def test_a_head_that_is_no_language_models_is_refused(architecture: str, tied: bool, folder: Path) -> None:
    change_config(folder, architectures=[architecture], tie_word_embeddings=tied)
    error = refused(folder)
    assert (error.code, architecture in error.message) == ("unsupported_head", True)


def test_layers_beyond_any_model_are_refused_before_they_are_made(folder: Path) -> None:
    change_config(folder, num_hidden_layers=10**12)
    error = refused(folder)
    assert error.code == "model_unreadable"
    assert f"{folder / 'config.json'} describes a model of 1,000,000,000,000 layers" in error.message


@pytest.mark.parametrize("said", [7, {"a": 1}, True])
def test_a_head_that_is_said_to_be_no_name_is_refused(said: Any, folder: Path) -> None:
    change_config(folder, architectures=said)
    assert refused(folder).code == "unsupported_head"


# Tokenizers


@pytest.mark.parametrize("value", ["", [7], {"a": 1}])
def test_a_tokenizer_that_fails_when_it_is_used_is_refused(value: Any, folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": value}))
    loaded = load_cpu(folder)
    with pytest.raises(ModelError, match=r"fails on ordinary text \(TypeError: .* tokenizer_config\.json") as caught:
        Scorer(loaded, 512)
    assert caught.value.code == "model_unreadable"


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_more_tokens_than_embeddings_are_refused(precision: str, whole: Path, tmp_path: Path) -> None:
    tokenizer = chatml_tokenizer()
    config = configurations(len(tokenizer))["llama"]
    tokenizer.add_tokens(["<one>"])
    error = refused(save_random(config, tokenizer, tmp_path / "m"), precision=precision)
    assert error.code == "tokenizer_too_large"
    assert "'<one>'" in error.message and f"embeddings for {config.vocab_size} tokens" in error.message


# Weights


@pytest.mark.parametrize("precision", ["int8", "fp8", "nf4", "bf16"])
@pytest.mark.parametrize(
    "name",
    ["model.embed_tokens.weight", "model.layers.1.input_layernorm.weight", "model.norm.weight", "lm_head.weight",
     "model.layers.0.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"],
)  # fmt: skip
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_wherever_it_is(precision: str, name: str, value: float, folder: Path) -> None:
    def damage(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].flatten()[-1] = value

    change_weights(folder, damage)
    error = refused(folder, precision=precision)
    assert error.code == "weight_not_finite"
    assert f" comes of {name} in {folder / 'model.safetensors'}, with values" in error.message


@pytest.mark.parametrize("tied", [False, True])
def test_a_tensor_that_has_no_place_is_named_and_refused(tied: bool, folder: Path) -> None:
    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors["score.weight"] = torch.zeros(2, 64)

    change_weights(folder, add)
    change_config(folder, tie_word_embeddings=tied)
    error = refused(folder)
    assert error.code == "checkpoint_unsuitable"
    assert "the first is score.weight in " in error.message and "model.safetensors" in error.message


def test_a_tensor_that_is_missing_is_named_with_the_folder(folder: Path) -> None:
    def lose(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["model.norm.weight"]

    change_weights(folder, lose)
    error = refused(folder)
    assert error.code == "checkpoint_incomplete"
    assert f"1 tensors of the checkpoint in {folder} are missing, the first is model.norm.weight" in error.message


@pytest.mark.parametrize("precision", ["int8", "bf16"])
@pytest.mark.parametrize(
    ("name", "also"),
    [("model.norm.weight", "norm.weight"), ("model.layers.1.mlp.up_proj.weight", "layers.1.mlp.up_proj.weight")],
)
def test_a_parameter_under_two_names_is_refused(precision: str, name: str, also: str, folder: Path) -> None:
    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors[also] = tensors[name] + 1

    change_weights(folder, add)
    error = refused(folder, precision=precision)
    assert error.code == "checkpoint_unsuitable"
    assert f"{' and '.join(sorted((also, name)))} are both {name}; see {folder / 'model.safetensors'}" in error.message


def test_what_older_versions_left_behind_is_no_reason(folder: Path) -> None:
    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(8)

    change_weights(folder, add)
    assert load_cpu(folder).precision == "int8"


@pytest.mark.parametrize(
    ("family", "sizes", "said"),
    [
        ("gpt2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}, "would leave 100% of the matrices"),
        (
            "jetmoe", {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_key_value_heads": 2,
                       "kv_channels": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
            "of the matrices",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("precision", ["int8", "fp8", "nf4"])
def test_a_precision_that_would_quantise_hardly_anything_is_refused(
    precision: Precision, family: str, sizes: dict[str, int], said: str, tmp_path: Path
) -> None:
    """Weights in layers of another class, and experts that are not the usual ones."""
    tokenizer = chatml_tokenizer()
    config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), bos_token_id=0, eos_token_id=2, **sizes)
    saved = save_random(config, tokenizer, tmp_path / family)
    error = refused(saved, precision=precision)
    assert (error.code, error.field) == ("precision_unsuitable", "PINPOINT_PRECISION")
    assert said in error.message and "set PINPOINT_PRECISION=bf16" in error.message
    kind = {"gpt2": "Conv1D", "jetmoe": "JetMoeParallelExperts"}[family]
    assert f"(those of {kind})" in error.message
    with pytest.raises(ModelError, match=f"those of {kind}"):
        prepare(saved, tmp_path / "made", precision)
    assert load_cpu(saved, precision="bf16").precision == "bf16"


# Folders


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("alone", [False, True])
def test_an_adapter_is_refused_beside_a_model_and_alone(name: str, alone: bool, folder: Path) -> None:
    if alone:
        for path in folder.iterdir():
            path.unlink()
    (folder / name).write_text("{}")
    error = refused(folder)
    assert error.code == "adapter_unmerged"
    assert str(folder / name) in error.message


def test_a_folder_of_gguf_alone_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "model.Q8_0.gguf").touch()
    error = refused(tmp_path)
    assert error.code == "no_safetensors"
    assert "holds GGUF (model.Q8_0.gguf), which is not loaded" in error.message


def test_a_folder_without_a_tokenizer_says_so(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    error = refused(folder)
    assert error.code == "tokenizer_missing"
    assert str(folder) in error.message


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "tokenizer_config.json", "model.safetensors"])
def test_a_pointer_in_place_of_a_file_names_the_file(name: str, folder: Path) -> None:
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n")
    error = refused(folder)
    assert error.code == "file_not_fetched"
    assert str(folder / name) in error.message


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("text", ["{", "", "\x00\x01", "[]", '{"a": '])
def test_a_damaged_file_is_named(name: str, text: str, folder: Path) -> None:
    (folder / name).write_text(text)
    error = refused(folder)
    assert error.code == "model_unreadable"
    assert str(folder / name) in error.message


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json"])
def test_a_file_of_another_kind_is_named(name: str, folder: Path) -> None:
    (folder / name).write_text('{"version": "1.0", "model": 7, "hidden_size": "x", "model_type": "llama"}')
    error = refused(folder)
    assert error.code == "model_unreadable"
    assert str(folder / name) in error.message


@pytest.mark.parametrize("fields", [{"return_dict": False}, {"output_hidden_states": True, "output_attentions": True}])
def test_what_a_file_says_of_the_form_of_answers_changes_nothing(fields: dict[str, Any], folder: Path) -> None:
    change_config(folder, **fields)
    loaded = load_cpu(folder)
    Scorer(loaded, 512)
    with torch.inference_mode():
        made = loaded.model(torch.arange(3, 9)[None], use_cache=False)
    assert made.logits.shape[:2] == (1, 6)
    assert made.hidden_states is None and made.attentions is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hidden_size": -4}, "negative dimension"),
        ({"pad_token_id": 999_999}, "Padding_idx"),
        ({"hidden_act": "nonsense"}, "'nonsense' is asked for, and transformers knows none such"),
        ({"rope_parameters": {"rope_type": "su", "rope_theta": 1e4}}, "'su' is asked for"),
    ],
)
def test_a_configuration_that_makes_no_model_is_refused_in_words(
    fields: dict[str, Any], words: str, folder: Path
) -> None:
    change_config(folder, **fields)
    error = refused(folder)
    assert (error.code, words in error.message) == ("model_unreadable", True)


def test_a_way_of_attending_that_a_file_names_needs_no_package(folder: Path) -> None:
    change_config(folder, _attn_implementation="flash_attention_2", architectures="LlamaForCausalLM")
    assert load_cpu(folder).precision == "int8"


def test_a_class_that_looks_up_its_attention_by_name_is_refused(folder: Path) -> None:
    """GIT says that its attention can be chosen, and has a table of its own."""
    config = CONFIG_MAPPING["git"](
        vocab_size=600, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        vision_config={"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8},
    )  # fmt: skip
    save_random(config, chatml_tokenizer(), folder)
    error = refused(folder)
    assert error.code == "unsupported_family"
    assert OWN_ATTENTION in error.message


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_link_to_nothing_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    (folder / name).symlink_to(folder / "blobs" / "0")
    error = refused(folder)
    assert error.code == "file_not_fetched"
    assert str(folder / name) in error.message


def test_a_template_file_of_other_bytes_is_named(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"\xff\xfe")
    error = refused(folder)
    assert error.code == "model_unreadable"
    assert str(folder / "chat_template.jinja") in error.message


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "Error(s) in loading:\n\n   size mismatch\nadvice",
            "cannot load the model: Error(s) in loading: size mismatch",
        ),
        ("cannot read:", "cannot load the model: ValueError, cannot read"),
        ("", "cannot load the model: ValueError"),
        ("plain", "cannot load the model: plain"),
    ],
)
def test_a_message_never_ends_in_a_colon(said: str, message: str) -> None:
    assert unreadable(ValueError(said)).message == message


# Measured


@pytest.mark.parametrize("family", [f for f in sorted(VARIANTS)])
def test_what_is_measured_is_what_is_planned(family: str) -> None:
    config = config_of(family)
    planned = shape_of(config, "x")
    measured = measured_shape(empty_model(config), "x")
    assert not planned.measured and measured.measured
    assert measured.parameters == planned.parameters
    for precision in planned.precisions:
        wanted = weight_bytes_of(planned, precision)  # type: ignore[arg-type]
        assert weight_bytes_of(measured, precision) == pytest.approx(wanted, rel=0.01)  # type: ignore[arg-type]
        # No less for a pass than by the layout, so that nothing is let through that would not fit.
        passes = [plan(shape, precision, 10**10, 0).pass_bytes(4096) for shape in (planned, measured)]  # type: ignore[arg-type]
        assert passes[0] <= passes[1]


def test_heads_that_share_a_latent_have_a_key_each_whatever_is_said_of_their_number() -> None:
    config = config_of("deepseek_v3", num_key_value_heads=1)
    assert measured_shape(empty_model(config), "x").kv_heads == config.num_attention_heads


def test_a_family_without_a_layout_is_measured(tmp_path: Path) -> None:
    config = CONFIG_MAPPING["gpt_neox"](
        vocab_size=600, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="is measured while it is loaded"):
        find_shape(str(tmp_path))
    shape = shape_of(config, "x")
    assert shape.parameters == sum(p.numel() for p in empty_model(config).parameters())
    assert plan(shape, "int8", 10**10, 0).fits
