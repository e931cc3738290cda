"""Client jobs: documents are packed under limits, and a job that fails is tried again, halved, or refused."""

from __future__ import annotations

import asyncio
import copy
import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinpoint.client import Retries
from pinpoint.client.bulk.batches import job_of
from pinpoint.client.bulk.output import Output
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.documents import Document, Question
from pinpoint.client.jobs import HOPELESS, Gathered, Jobs, Outcome, first_of, named, packed, results_by_place
from pinpoint.client.limiter import Limiter
from pinpoint.errors import (
    AccessError,
    CapacityError,
    InternalError,
    JobError,
    ModelError,
    PinpointError,
    RequestError,
    UnavailableError,
)
from tests.unit.client.fake_transport import FakeTransport

QUESTION = Question.of(["invoice", "receipt"])
AT_ONCE = Retries(first_s=0.0)


def documents(*texts: str) -> list[Document]:
    return [Document.of(f"d{place}", {"text": text}) for place, text in enumerate(texts)]


async def run(transport: FakeTransport, given: list[Document]) -> tuple[list[Outcome], Jobs]:
    jobs, gathered = Jobs(transport, QUESTION, Limiter(4), AT_ONCE), Gathered()
    await jobs.run(given, gathered)
    assert len(gathered.outcomes) == len(given), "each document once"
    return gathered.in_order(given), jobs


def told(outcomes: list[Outcome]) -> list[str]:
    """Each document's id with its label or the code of its error."""
    found = []
    for outcome in outcomes:
        (wire,) = outcome.results
        assert wire["id"] == outcome.document.id
        found.append(
            f"{wire['id']} {wire['error']['code'] if 'error' in wire else wire['answers']['category']['label']}"
        )
    return found


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 7), st.integers(20, 120))
def test_packing_keeps_order_loses_nothing_and_holds_the_limits(sizes: list[int], most: int, most_bytes: int) -> None:
    given_documents = [Document(str(place), b"x" * size) for place, size in enumerate(sizes)]
    jobs = list(packed(given_documents, most, most_bytes))
    assert [one.id for job in jobs for one in job] == [one.id for one in given_documents]
    for job in jobs:
        assert 1 <= len(job) <= most
        assert len(job) == 1 or sum(one.size_bytes for one in job) <= most_bytes
    for job, after in itertools.pairwise(jobs):  # none could have taken the next document too
        assert len(job) == most or sum(one.size_bytes for one in (*job, after[0])) > most_bytes


@pytest.mark.parametrize("said", [{}, {"multi_label": True}, {"labels_first": True}])
def test_what_is_said_of_labels_goes_with_them(said: dict[str, bool]) -> None:
    made = json.loads(Question.of(["a", "b"], **said).about(documents("x")))  # type: ignore[arg-type]
    assert made == {"labels": ["a", "b"], **said, "documents": [{"text": "x"}]}


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5), st.lists(st.text(max_size=9), max_size=5))
def test_a_request_is_what_json_would_have_made_of_it(texts: list[str], names: list[str]) -> None:
    question = Question.of(["a", "é\ud800"], instructions="which?", options={"top_k": 1})
    expected: dict[str, Any] = {"labels": ["a", "é\ud800"], "instructions": "which?", "options": {"top_k": 1}}
    made = json.loads(question.about(documents(*texts)))
    assert made == {**expected, "documents": [{"text": text} for text in texts]}
    exact = len(question.about(documents(*texts)))
    assert exact <= question.size_bytes(documents(*texts)) <= exact + 10
    ids = [f"{place}" for place in range(len(texts))]
    made = json.loads(question.about(documents(*texts), ids))
    assert [one["id"] for one in made["documents"]] == ids
    file = Document.of_file("x", "é".encode(), 'a"b.txt', "none")
    assert json.loads(b"{" + file.fields + b"}") == {"base64": "w6k=", "filename": 'a"b.txt', "attachments": "none"}


async def test_a_request_is_made_once_there_is_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made, limiter = list[int](), Limiter(4)
    about = Question.about

    def counted(question: Question, given: Sequence[Document]) -> bytes:
        made.append(limiter.in_flight)
        return about(question, given)

    class Slow(FakeTransport):
        async def answer(self, request: bytes, accepted: Any) -> Any:
            await asyncio.sleep(0)
            assert len(made) - len(self.asked) <= limiter.in_flight <= 4, "no request waits for a slot"
            return await super().answer(request, accepted)

    monkeypatch.setattr(Question, "about", counted)
    jobs, gathered = Jobs(Slow(), QUESTION, limiter, AT_ONCE), Gathered()
    await asyncio.gather(*(jobs.run([one], gathered) for one in documents(*["a receipt"] * 20)))
    assert len(gathered.outcomes) == len(made) == 20


async def test_documents_are_answered_in_their_order_under_their_own_ids() -> None:
    outcomes, jobs = await run(FakeTransport(), documents("a receipt", "an invoice", "refuse needs_ocr"))
    assert told(outcomes) == ["d0 receipt", "d1 invoice", "d2 needs_ocr"]
    assert outcomes[2].results[0]["error"]["field"] is None, "its place in the job says nothing to anybody"
    assert (jobs.counts.jobs, jobs.counts.prompt_tokens, jobs.counts.worker_s) == (1, 6, 0.5)


@pytest.mark.parametrize(
    "error",
    [
        CapacityError("overloaded", "later"), ModelError("no_gpu", "none here"),
        InternalError("internal", "a fault"), JobError("job_failed", "137"),
        JobError("job_forgotten", "gone"),
    ],
)  # fmt: skip
async def test_what_passes_is_tried_again(error: PinpointError) -> None:
    transport = FakeTransport([error, error])
    outcomes, jobs = await run(transport, documents("a receipt", "an invoice"))
    assert told(outcomes) == ["d0 receipt", "d1 invoice"]
    assert transport.sizes == [2, 2, 2] and jobs.counts.again == 2


async def test_an_answer_that_was_forgotten_is_no_document_s_fault() -> None:
    """As where a machine slept longer than the platform keeps answers."""
    transport = FakeTransport([JobError("job_forgotten", "x")] * 2)
    outcomes, _ = await run(transport, documents("a receipt", "an invoice"))
    assert told(outcomes) == ["d0 receipt", "d1 invoice"]
    jobs = Jobs(FakeTransport(), QUESTION, Limiter(4), Retries(first_s=0.0))
    await jobs.run(documents("a receipt"), Gathered())
    jobs._transport = FakeTransport([JobError("job_forgotten", "x")] * 9)
    with pytest.raises(JobError) as raised:
        await jobs.run(documents("a receipt", "an invoice"), Gathered())
    assert raised.value.code == "job_forgotten" and jobs.counts.halved == 0


async def test_workers_without_a_model_are_told_after_three_tries_and_cut_nothing_in_halves() -> None:
    transport = FakeTransport([ModelError("no_gpu", "none")] * 9)
    with pytest.raises(ModelError):
        await run(transport, documents("a receipt", "an invoice"))
    assert transport.sizes == [2, 2, 2]


@pytest.mark.parametrize("code", ["response_too_large", "deadline_exceeded", "body_too_large"])
async def test_what_is_too_much_is_halved_at_once(code: str) -> None:
    kind = RequestError if code == "body_too_large" else CapacityError
    transport = FakeTransport([kind(code, "too much")])
    outcomes, _ = await run(transport, documents("a receipt", "an invoice", "a receipt"))
    assert told(outcomes) == ["d0 receipt", "d1 invoice", "d2 receipt"]
    assert transport.sizes == [3, 1, 2]


async def test_a_document_that_always_fails_is_found_and_its_neighbours_are_answered() -> None:
    class Poisoned(FakeTransport):
        async def answer(self, request: bytes, accepted: Any) -> Any:
            if b"poison" in request:
                self.asked.append(json.loads(request)["documents"])
                raise JobError("job_failed", "exit code 137")
            return await super().answer(request, accepted)

    outcomes, _ = await run(Poisoned(), documents("a receipt", "an invoice", "poison", "a receipt"))
    assert told(outcomes) == ["d0 receipt", "d1 invoice", "d2 job_failed", "d3 receipt"]


async def test_where_nothing_is_answered_no_document_is_blamed() -> None:
    class Broken(FakeTransport):
        answers = 0

        async def answer(self, request: bytes, accepted: Any) -> Any:
            if self.answers:
                self.answers -= 1
                return await super().answer(request, accepted)
            raise JobError("job_failed", "exit code 1")

    with pytest.raises(BaseException) as raised:
        await run(Broken(), documents(*["a receipt"] * 4))
    assert isinstance(first_of(raised.value), JobError)
    with pytest.raises(JobError):
        await run(Broken(), documents("a receipt"))
    transport = Broken()
    transport.answers = 1  # it breaks after the first job
    jobs, gathered = Jobs(transport, QUESTION, Limiter(1), AT_ONCE), Gathered()
    with pytest.raises(JobError):
        for one in documents(*["a receipt"] * 30):
            await jobs.run([one], gathered)
    assert len(gathered.outcomes) == 1 + HOPELESS


async def test_a_job_refused_for_one_document_goes_again_without_it() -> None:
    transport = FakeTransport()
    outcomes, _ = await run(transport, documents("a receipt", "fail wrong_type", "an invoice", "fail empty_text"))
    assert told(outcomes) == ["d0 receipt", "d1 wrong_type", "d2 invoice", "d3 empty_text"]
    assert transport.sizes == [4, 3, 2]
    assert outcomes[1].results[0]["error"] == {"code": "wrong_type", "message": "asked for", "field": "text"}


@pytest.mark.parametrize(
    "error",
    [
        AccessError("invalid_api_key", "no"), UnavailableError("unreachable", "no"),
        RequestError("duplicate_label", "twice", "labels[1]"), JobError("answer_unreadable", "what?"),
        JobError("job_cancelled", "by somebody"),
    ],
)  # fmt: skip
async def test_what_no_other_job_would_survive_is_raised_at_once(error: PinpointError) -> None:
    transport = FakeTransport([error])
    with pytest.raises(type(error)) as raised:
        await run(transport, documents("a receipt", "an invoice"))
    assert raised.value.code == error.code and len(transport.asked) == 1


async def test_a_document_larger_than_a_request_is_refused_here_and_others_are_put_into_jobs_that_fit() -> None:
    transport = FakeTransport(max_bytes=1400)
    outcomes, _ = await run(transport, documents("a receipt", "x" * 5000, "invoice " + "x" * 100, "y" * 150, "z" * 150))
    assert told(outcomes) == ["d0 receipt", "d1 too_large", "d2 invoice", "d3 invoice", "d4 invoice"]
    assert sum(transport.sizes) == 4 and len(transport.sizes) > 1


async def test_an_answer_that_lacks_a_document_or_has_a_strange_one_is_unreadable() -> None:
    class Short(FakeTransport):
        name: str | None = None

        async def answer(self, request: bytes, accepted: Any) -> Any:
            answered = await super().answer(request, accepted)
            answered.output["results"][0]["id"] = self.name
            return answered

    for name in ("7", "x", "1", None):
        transport = Short()
        transport.name = name
        with pytest.raises(JobError) as raised:
            await run(transport, documents("a receipt", "an invoice"))
        assert raised.value.code == "answer_unreadable"


def without_tokens(result: dict[str, Any]) -> None:
    del result["input"]["tokens"]


def without_answers(result: dict[str, Any]) -> None:
    del result["answers"]


def with_a_bare_error(result: dict[str, Any]) -> None:
    result["error"] = "no"


@pytest.mark.parametrize("spoil", [without_tokens, without_answers, with_a_bare_error])
async def test_an_answer_of_another_shape_is_unreadable_and_not_a_traceback(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    class Other(FakeTransport):
        async def answer(self, request: bytes, accepted: Any) -> Any:
            answered = await super().answer(request, accepted)
            spoil(answered.output["results"][1])
            return answered

    transport = Other()
    with pytest.raises(JobError) as raised:
        await run(transport, documents("a receipt", "an invoice"))
    assert raised.value.code == "answer_unreadable"
    answered = await transport.answer(
        QUESTION.about(documents("a receipt", "an invoice"), ["0.0", "0.1"]), lambda job: None
    )
    with pytest.raises(JobError):
        job_of({"status": "COMPLETED", "output": answered.output})


_ANSWER = {
    "label": "a", "score": 0.9, "labels": ["a", "b"], "scores": [0.9, 0.1], "margin": 0.8, "label_mass": 0.9,
    "confidence": None, "decision": "accept", "reasons": [],
}  # fmt: skip
_PART = {"pages": [0, 1], "answers": {"category": _ANSWER}}
_RESULTS: list[Any] = [
    {
        "id": "0", "status": "ok", "answers": {"category": _ANSWER, "other": _ANSWER}, "warnings": ["cut"],
        "input": {"pages": 2, "tokens": 5, "type": "pdf"}, "segments": [_PART, _PART],
    },
    {"id": "1", "status": "error", "error": {"code": "empty_text", "message": "m", "field": "documents[1].text"}},
]  # fmt: skip
_STRANGE = [None, True, -1, 10**400, "x", [], {}, [1], {"a": 1}, "\ud800", float("nan"), ...]


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(inner, (*at, key))


@pytest.mark.parametrize("place", list(_places(_RESULTS))[1:], ids=str)
def test_an_answer_is_written_and_counted_or_unreadable_whatever_stands_in_a_place_of_it(
    tmp_path: Path, place: tuple[Any, ...]
) -> None:
    read = 0
    for strange in _STRANGE:
        results = copy.deepcopy(_RESULTS)
        around: Any = results
        for key in place[:-1]:
            around = around[key]
        if strange is ...:
            del around[place[-1]]
        else:
            around[place[-1]] = strange
        try:
            found = results_by_place({"results": results}, 2)
        except JobError as error:
            assert error.code == "answer_unreadable"
            continue
        read += 1
        wires = [one for number, members in enumerate(found) for one in named(members, f"d{number}")]
        Tally().add(wires)
        output = Output(tmp_path / f"{read}.csv", 0, ours=False)
        output.write(wires)
        output.finish()
        assert len(list(csv.reader((tmp_path / f"{read}.csv").read_text().splitlines()))) >= 3


async def test_usage_without_counts_counts_nothing() -> None:
    class Quiet(FakeTransport):
        async def answer(self, request: bytes, accepted: Any) -> Any:
            answered = await super().answer(request, accepted)
            answered.output["usage"] = {"prompt_tokens": None}
            return answered

    outcomes, jobs = await run(Quiet(), documents("a receipt"))
    assert told(outcomes) == ["d0 receipt"] and jobs.counts.prompt_tokens == 0
