"""Slices: by what the data says, by what is found, and only where there is something to compare."""

from typing import Any

import pytest

from pinpoint.evaluate.metrics import clopper_pearson
from pinpoint.evaluate.outcomes import outcomes
from pinpoint.evaluate.slices import slices

GERMAN = "Sehr geehrte Damen und Herren, bitte überweisen Sie den Betrag innerhalb von dreißig Tagen auf unser Konto."
ENGLISH = "Dear customer, please transfer the amount that is due to our account within the next thirty days, thank you."


def line(number: int, text: str, *, right: bool = True, **more: Any) -> dict[str, Any]:
    answer = {"label": "a" if right else "b", "score": 0.75, "labels": ["a", "b"], "scores": [0.75, 0.25]}
    about = {"tokens": 10, "tokens_dropped": 0, **more.pop("input", {})}
    return {
        "id": str(number),
        "text": text,
        "truth": "a",
        "labels": ["a", "b"],
        "answer": answer,
        "input": about,
        **more,
    }


def found(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return slices(lines, outcomes(lines))


def test_languages_are_declared_or_found_or_unsure() -> None:
    lines = [line(1, GERMAN), line(2, GERMAN, right=False), line(3, ENGLISH), line(4, "17 x 4"),
             line(5, ENGLISH, language="nl")]  # fmt: skip
    told = {one["value"]: one for one in found(lines)["language"]}
    assert {value: one["documents"] for value, one in told.items()} == {"de": 2, "en": 1, "unsure": 1, "nl": 1}
    assert told["de"]["accuracy"] == 0.5 and told["de"]["interval"] == clopper_pearson(1, 2)
    assert told["de"]["mean_score"] == pytest.approx(0.75)


def test_lengths_come_in_their_order_and_count_what_was_not_read() -> None:
    tokens = [(5000, 0), (63, 0), (64, 0), (64, 0), (255, 0), (256, 0), (1000, 24), (4000, 96)]
    lines = [line(k, "x", input={"tokens": read, "tokens_dropped": cut}) for k, (read, cut) in enumerate(tokens)]
    assert [(one["value"], one["documents"]) for one in found(lines)["length"]] == [
        ("0–63 tokens", 1), ("64–255 tokens", 3), ("256–1023 tokens", 1), ("1024–4095 tokens", 1),
        ("4096 tokens and more", 2),
    ]  # fmt: skip


def test_sources_of_documents_and_of_their_text() -> None:
    pages = [["embedded"], ["ocr", "ocr"], ["ocr", "embedded"]]
    lines = [line(k, "x", input={"text_source": one}, source="scan" if k else "") for k, one in enumerate(pages)]
    lines.append(line(9, "x"))
    told = found(lines)
    assert {one["value"]: one["documents"] for one in told["text source"]} == {
        "embedded": 1, "ocr": 1, "embedded and ocr": 1, "text": 1
    }  # fmt: skip
    assert {one["value"]: one["documents"] for one in told["source"]} == {"scan": 2, "not told": 2}


def test_what_all_share_is_no_slice_and_the_refused_are_in_none() -> None:
    lines = [line(1, ENGLISH), line(2, ENGLISH)]
    assert found(lines) == {}
    refused = {"id": "3", "truth": "a", "labels": ["a", "b"], "error": {"code": "empty_text"}, "source": "scan"}
    assert found([*lines, refused]) == {}
