"""The client against a real server, and in this process: the same answers; and a bulk run over both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.client import Pinpoint, RequestError
from tests.http.running import Server

LABELS = ["invoice", "receipt", "contract"]
TEXTS = ["Invoice no. 7, total due: 99.50 EUR", "Receipt for three cabinets, paid by card", "", "The parties agree."]


def test_client_answers_are_the_same_over_http_and_in_this_process(server: Server) -> None:
    with Pinpoint(url=server.url) as over_http, Pinpoint() as here:
        first, second = (one.classify(TEXTS, LABELS, top_k=2) for one in (over_http, here))
        for one, other in zip(first, second, strict=True):
            assert one.ok == other.ok and one.tokens == other.tokens
            if one.ok:
                assert one.label == other.label and one.score == pytest.approx(other.score, abs=1e-5)
        assert [one.error.code for one in first.refused if one.error] == ["empty_text"]
        assert first.model == second.model and first[0].label == "invoice"
        for client in (over_http, here):
            with pytest.raises(RequestError) as raised:
                client.classify(TEXTS, ["a", "a"])
            assert (raised.value.code, raised.value.field) == ("duplicate_label", "labels[1]")


def test_client_asks_by_a_taxonomy_and_by_tasks(server: Server) -> None:
    with Pinpoint(url=server.url) as client:
        by_taxonomy = client.classify(TEXTS[0], taxonomy="business-documents")[0]
        assert by_taxonomy.label and len(by_taxonomy.answer.labels) > 100
        tasks = {"kind": {"labels": LABELS}, "paid": {"labels": ["paid", "not paid"]}}
        several = client.classify(TEXTS[0], tasks=tasks)[0]
        assert set(several.answers) == {"kind", "paid"}
        with pytest.raises(KeyError):
            _ = several.label
        with pytest.raises(RequestError):
            client.classify(TEXTS[0], LABELS, taxonomy="business-documents")


@pytest.mark.parametrize("over_http", [True, False])
def test_client_bulk_run_of_a_folder(server: Server, tmp_path: Path, over_http: bool) -> None:
    (tmp_path / "in").mkdir()
    for number, text in enumerate(TEXTS):
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    words = ["classify", str(tmp_path / "in"), "--labels", ",".join(LABELS), "--out", str(tmp_path / "out.jsonl")]
    more = ["--url", server.url] if over_http else []
    by_taxonomy = ["classify", str(tmp_path / "in"), "--taxonomy", "business-documents"]
    result = CliRunner().invoke(app, [*by_taxonomy, "--out", str(tmp_path / "taxonomy.csv"), *more])
    assert result.exit_code == 1 and "empty_file 1" in result.output, result.output
    result = CliRunner().invoke(app, [*words, *more])
    assert result.exit_code == 1, result.output  # one file is empty
    lines = {Path(line["id"]).stem: line for line in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}
    assert sorted(lines) == ["0", "1", "2", "3"] and lines["2"]["error"]["code"] == "empty_file"
    assert lines["0"]["answers"]["category"]["label"] == "invoice" and lines["0"]["input"]["type"] == "text"
    assert "documents  4" in result.output and "empty_file 1" in result.output
