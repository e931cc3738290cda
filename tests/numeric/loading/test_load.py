"""Loading: where from, in which precision, with how much on the way, and refusals before anything is loaded."""

import json
import logging
import os
import shutil
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.core_model_loading import Concatenate, MergeModulelist, WeightConverter
from transformers.utils import logging as transformers_logging

from pinpoint.checkpoints.sources import EMBEDDED_NAME, embedded_folder
from pinpoint.checkpoints.weight_files import read_headers
from pinpoint.engine import gpu
from pinpoint.engine.loading import load, pretrained
from pinpoint.engine.loading.checkpoint import FORMATS, empty_model, read_config
from pinpoint.engine.loading.checkpoint_writer import write
from pinpoint.engine.loading.layout import check_layout
from pinpoint.engine.loading.quantize_job import prepare
from pinpoint.engine.weights.quantizer import WeightQuantizer
from pinpoint.errors import CapacityError, ModelError
from pinpoint.planning.activations import Precision
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import CUDA_CONTEXT_BYTES, QUANTISING_BYTES
from pinpoint.planning.stored import METHODS
from pinpoint.settings import Settings
from tests import warm
from tests.models import chatml_tokenizer, configurations, embedded, load_cpu, save_random
from tests.numeric.peak_bytes import measured

GB = 10**9
MIXTRAL = find_shape("mistralai/Mixtral-8x7B-Instruct-v0.1")
COMMIT = "c" * 40

CARD_BYTES = 2 * GB


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Mixtral in 16 bits."""
    tokenizer = chatml_tokenizer()
    folder = tmp_path_factory.mktemp("mixtral")
    return save_random(configurations(len(tokenizer))["mixtral"], tokenizer, folder)


@pytest.fixture(scope="module")
def quantised(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Precision, Path]:
    """The same, written in each format."""
    root = tmp_path_factory.mktemp("quantised")
    for precision in FORMATS:
        write(prepare(saved, root / precision, precision))
    return {precision: root / precision for precision in FORMATS}


# Which precision


def test_int8_is_what_is_loaded_where_nothing_else_is_asked_for(saved: Path) -> None:
    assert load_cpu(saved).precision == load_cpu(saved, precision="auto").precision == embedded().precision == "int8"


def test_bf16_is_the_checkpoint_as_it_is(saved: Path) -> None:
    loaded = load_cpu(saved, precision="bf16")
    assert (loaded.precision, loaded.compute_dtype) == ("bf16", torch.bfloat16)
    plain = AutoModelForCausalLM.from_pretrained(saved, dtype=torch.bfloat16, attn_implementation="eager").eval()
    theirs = plain.state_dict()
    ours = loaded.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert {tensor.dtype for tensor in ours.values()} == {torch.bfloat16}
    ids = torch.arange(3, 40).unsqueeze(0)
    loaded.model.set_attn_implementation("eager")
    with torch.inference_mode():
        torch.testing.assert_close(loaded.model(ids).logits, plain(ids).logits, rtol=0.02, atol=0.02)


def test_bf16_is_not_computed_in_float32(saved: Path) -> None:
    with pytest.raises(ModelError, match="compute in bfloat16"):
        load_cpu(saved, precision="bf16", compute_dtype="float32")


@pytest.mark.parametrize("precision", FORMATS)
def test_a_quantised_checkpoint_has_its_own_precision(precision: Precision, quantised: dict[Precision, Path]) -> None:
    folder = quantised[precision]
    assert load_cpu(folder, precision=precision).precision == precision
    assert load_cpu(folder, precision="auto").precision == precision
    for other in {"int8", "fp8", "nf4", "bf16"} - {precision}:
        with pytest.raises(ModelError) as caught:
            load_cpu(folder, precision=other)
        assert (caught.value.code, caught.value.field) == ("precision_unsuitable", "PINPOINT_PRECISION")
        assert f"holds its weights in {precision}" in caught.value.message


def test_a_precision_that_a_model_cannot_take_is_refused_in_words(saved: Path) -> None:
    config = read_config(saved)
    model = empty_model(config)
    model.model.layers[0].mlp.experts.has_bias = True
    form = FORMATS["nf4"]
    with pytest.raises(ModelError, match="set PINPOINT_PRECISION=bf16") as caught:
        form.quantizer(form.config(), pre_quantized=False).preprocess_model(model)
    assert caught.value.code == "unsupported_experts"


@pytest.mark.parametrize(
    ("card_gb", "precision", "taken"),
    [(150, "auto", "bf16"), (80, "auto", "int8"), (48, "auto", "nf4"), (150, "int8", "int8"), (80, "nf4", "nf4")],
)
def test_auto_takes_the_highest_that_fits_and_says_so(
    card_gb: int, precision: Precision, taken: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pinpoint"):
        made = gpu.plan_or_refuse(Settings(), MIXTRAL, card_gb * GB, card_gb * GB, precision)
    assert (made.precision, made.fits) == (taken, True)
    assert (f"precision auto: {taken} is the highest that fits" in caplog.text) == (str(precision) == "auto")


@pytest.mark.parametrize(
    ("card_gb", "free_gb", "precision", "code", "said"),
    [
        (24, 24, "int8", "does_not_fit", "47.0 GB of weights in int8"),
        (24, 24, "auto", "does_not_fit", "24.5 GB of weights in nf4"),
        (48, 48, "int8", "does_not_fit", "What fits: nf4"),
        (80, 80, "bf16", "does_not_fit", "93.4 GB of weights in bf16"),
        (150, 60, "auto", "card_in_use", "only 60.0 of 150.0 GB are free"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(
    card_gb: int, free_gb: int, precision: Precision, code: str, said: str
) -> None:
    with pytest.raises(CapacityError) as caught:
        gpu.plan_or_refuse(Settings(), MIXTRAL, card_gb * GB, free_gb * GB, precision)
    assert caught.value.code == code
    assert said in caught.value.message


@pytest.fixture
def fake_card(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A card of 2 GB that computes every precision, is asked for its memory and told its cap."""
    card = SimpleNamespace(total_bytes=CARD_BYTES, fraction=None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(load, "kernels_work", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (card.total_bytes, card.total_bytes))
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda fraction, device: setattr(card, "fraction", fraction)
    )
    return card


@pytest.mark.parametrize("wanted", ["int8", "fp8", "nf4", "bf16", "auto"])
def test_the_precision_is_settled_and_the_card_capped_before_loading(
    wanted: Literal["int8", "fp8", "nf4", "bf16", "auto"], saved: Path, fake_card: SimpleNamespace
) -> None:
    settings = Settings(precision=wanted, buffer_gb=0.1, max_concurrency=1)
    device = torch.device("cuda", 0)
    precision, made = load.settle_precision(settings, read_config(saved), "x/y", device)
    assert made is not None
    assert precision == made.precision == ("bf16" if wanted == "auto" else wanted)
    assert fake_card.fraction == pytest.approx((CARD_BYTES - 0.1 * GB - CUDA_CONTEXT_BYTES) / CARD_BYTES)
    assert load.settle_precision(settings, read_config(saved), "x/y", torch.device("cpu"))[1] is None


def test_what_the_kernel_cannot_compute_is_refused_before_loading(saved: Path, fake_card: SimpleNamespace) -> None:
    settings = Settings(buffer_gb=0.1, compute_dtype="float32")
    with pytest.raises(ModelError, match="on a GPU computes in bfloat16"):
        load.settle_precision(settings, read_config(saved), "x/y", torch.device("cuda", 0))
    config = read_config(saved)
    config.head_dim = 100
    with pytest.raises(ModelError, match="x/y has heads of 100 channels"):
        load.settle_precision(Settings(buffer_gb=0.1), config, "x/y", torch.device("cuda", 0))
    assert fake_card.fraction is None


def test_a_quantised_checkpoint_is_planned_in_its_own_precision(
    quantised: dict[Precision, Path], saved: Path, fake_card: SimpleNamespace
) -> None:
    settings = Settings(precision="auto", buffer_gb=0.1, max_concurrency=1)
    for expected, folder in quantised.items():
        precision, made = load.settle_precision(settings, read_config(folder), "x/y", torch.device("cuda", 0))
        assert made is not None
        assert precision == made.precision == expected
    settings = Settings(precision="auto", activations="int8", buffer_gb=0.1, max_concurrency=1)
    assert load.settle_precision(settings, read_config(saved), "x/y", torch.device("cuda", 0))[0] == "int8"
    assert {one.quantizer.method: precision for precision, one in FORMATS.items()} == METHODS


@pytest.mark.parametrize("asked", ["MODEL_NAME", "PINPOINT_DEVICE"])
def test_without_a_gpu_where_one_is_needed_it_says_what_to_do(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = Settings(model_name="x/y") if asked == "MODEL_NAME" else Settings(device="cuda")
    with pytest.raises(ModelError, match="none is visible") as caught:
        load.load(settings)
    assert caught.value.code == "no_gpu"


# With how much on the way


@pytest.mark.parametrize("precision", FORMATS)
def test_single_experts_are_never_fused_in_16_bits(precision: Precision) -> None:
    """What quantising a layer's experts allocates is their final size and a few experts' worth, not the whole."""
    experts, outputs, inputs = 32, 96, 256
    parts = {name: [torch.randn(outputs // 2, inputs).bfloat16() for _ in range(experts)] for name in ("gate", "up")}
    waiting = [weakref.ref(tensor) for tensors in parts.values() for tensor in tensors]
    alive_later: list[int] = []
    quantizer, convert = by_expert(precision, [MergeModulelist(dim=0), Concatenate(dim=1)])
    real = quantizer.linear_parts

    def counted(name: str, weight: Tensor) -> dict[str, Tensor]:
        alive_later.append(sum(reference() is not None for reference in waiting))
        return real(name, weight)

    quantizer.linear_parts = counted  # type: ignore[method-assign]
    whole: dict[str, Tensor] = {}
    one = 2 * outputs * inputs
    peak = measured(lambda: whole.update(convert(parts)))
    final = sum(part.nbytes for part in whole.values())
    chunks = 8 * 2 * outputs * inputs  # an expert in float32, a few times
    assert final + one < peak < final + 6 * one + chunks < final + experts * one / 2
    # Each expert's parts are gone when the next is quantised.
    assert alive_later == [2 * (experts - 1 - place) for place in range(experts)]


def by_expert(precision: Precision, operations: list[Any]) -> tuple[WeightQuantizer, Any]:
    """The quantizer, and what it makes of the operations that fuse a layer's experts."""
    form = FORMATS[precision]
    quantizer = form.quantizer(form.config(), pre_quantized=False)
    converter = WeightConverter([".experts.*.gate", ".experts.*.up"], ".experts.gate_up_proj", operations)
    (changed,) = quantizer.update_weight_conversions([converter], None)
    # All experts of a layer are read before the first is quantised; they wait where there is room.
    assert changed.force_cpu
    (operation,) = changed.operations

    def convert(parts: dict[str, list[Tensor]]) -> dict[str, Tensor]:
        given = {f".experts.*.{name}": tensors for name, tensors in parts.items()}
        patterns = {"source_patterns": list(given), "target_patterns": [".experts.gate_up_proj"]}
        made: dict[str, Tensor] = operation.convert(given, **patterns)
        return made

    return quantizer, convert


def test_operations_that_are_not_known_to_be_expert_by_expert_are_left_alone() -> None:
    form = FORMATS["int8"]
    for quantizer, operations, target in (
        (form.quantizer(form.config(), pre_quantized=False), [Concatenate(dim=0)], ".experts.gate_up_proj"),
        (form.quantizer(form.config(), pre_quantized=False), [MergeModulelist(dim=1)], ".experts.down_proj"),
        (form.quantizer(form.config(), pre_quantized=False), [MergeModulelist(dim=0)], ".attention.qkv"),
        (form.quantizer(form.config(), pre_quantized=True), [MergeModulelist(dim=0)], ".experts.down_proj"),
    ):
        converter = WeightConverter([".experts.*.w"], target, operations)
        assert quantizer.update_weight_conversions([converter], None) == [converter]


@pytest.mark.parametrize("precision", FORMATS)
def test_a_fused_tensor_is_quantised_within_what_the_plan_allows(precision: Precision) -> None:
    form = FORMATS[precision]
    quantizer = form.quantizer(form.config(), pre_quantized=False)
    fused = torch.randn(8, 128, 256).bfloat16()
    whole: dict[str, Tensor] = {}
    peak = measured(lambda: whole.update(quantizer.expert_parts("experts.down_proj", len(fused), fused)))
    # Beside the tensor that arrived: what stays, and a matrix a few times.
    assert peak - sum(part.nbytes for part in whole.values()) < min(QUANTISING_BYTES, 6 * 4 * 128 * 256)


# What is said


def test_a_load_ends_in_one_line_with_the_facts(saved: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pinpoint"):
        loaded = load_cpu(saved, precision="nf4")
    (line,) = [record.message for record in caplog.records if record.message.startswith("loaded ")]
    for said in ("precision=nf4", "compute=float32", "seconds=", "from=folder", "all tensors on cpu"):
        assert said in line
    assert f"weights_gb={loaded.weight_bytes / 1e9:.3f}" in line


def test_no_bar_is_drawn_into_a_log(saved: Path, tmp_path: Path) -> None:
    script = tmp_path / "load.py"
    script.write_text("import sys; from tests.models import load_cpu; load_cpu(sys.argv[1])")
    done = warm.run([str(script), str(saved)], os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_people_see_a_bar(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert transformers_logging.is_progress_bar_enabled()
    with pretrained.progress_for_people():
        assert transformers_logging.is_progress_bar_enabled() == terminal
    assert transformers_logging.is_progress_bar_enabled()


# Where from


@pytest.fixture
def cached(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The checkpoint in a cache as the platform lays it; whatever goes offline comes back."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--owner--model"
    snapshot = repository / "snapshots" / COMMIT
    shutil.copytree(saved, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    yield snapshot


def test_a_cached_model_is_loaded_without_a_network(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    loaded = load_cpu("Owner/Model")
    assert (loaded.name, loaded.revision) == ("Owner/Model", COMMIT)
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_model_that_is_nowhere_is_refused_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"Looked: .*has no models--no--such"):
        load_cpu("no/such")


def test_a_download_brings_the_weights_only_after_the_plan(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    steps: list[str] = []
    folder = tmp_path / COMMIT

    def snapshot_download(name: str, **more: Any) -> str:
        weights = "*.safetensors" in more["allow_patterns"]
        steps.append(f"{'weights' if weights else 'small files'} of {more['revision']}")
        ignore = None if weights else shutil.ignore_patterns("*.safetensors")
        shutil.copytree(saved, folder, ignore=ignore, dirs_exist_ok=True)
        return str(folder)

    def settle_precision(*given: Any) -> Any:
        steps.append("plan")
        return real(*given)

    real = load.settle_precision
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr(load, "settle_precision", settle_precision)
    assert load_cpu("owner/other").revision == COMMIT
    assert steps == ["small files of main", "plan", f"weights of {COMMIT}"]


def test_the_embedded_model_is_called_by_its_name_and_has_its_checksums() -> None:
    loaded = load_cpu(verify_checksums=True)
    assert (loaded.name, loaded.revision) == (EMBEDDED_NAME, "embedded")
    stored = load_file(embedded_folder() / "model.safetensors")
    state = loaded.model.state_dict()
    assert all(torch.equal(state[name].to(value.dtype), value) for name, value in stored.items())


def test_a_checkpoint_without_checksums_is_refused_where_they_are_asked_for(saved: Path) -> None:
    with pytest.raises(ModelError, match="SHA256SUMS"):
        load_cpu(saved, verify_checksums=True)


def test_a_quantised_checkpoint_with_a_missing_scale_is_refused(
    quantised: dict[Precision, Path], tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    folder = shutil.copytree(quantised["int8"], tmp_path / "made")
    tensors = load_file(folder / "model.safetensors")
    lost = tensors.pop("model.layers.0.mlp.experts.down_proj_scale")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"the first is model\.layers\.0\.mlp\.experts\.down_proj_scale"):
        load_cpu(folder)
    tensors["model.layers.0.mlp.experts.down_proj_scale"] = lost.double().half()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="is stored as F16, not as F32"):
        load_cpu(folder)
    assert json.loads((folder / "config.json").read_text())["quantization_config"] == {"quant_method": "pinpoint_int8"}


def test_a_model_s_parameters_are_not_gone_through_once_for_each_tensor(
    saved: Path, quantised: dict[Precision, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of Mixtral's 32 layers it took a second that the model's 483 tensors were gone through 483 times.
    deep = read_config(saved)
    deep.num_hidden_layers = 6
    write(prepare(save_random(deep, chatml_tokenizer(), tmp_path / "16"), tmp_path / "8", "int8"))
    plain, calls = torch.nn.Module.state_dict, list[int]()

    def counting(self: torch.nn.Module, *given: Any, **named: Any) -> Any:
        if isinstance(self, PreTrainedModel) and not named.get("prefix"):
            calls.append(1)
        return plain(self, *given, **named)

    monkeypatch.setattr(torch.nn.Module, "state_dict", counting)
    counts = []
    for folder in (quantised["int8"], tmp_path / "8"):
        calls.clear()
        check_layout(read_config(folder), read_headers(folder))
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0


def test_nf4_without_its_library_is_refused_by_name(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "find_spec", lambda name: None)
    settings = Settings.model_validate({"model_name": str(saved), "precision": "nf4", "device": "cpu"})
    with pytest.raises(ModelError, match="bitsandbytes, which is not installed") as caught:
        load.load(settings)
    assert (caught.value.code, caught.value.field) == ("precision_unsuitable", "PINPOINT_PRECISION")


def test_a_text_model_within_one_that_has_none_is_refused(saved: Path, tmp_path: Path) -> None:
    made = tmp_path / "nested"
    shutil.copytree(saved, made)
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "text_config": config}))
    with pytest.raises(ModelError, match=r"config\.json describes a text model within one of type") as caught:
        read_config(made)
    assert caught.value.code == "model_unreadable"
