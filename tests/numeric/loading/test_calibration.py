"""Which layers keep their 16-bit activations: those with a planted outlier, and with them the scores come back."""

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from pinpoint.engine.forward.plain import own_way
from pinpoint.engine.loading import calibration, load
from pinpoint.engine.loading.activations import modules_of, set_activations
from pinpoint.engine.loading.calibration import row_error
from pinpoint.engine.loading.load import LoadedModel
from pinpoint.engine.proof import prove
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights.int8 import Int8Linear
from pinpoint.errors import ModelError
from tests.models import chatml_tokenizer, configurations, load_cpu, save_random
from tests.numeric.conftest import Pair

# One channel of what `down_proj` reads is so many times what it was, and is weighed by so much less.
OUTLIER = 512.0
PLANTED = "model.layers.1.mlp.down_proj"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose second layer has an outlier in the input of `down_proj`, and else no other model."""
    tokenizer = chatml_tokenizer()
    folder = save_random(configurations(len(tokenizer))["llama"], tokenizer, tmp_path_factory.mktemp("outlier"))
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][7] *= OUTLIER
    weights[f"{PLANTED}.weight"][:, 7] /= OUTLIER
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def log_probs(loaded: LoadedModel) -> Tensor:
    """Of the next token, everywhere in a fixed row."""
    ids = torch.randint(3, 200, (1, 64), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode(), own_way(loaded.model):
        return torch.log_softmax(loaded.model(input_ids=ids, use_cache=False).logits[0].float(), dim=-1)


def test_a_layer_with_an_outlier_is_kept_and_its_scores_come_back(
    planted: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exact = log_probs(load_cpu(planted))
    with caplog.at_level(logging.INFO, "pinpoint"):
        loaded = load_cpu(planted, activations="int8")
    modules = modules_of(loaded.model)
    assert list(loaded.kept) == [PLANTED] and loaded.kept[PLANTED] > calibration.MOST_ERROR
    assert {name for name, module in modules.items() if module.activations == "compute"} == {PLANTED}
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("activations:")]
    assert f"int8={len(modules) - 1} kept=1 of={len(modules)}" in line and f" {PLANTED}=" in line
    ours = (log_probs(loaded) - exact).abs().mean()
    monkeypatch.setattr(load, "keep_outliers", lambda model, tokenizer: {})
    without = (log_probs(load_cpu(planted, activations="int8")) - exact).abs().mean()
    assert 3 * ours < without, (ours, without)


def test_health_tells_which(planted: Path) -> None:
    told = Scorer(load_cpu(planted, activations="int8"), 512).activations["activations"]
    assert told["held_in"] == "int8" and list(told["kept"]) == [PLANTED]
    assert Scorer(load_cpu(planted), 512).activations == {}


def test_the_model_is_proved_with_them(planted: Path) -> None:
    prove(Scorer(load_cpu(planted, activations="int8"), 512))


def test_a_model_that_cannot_be_read_is_refused(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "row_error", None)
    with pytest.raises(ModelError, match="unset PINPOINT_ACTIVATIONS"):
        load_cpu(planted, activations="int8")


@pytest.mark.parametrize("precision", ["bf16", "nf4", "fp8"])
def test_weights_that_are_not_in_int8_are_refused(planted: Path, precision: str) -> None:
    with pytest.raises(ModelError, match=rf"these are in {precision}; set PINPOINT_PRECISION=int8") as refused:
        load_cpu(planted, activations="int8", precision=precision)
    assert (refused.value.code, refused.value.field) == ("precision_unsuitable", "PINPOINT_ACTIVATIONS")


def test_products_too_long_for_32_bits_are_refused(planted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pinpoint.engine.loading.activations.MOST_INPUTS", 95)
    with pytest.raises(ModelError, match=r"layers\.0\.mlp\.down_proj has products of 96 inputs.*at most 95"):
        load_cpu(planted, activations="int8")


def test_experts_with_one_product_too_long_are_refused_for_8_bit_activations_alone(
    small_mixtral: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_mixtral[0].model
    monkeypatch.setattr("pinpoint.engine.loading.activations.MOST_INPUTS", 95)
    set_activations(model, "compute")
    with pytest.raises(ModelError, match="experts has products of 96 inputs"):
        set_activations(model, "int8")
    assert {module.activations for module in modules_of(model).values()} == {"compute"}


def test_no_more_is_read_than_the_model_has_positions_for() -> None:
    tokenizer = chatml_tokenizer()
    model: Any = SimpleNamespace(config=configurations(len(tokenizer))["llama"])
    assert len(calibration.sample(model, tokenizer)) == calibration.MOST_TOKENS
    model.config.max_position_embeddings = 20
    assert len(calibration.sample(model, tokenizer)) == 20


def test_a_layer_that_no_text_reaches_is_kept(planted: Path) -> None:
    loaded = load_cpu(planted, activations="int8")
    loaded.model.model.spare = Int8Linear(8, 8, None)
    assert calibration.keep_outliers(loaded.model, loaded.tokenizer)["model.spare"] == math.inf


def test_the_error_is_that_of_the_row_in_the_middle() -> None:
    exact = torch.tensor([[3.0, 4.0], [0.0, 5.0], [1.0, 0.0]])
    ours = exact + torch.tensor([[0.0, 0.5], [5.0, 0.0], [0.0, 0.0]])
    assert float(row_error(ours, exact)) == pytest.approx(0.1)
    assert float(row_error(exact, exact)) == 0
    assert float(row_error(exact * math.nan, exact)) == math.inf
    assert float(row_error(torch.zeros(1, 3, 2), torch.zeros(1, 3, 2))) == 0
    assert float(row_error(exact, torch.zeros(3, 2))) > 1
