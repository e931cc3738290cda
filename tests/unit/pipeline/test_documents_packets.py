"""Documents of a packet, and what is said of pages: which are read, and how they vote. On an engine of hashes."""

import json
import math
from typing import Any

import pytest

from pinpoint.api.request import Options, parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.decide.decision import decide
from pinpoint.decide.segments import cut
from pinpoint.errors import RequestError
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.packets import BOUNDARY, HEAD_CHARS, JOINT, LEAST_SHARE, TAIL_CHARS, joints
from pinpoint.pipeline.votes import combined
from tests.fakes import FakeEngine
from tests.requests_of import TONE

LABELS = ["invoice", "receipt", "contract"]
PAGES = ["Invoice no. 7, total due 9.00", "", "Receipt for three cabinets", "The parties agree", "on what follows"]


def answered(pages: list[str], engine: FakeEngine | None = None, **options: Any) -> DocumentResult:
    raw = {"pages": pages, "labels": LABELS, "options": options}
    response, _ = classify(parse_request(raw), engine or FakeEngine())
    (result,) = response.results
    assert isinstance(result, DocumentResult), result
    json.dumps(response.to_wire(), allow_nan=False)
    return result


def test_documents_of_a_packet_cover_all_pages_in_order_with_answers_of_their_own() -> None:
    result = answered(PAGES, split=True)
    covered = [page for one in result.segments for page in range(one.pages[0], one.pages[1] + 1)]
    assert covered == list(range(len(PAGES)))
    assert len(result.boundaries) == len(PAGES) and result.boundaries[0] == 1.0 and result.boundaries[1] == 0.0
    for segment in result.segments:
        assert segment.boundary == result.boundaries[segment.pages[0]]
        first, last = segment.pages
        alone = answered(PAGES[first : last + 1], long_document="pages").answers["category"]
        assert segment.answers["category"].label == alone.label
        assert segment.answers["category"].scores == pytest.approx(alone.scores)
    whole = answered(PAGES, long_document="pages")
    assert result.answers["category"].scores == pytest.approx(whole.answers["category"].scores)
    assert whole.segments == () and "segments" not in whole.to_wire()


def test_documents_of_a_packet_are_cut_by_what_the_model_says_of_pages_and_joints() -> None:
    """The slow way: each page and each joint asked alone, and their log-probabilities cut."""
    from tests.requests_of import PROMPTS, expected

    task = parse_request({"text": "x", "labels": LABELS}).tasks[0]
    shown = [page for page in PAGES if page]
    rows = [list(expected(task, PROMPTS.document(page))[0]) for page in shown]
    odds = []
    for _, text in joints(PAGES):
        begins, goes_on = expected(BOUNDARY, PROMPTS.document(text))[0]
        odds.append(begins - goes_on)
    best = cut(rows, odds)
    result = answered(PAGES, split=True)
    pages = [number for number, page in enumerate(PAGES) if page]
    assert [one.pages[0] for one in result.segments] == [pages[start] for start in best.starts]
    assert [result.boundaries[page] for page in pages] == pytest.approx(best.begins)


def test_documents_of_a_packet_joints_hold_the_end_of_one_page_and_the_beginning_of_the_next() -> None:
    long, next_one = "a" * 1000 + "the end of one", "beginning " + "b" * 1000
    found = list(joints([long, "  ", next_one, "last"]))
    assert [number for number, _ in found] == [2, 3]
    before, after = found[0][1].split(JOINT)
    assert before == long[-TAIL_CHARS:] and after == next_one[:HEAD_CHARS]
    assert found[1][1] == "b" * round(LEAST_SHARE * TAIL_CHARS) + JOINT + "last"


def test_documents_of_a_packet_of_short_pages_cost_little_more_than_the_pages() -> None:
    for chars in (300, 600, 840):
        (_, shown), _ = joints(["a" * chars] * 3)
        assert (TAIL_CHARS + HEAD_CHARS) * LEAST_SHARE <= len(shown) - len(JOINT) <= 0.6 * chars
    assert list(joints(["only"])) == []


def test_documents_of_a_packet_of_one_page_and_of_other_tasks() -> None:
    assert [one.pages for one in answered(["alone"], split=True).segments] == [(0, 0)]
    raw = {
        "pages": PAGES,
        "tasks": {"flags": {"labels": LABELS, "multi_label": True}, "kind": {"labels": LABELS, "mask": ["invoice"]}},
        "options": {"split": True, "page_vote": "majority"},
    }
    response, _ = classify(parse_request(raw), FakeEngine())
    (result,) = response.results
    assert isinstance(result, DocumentResult)
    assert all(set(one.answers) == {"flags", "kind"} for one in result.segments)
    assert all(one.answers["kind"].label != "invoice" for one in result.segments)
    only = {"pages": PAGES, "labels": LABELS, "multi_label": True, "options": {"split": True}}
    assert isinstance(classify(parse_request(only), FakeEngine())[0].results[0], DocumentResult)


def test_documents_of_which_the_first_pages_are_read() -> None:
    for mode in ("head_tail", "pages"):
        first = answered(PAGES, long_document=mode, first_pages=1)
        alone = answered(PAGES[:1], long_document=mode)
        assert first.answers["category"].scores == alone.answers["category"].scores
        assert first.input.pages == 5 and first.input.tokens == alone.input.tokens
        assert first.warnings == ("4 pages behind the first 1 not read",)
    assert answered(PAGES, first_pages=9).warnings == ()
    assert [one.pages[1] for one in answered(PAGES, split=True, first_pages=3).segments][-1] == 2


def test_documents_whose_blank_pages_are_ignored() -> None:
    dusty = [PAGES[0], ". 3", PAGES[2], "'"]
    clean = [PAGES[0], "", PAGES[2], ""]
    for mode in ("head_tail", "pages"):
        ignored = answered(dusty, long_document=mode, ignore_blank_pages=True)
        assert ignored.answers["category"].scores != answered(dusty, long_document=mode).answers["category"].scores
        read = answered([PAGES[0], PAGES[2]], long_document=mode)
        assert ignored.answers["category"].scores == read.answers["category"].scores
    pages = answered(dusty, long_document="pages", ignore_blank_pages=True).answers["category"].pages
    assert [page.page for page in pages] == [0, 2]
    assert answered(["7", "8"], ignore_blank_pages=True).answers["category"].scores
    assert (
        answered(clean, long_document="pages").input.tokens
        == answered(dusty, long_document="pages", ignore_blank_pages=True).input.tokens
    )


def shares(answer: Any) -> dict[str, float]:
    return dict(zip(answer.labels, answer.scores, strict=True))


def test_documents_whose_pages_vote_by_majority() -> None:
    pages = [f"page {number} of a document" for number in range(7)]
    result = answered(pages, long_document="pages", page_vote="majority").answers["category"]
    votes = [page.label for page in result.pages]
    assert shares(result) == pytest.approx({label: votes.count(label) / 7 for label in LABELS})
    assert result.label == max(LABELS, key=votes.count)
    assert result.margin == pytest.approx(result.scores[0] - result.scores[1])


def test_of_pages_with_a_vote_each_the_sum_of_evidence_decides() -> None:
    for number in range(8):
        pages = [f"page {number} of a document", f"page {number + 1} of a document"]
        result = answered(pages, long_document="pages", page_vote="majority").answers["category"]
        summed = answered(pages, long_document="pages").answers["category"]
        voted = {page.label for page in result.pages}
        assert [label for label in result.labels if label in voted] == [one for one in summed.labels if one in voted]


def test_documents_whose_pages_vote_by_evidence() -> None:
    pages = [f"page {number} of a document" + " and its annex" * number for number in range(4)]
    result = answered(pages, long_document="pages", page_vote="evidence").answers["category"]
    alone = [answered([page], long_document="pages") for page in pages]
    tokens = [one.input.tokens for one in alone]
    sure = []
    for one, count in zip(alone, tokens, strict=True):
        scores = one.answers["category"].scores
        sure.append(count * (1 + sum(score * math.log(score) for score in scores) / math.log(len(scores))))
    wanted = {
        label: sum(weight * shares(one.answers["category"])[label] for weight, one in zip(sure, alone, strict=True))
        / sum(sure)
        for label in LABELS
    }
    assert shares(result) == pytest.approx(wanted)
    assert sum(result.scores) == pytest.approx(1)
    masses = [count * one.answers["category"].label_mass for one, count in zip(alone, tokens, strict=True)]
    assert result.label_mass == pytest.approx(sum(masses) / sum(tokens))


def test_of_pages_that_all_guess_each_says_as_much_as_it_is_long() -> None:
    guess = decide([-1.0, -1.0], TONE, Options())
    assert combined(TONE, Options(page_vote="evidence"), [guess, guess], [0.25, 0.75], guess).scores == (0.5, 0.5)


def test_documents_whose_pages_vote_are_cut_and_reviewed_like_others() -> None:
    pages = [f"page {number} of a document" for number in range(7)]
    result = answered(pages, long_document="pages", page_vote="majority", top_k=2, threshold=1.0, return_raw=True)
    answer = result.answers["category"]
    assert len(answer.labels) == len(answer.scores) == 2
    assert answer.log_probs is not None and len(answer.log_probs) == 2
    if answer.scores[0] < 1.0:
        assert (answer.decision, answer.reasons) == ("review", ("below_threshold",))
    single = answered(pages[:1], long_document="pages", page_vote="majority").answers["category"]
    assert single.scores == answered(pages[:1], long_document="pages").answers["category"].scores


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"split": True, "long_document": "head_tail"}, "options.long_document"),
        ({"split": True, "explain": True}, "options.explain"),
        ({"page_vote": "majority"}, "options.page_vote"),
        ({"page_vote": "evidence", "long_document": "error"}, "options.page_vote"),
    ],
)
def test_documents_options_of_pages_that_exclude_each_other(options: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request({"pages": PAGES, "labels": LABELS, "options": options})
    assert (caught.value.code, caught.value.field) == ("conflicting_fields", field)


@pytest.mark.parametrize(
    ("options", "code", "field"),
    [
        ({"split": 1}, "wrong_type", "options.split"),
        ({"first_pages": 0}, "out_of_range", "options.first_pages"),
        ({"first_pages": True}, "wrong_type", "options.first_pages"),
        ({"page_vote": "loudest"}, "out_of_range", "options.page_vote"),
        ({"ignore_blank_pages": "yes"}, "wrong_type", "options.ignore_blank_pages"),
    ],
)
def test_documents_options_of_pages_that_cannot_be(options: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_request({"pages": PAGES, "labels": LABELS, "options": options})
    assert (caught.value.code, caught.value.field) == (code, field)
