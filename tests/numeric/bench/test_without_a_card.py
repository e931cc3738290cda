"""What measures a card says so where there is none, and what needs vLLM where that is missing."""

from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from bench import bits, gpu, long_documents, reasons, vllm_side


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (gpu.main, ["--part", "peers"]),
        (bits.main, ["--device", "cuda"]),
        (reasons.main, ["--device", "cuda"]),
        (long_documents.main, ["--model", "owner/name"]),
    ],
)
def test_a_card_that_is_not_there_is_told_in_a_line(
    main: object, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    app = typer.Typer(add_completion=False)
    app.command()(main)  # type: ignore[type-var]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.output) == (2, "no GPU is visible: nothing was measured\n")


def test_vllms_side_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work.json"
    monkeypatch.setattr("sys.argv", ["vllm_side.py", str(work), "--out", str(tmp_path / "out.json")])
    monkeypatch.setattr(vllm_side, "find_spec", lambda name: None)
    for said in ("python bench/against.py work --out", "vLLM is not installed"):
        with pytest.raises(SystemExit) as left:
            vllm_side.main()
        assert left.value.code == 2 and said in capsys.readouterr().err
        work.write_text("{}", "utf-8")
