"""What precisions are told to do to answers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from bench import quality
from bench.quality_figures import Answers, compare, flagged_layers, table, weights_of
from bench.quality_items import Document, digest
from pinpoint.errors import ModelError


def answers(shares: list[list[float]], truth: list[int]) -> Answers:
    """Two questions a document."""
    number = np.arange(len(shares))
    return Answers([np.array(share) for share in shares], np.array(truth), number // 2, np.ones(len(shares)))


def test_figures_are_those_of_a_small_case_by_hand() -> None:
    reference = answers([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.3]], [0, 1, 1, 0])
    found = answers([[0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.5, 0.3]], [0, 1, 1, 0])
    row = compare("int8", found, reference)
    assert (row.questions, row.documents) == (4, 2)
    assert row.same[0] == 0.75
    assert row.lead == pytest.approx(0.2), "of the one label that changed, as the reference has it"
    assert (row.accuracy.value, row.accuracy.more) == (1.0, 0.25)
    assert row.nll.more == pytest.approx((math.log(0.9 / 0.8) + math.log(0.4 / 0.7)) / 4)
    assert row.nll.interval[0] <= row.nll.more <= row.nll.interval[1] == 0.0, "both questions of a document are drawn"
    assert not row.meets


@pytest.mark.parametrize(
    ("documents", "shift", "meets", "shown"),
    [(1000, 0.001, True, True), (20, 0.001, True, False), (1000, 0.02, False, True)],
)
def test_the_rule_is_shown_where_the_whole_interval_says_so(
    documents: int, shift: float, meets: bool, shown: bool
) -> None:
    reference = answers([[0.8, 0.2]] * (2 * documents), [0] * (2 * documents))
    found = answers([[0.8 - shift, 0.2 + shift]] * (2 * documents), [0] * (2 * documents))
    row = compare("int8", found, reference)
    assert (row.meets, row.shown, row.lead) == (meets, shown, 0.0)


def test_each_precision_is_compared_on_the_documents_that_16_bits_have_too(tmp_path: Path) -> None:
    assert table("small", tmp_path) == []
    (tmp_path / "answers.json").write_text(json.dumps({"a": [0, 1], "b": [1, 0], "c": [0, 0], "d": [0, 0]}))
    for name, documents in (("bf16", "abc"), ("int8+int8-flagged", "ad"), ("int8", "dba"), ("nf4", "d")):
        scores = {one: [[-1.0, -3.0], [-3.0, -1.0]] for one in documents}
        (tmp_path / f"small-{name}.json").write_text(json.dumps({"scores": scores}))
    rows = table("small", tmp_path)
    assert [(row.precision, row.questions, row.accuracy.value, row.accuracy.more) for row in rows] == [
        ("bf16", 6, 0.5, 0.0), ("int8", 4, 0.5, 0.0), ("int8+int8 flagged", 2, 1.0, 0.0),
    ]  # fmt: skip
    assert rows[0].mass == pytest.approx(math.exp(-1) + math.exp(-3))
    (tmp_path / "small-int8.json").write_text(json.dumps({"scores": {"a": [[-1.0, -3.0]] * 2}, "weights": "other"}))
    assert [row.precision for row in table("small", tmp_path)] == ["bf16", "int8+int8 flagged"]
    # And those of other texts under the same ids.
    (tmp_path / "small-int8.json").write_text(json.dumps({"scores": {"a": [[-1.0, -3.0]] * 2}, "texts": "other"}))
    assert [row.precision for row in table("small", tmp_path)] == ["bf16", "int8+int8 flagged"]


def test_layers_are_flagged_by_their_middle_token_and_where_nothing_is_known_of_it() -> None:
    lines = [{"layer": str(error), "int8_inputs": [error, 9.0, 9.0, 9.0]} for error in (0.01, 0.06, math.nan)]
    assert flagged_layers(lines) == {"0.06", "nan"}


def test_scores_of_other_weights_or_texts_are_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*about: object) -> None:
        raise ModelError("no_gpu", "is loaded")

    monkeypatch.setattr(quality, "scorer", load)
    document = Document("a", "news", "text", ())
    shipped, texts = weights_of("embedded"), digest([document])
    other = digest([Document("a", "news", "another text", ())])
    for weights, of, loaded in ((shipped, texts, False), ("earlier", texts, True), (shipped, other, True)):
        kept = {"drawn": 5, "weights": weights, "texts": of, "scores": {"a": []}}
        (tmp_path / "embedded-int8.json").write_text(json.dumps(kept))
        quality.measure("embedded", "", "int8", [document], "cpu", 5, texts, tmp_path)
        assert ("is loaded" in capsys.readouterr().out) == loaded
