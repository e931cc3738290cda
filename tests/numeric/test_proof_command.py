"""`python -m pinpoint check`: the proof as a person sees it, on real loads of small models."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from transformers.utils import logging as transformers_logging
from typer.testing import CliRunner, Result

from pinpoint.cli import app
from pinpoint.engine.forward import attention, blocks
from pinpoint.errors import ModelError
from pinpoint.serving import model
from pinpoint.settings import Settings
from tests.fakes import chatml_tokenizer
from tests.numeric.forward import families
from tests.numeric.forward.families import configuration

SETTINGS = ("MODEL_NAME", "PINPOINT_MODEL_NAME", "MODEL_REVISION", "PINPOINT_PRECISION", "PINPOINT_DEVICE",
            "PINPOINT_COMPUTE_DTYPE")  # fmt: skip


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers_logging.set_verbosity_error()
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["check", *words])


def as_json(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json").stdout)
    return found


def save(family: str, folder: Path) -> str:
    families.random_model(configuration(family)).save_pretrained(folder)
    chatml_tokenizer().save_pretrained(folder)
    return str(folder)


def test_the_embedded_model_is_proved_and_the_table_says_by_how_much() -> None:
    result = run("--device", "cpu")
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "pinpoint-embedded (mixtral): int8, computed in float32 on cpu, context of 2,048 tokens" in said
    assert said.count("holds") == 11 and "does not hold" not in said
    assert re.search(
        r"weights: \d\d stored tensors compared with their files; \d\d products of layers by themselves", said
    )
    assert "are apply_chat_template's, token for token" in said and "STOP: </s> (1)" in said
    assert "proved: what is scored is what the model computes" in said


@pytest.mark.parametrize(("family", "precision"), [("gpt_oss", "bf16"), ("phi3, longrope", "int8"), ("mixtral", "fp8")])
def test_a_folder_is_loaded_as_a_worker_would_and_proved(family: str, precision: str, tmp_path: Path) -> None:
    found = as_json(save(family, tmp_path / "m"), "--precision", precision, "--device", "cpu")
    assert found["proved"] and found["error"] is None
    assert found["family"] == configuration(family).model_type and found["precision"] == precision
    assert found["weights"]["tensors"] > 20 and found["weights"]["left_out"] == 0
    assert found["compute_dtype"] == ("bfloat16" if precision == "bf16" else "float32")
    assert all(part["holds"] and part["apart"] <= part["tolerance"] for part in found["parts"])
    assert found["prompts"]["compared"] > 0 and found["prompts"]["tokens"] > 0
    assert found["stop"] == {"token": "<|im_end|>", "id": 2}
    assert found["seconds"].keys() == {"load", "proof", "all"}


def test_what_is_not_proved_fails_with_its_code_and_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save("gpt_oss", tmp_path / "m")
    monkeypatch.setattr(blocks, "sink_weight", lambda lse, sinks: sinks[:, 0].new_ones(lse.shape).float())
    found = as_json(folder, "--precision", "bf16", "--device", "cpu")
    assert not found["proved"] and found["error"]["code"] == "model_unproven"
    assert "attention of layer 0" in found["error"]["message"]
    result = run(folder, "--precision", "bf16", "--device", "cpu")
    assert result.exit_code == 1
    assert "does not hold" in result.output and "attention of layer 0" in " ".join(result.output.split())


def test_a_model_that_is_refused_says_so_with_its_code(tmp_path: Path) -> None:
    folder = save("qwen3_next", tmp_path / "m")
    result = run(folder, "--device", "cpu")
    assert result.exit_code == 1 and result.stderr.startswith("unsupported_family: ")
    assert as_json(folder, "--device", "cpu")["error"]["code"] == "unsupported_family"
    assert run(str(tmp_path / "none"), "--device", "cpu").exit_code == 1


@pytest.mark.parametrize("family", ["gpt_oss", "llama4 text"])
def test_experts_that_eight_bits_do_not_cover_are_refused_by_that_name(family: str, tmp_path: Path) -> None:
    folder = save(family, tmp_path / "m")
    assert as_json(folder, "--device", "cpu")["error"]["code"] == "unsupported_experts"
    assert as_json(folder, "--device", "cpu", "--precision", "bf16")["proved"]


def test_the_help_teaches() -> None:
    result = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"})
    said = " ".join(result.output.split())
    for words in ("python -m pinpoint check ./my-model", "apply_chat_template", "Exit code 0: it is proved. 1:"):
        assert words in said


def test_a_worker_proves_its_model_before_it_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_scorer", None)
    settings = Settings(device="cpu")
    with monkeypatch.context() as patch:
        spans = attention._spans
        patch.setattr(attention, "_spans", lambda query, key, value, scale, *more: spans(
            query, key, value, 2 * scale, *more
        ))  # fmt: skip
        with pytest.raises(ModelError, match="attention of layer 0") as caught:
            model.get_scorer(settings)
    assert caught.value.code == "model_unproven" and model._scorer is None
    assert model.get_scorer(settings) is model._scorer is not None
