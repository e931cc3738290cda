"""`python -m pinpoint plan`: what it says, how it exits, and that it needs neither torch nor network."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import pinpoint
from pinpoint.checkpoints.sources import embedded_folder
from pinpoint.cli import app

MIXTRAL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
SETTINGS = ("MODEL_NAME", "PINPOINT_MODEL_NAME", "PINPOINT_BUFFER_GB", "PINPOINT_MAX_MEMORY_GB", "PINPOINT_PRECISION")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def run(*words: str, **env: str) -> Result:
    return CliRunner().invoke(app, ["plan", *words], env=env)


def text(result: Result) -> str:
    """What was printed, without the frames and line breaks of boxes."""
    return " ".join(result.output.replace("│", " ").split())


def as_json(*words: str, **env: str) -> dict[str, Any]:
    result = run(*words, "--json", **env)
    assert result.exit_code in (0, 1), result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_mixtral_does_not_fit_a_24_gb_card_and_what_does_is_listed() -> None:
    result = run("--model", MIXTRAL, "--gpu", "RTX 4090")
    assert result.exit_code == 1
    said = text(result)
    assert "does not fit: 47.0 GB of weights in int8 against 22.8 GB (RTX 4090: 25.8 GB less a buffer of 3.0)" in said
    for word in ("weights", "prefix store", "scratch", "activations", "what fits", "Mistral-7B-Instruct-v0.3"):
        assert word in said
    assert "A100 80GB PCIe (AMPERE_80)" in said
    assert "RTX A6000" not in said


def test_mixtral_fits_an_80_gb_card_with_a_token_budget() -> None:
    result = run("--model", MIXTRAL, "--gpu", "A100 80GB")
    assert result.exit_code == 0
    assert "fits: 47.0 GB of weights in int8 against 82.9 GB" in text(result)
    assert "token budget 32,768" in text(result)


def test_the_verdict_is_one_line() -> None:
    lines = run("--gpu", "RTX 4090").output.splitlines()
    assert sum(line.startswith("does not fit") and line.endswith("too many") for line in lines) == 1


def test_json_holds_every_figure_in_bytes() -> None:
    found = as_json("--model", MIXTRAL, "--gpu", "RTX 4090")
    assert (found["model"], found["precision"], found["fits"], found["token_budget"]) == (MIXTRAL, "int8", False, 0)
    assert found["bound_bytes"] == found["card"]["total_bytes"] - 3_000_000_000
    assert found["missing_bytes"] == found["planned_bytes"] - found["bound_bytes"]
    assert round(found["terms"]["weights"]["bytes"] / 1e9, 1) == 47.0
    assert ("card", "HOPPER_141") in {(one["kind"], one["pool"]) for one in found["what_fits"]}


def test_the_knobs_come_from_the_environment_and_the_command_line_wins() -> None:
    found = as_json("--gpu", "24GB", PINPOINT_BUFFER_GB="2", PINPOINT_MAX_MEMORY_GB="20.5")
    driver_bytes = found["terms"]["driver"]["bytes"]
    assert (found["buffer_bytes"], found["max_bytes"], found["bound_bytes"]) == (
        2 * 10**9,
        20_500_000_000,
        20_500_000_000 + driver_bytes,
    )
    found = as_json("--gpu", "24GB", "--buffer-gb", "4", "--max-memory-gb", "21", PINPOINT_BUFFER_GB="2")
    assert (found["buffer_bytes"], found["bound_bytes"]) == (4 * 10**9, 20 * 10**9)
    assert as_json("--gpu", "48GB", PINPOINT_PRECISION="auto")["precision"] == "nf4"
    assert as_json("--gpu", "24GB", MODEL_NAME="Qwen/Qwen2.5-7B-Instruct")["model"] == "Qwen/Qwen2.5-7B-Instruct"


def test_jobs_in_flight_take_memory() -> None:
    asked = ("--gpu", "RTX 5090", "--precision", "nf4", "--prefix-store-bytes", "3000000000", "--concurrency")
    few, many = (as_json(*asked, n) for n in ("1", "8"))
    assert many["terms"]["prefix store"]["bytes"] == 8 * few["terms"]["prefix store"]["bytes"]
    assert many["token_budget"] < few["token_budget"]


def test_the_prefix_store_is_as_large_as_the_worker_would_make_it() -> None:
    asked = ("--gpu", "A100 80GB", "--concurrency", "64")
    assert as_json(*asked)["terms"]["prefix store"]["bytes"] == 256_000_000
    for found in (
        as_json(*asked, "--prefix-store-bytes", "1000"),
        as_json(*asked, PINPOINT_PREFIX_STORE_BYTES="1000"),
    ):
        assert found["terms"]["prefix store"]["bytes"] == found["prefix_store_bytes"] == 1000


@pytest.mark.parametrize(
    ("gpu", "exit_code", "said"),
    [
        ("H200", 0, "precision auto: bf16 is the highest that fits"),
        ("A100 80GB", 0, "precision auto: int8 is the highest that fits"),
        ("L40S", 0, "precision auto: nf4 is the highest that fits"),
        ("RTX 4090", 1, "precision auto: none fits; nf4, the smallest, is shown"),
    ],
)
def test_auto_says_what_it_took(gpu: str, exit_code: int, said: str) -> None:
    result = run("--gpu", gpu, "--precision", "auto")
    assert result.exit_code == exit_code
    assert said in text(result)


def test_without_a_card_all_are_listed() -> None:
    result = run()
    assert result.exit_code == 0
    for word in ("RTX 4090", "does not fit", "A100 80GB PCIe", "AMPERE_80", "32,768"):
        assert word in text(result)
    cards = as_json()["cards"]
    assert {one["card"]["name"] for one in cards if not one["fits"]} >= {"RTX 4090", "L40S", "RTX A6000"}
    assert {one["card"]["name"] for one in cards if one["fits"]} >= {"A100 80GB PCIe", "H100 80GB SXM", "B200 180GB"}
    nothing = run("--max-memory-gb", "10")
    assert nothing.exit_code == 1


def test_fp8_is_planned_on_cards_that_multiply_it_and_refused_on_others() -> None:
    on_card = as_json("--gpu", "H100 80GB SXM", "--precision", "fp8")
    assert (on_card["fits"], on_card["precision"]) == (True, "fp8")
    assert on_card["terms"]["weights"] == as_json("--gpu", "H100 80GB SXM")["terms"]["weights"]
    refused = run("--gpu", "A100 80GB PCIe", "--precision", "fp8")
    assert refused.exit_code == 2
    assert "A100 80GB PCIe has compute capability 8.0, and fp8 needs 8.9 or later" in text(refused)
    assert "set PINPOINT_PRECISION=int8" in text(refused)
    listed = {one["card"]["name"] for one in as_json("--precision", "fp8")["cards"]}
    assert "L40S" in listed and not listed & {"A100 80GB PCIe", "RTX A6000"}


def test_when_nothing_fits_it_says_so() -> None:
    result = run("--gpu", "1GB", "--max-memory-gb", "1")
    assert result.exit_code == 1
    assert "Nothing that is known here fits in its place." in text(result)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpu", "RTX 409"], "did you mean RTX 4090"),
        (["--gpu", "H100"], "H100 80GB PCIe, H100 80GB SXM or H100 NVL; say which"),
        (["--gpu", "[bold]"], "no card is called '[bold]'"),
        (["--model", "no/such", "--gpu", "H200"], "neither a known model nor a folder with a config.json"),
        (["--precision", "int4"], "'int8', 'fp8', 'nf4', 'bf16', 'auto'"),
        (["--precision", "nf4", "--activations", "int8"], "int8 are multiplied with weights in int8, and these are in"),
        (["--buffer-gb", "-1"], "--buffer-gb"),
        (["--buffer-gb", "inf"], "give a number of GB"),
        (["--concurrency", "0"], "--concurrency"),
        (["--cards"], "No such option"),
    ],
)
def test_a_wrong_question_exits_with_2_and_says_what_to_do(words: list[str], said: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert said in text(result)
    assert "Traceback" not in result.output


def test_a_folder_with_a_config_is_a_model(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256, "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found = as_json("--model", str(tmp_path), "--gpu", "RTX A4000")
    assert (found["fits"], round(found["parameters"] / 1e9, 2)) == (True, 1.24)
    (tmp_path / "config.json").write_text('{"model_type": "rwkv"}', encoding="utf-8")
    result = run("--model", str(tmp_path))
    assert result.exit_code == 2
    assert "(RWKV) cannot be scored: its layers carry a state" in text(result)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    assert "'gpt2' is measured while it is loaded" in text(run("--model", str(tmp_path)))


def test_a_model_that_is_cached_here_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--owner--model" / "snapshots" / ("d" * 40)
    snapshot.mkdir(parents=True)
    for file in (embedded_folder() / name for name in ("config.json", "tokenizer.json", "model.safetensors")):
        (snapshot / file.name).symlink_to(file)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    found = as_json("--model", "owner/model", "--gpu", "RTX A4000")
    assert (found["model"], found["fits"]) == ("owner/model", True)


@pytest.mark.parametrize(
    ("stored", "words", "said"),
    [
        ("pinpoint_fp8", [], "holds its weights in fp8, and PINPOINT_PRECISION asks for int8; set it to fp8"),
        ("pinpoint_int8", ["--precision", "bf16"], "holds its weights in int8, and PINPOINT_PRECISION asks for bf16"),
        ("pinpoint_nf4", ["--precision", "auto", "--activations", "int8"], "and give the 16-bit original, or unset"),
        ("pinpoint_fp8", ["--precision", "auto", "--gpu", "A100 80GB PCIe"], "fp8 needs 8.9 or later"),
        ("awq", ["--precision", "auto"], "already quantised (awq); use its 16-bit original"),
    ],
)
def test_what_the_worker_would_refuse_of_a_quantised_checkpoint_is_not_planned(
    tmp_path: Path, stored: str, words: list[str], said: str
) -> None:
    result = run("--model", str(quantised(tmp_path, stored)), *words)
    assert (result.exit_code, said in text(result)) == (2, True), result.output


@pytest.mark.parametrize("stored", ["int8", "fp8", "nf4"])
def test_auto_is_what_a_checkpoint_is_held_in_and_nothing_else_is_offered_for_it(tmp_path: Path, stored: str) -> None:
    found = as_json("--model", str(quantised(tmp_path, f"pinpoint_{stored}")), "--precision", "auto", "--gpu", "H200")
    assert (found["precision"], found["fits"]) == (stored, True)
    assert [one for one in found["what_fits"] if one["kind"] == "precision"] == []


def test_auto_beside_8_bit_activations_is_int8_on_any_card() -> None:
    asked = ("--precision", "auto", "--activations", "int8")
    assert {as_json(*asked, "--gpu", card)["precision"] for card in ("H200", "L40S")} == {"int8"}
    assert "is the highest that fits" not in text(run(*asked, "--gpu", "H200"))


def quantised(folder: Path, method: str) -> Path:
    """A folder with the configuration of a checkpoint that says how it was quantised."""
    config = json.loads((embedded_folder() / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": method}}))
    return folder


def test_help_teaches_with_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert '--gpu "RTX 4090"' in text(result)
    assert "Exit code 0: it fits. 1: it does not. 2: the question is wrong." in text(result)
    assert "[cyan]" not in result.output


def test_neither_torch_nor_a_socket_is_touched() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from pinpoint.cli import app\n"
        "try: app(['plan', '--gpu', 'RTX 4090'])\n"
        "except SystemExit as left: assert left.code == 1, left.code\n"
        "heavy = {'torch', 'transformers', 'numpy', 'runpod'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(pinpoint.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "47.0 GB of weights in int8 against 22.8 GB" in done.stdout


def test_python_m_pinpoint_is_the_same_program() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(pinpoint.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "pinpoint", "plan", "--gpu", "H200", "--json"],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fits"] is True
