"""Client bulk runs: every document has one result in the output, however often a run ends and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import errno
import json
import os
import random
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.client import Retries
from pinpoint.client.bulk.batch_run import BatchRun
from pinpoint.client.bulk.items import Item
from pinpoint.client.bulk.journal import SUFFIX, Journal
from pinpoint.client.bulk.output import Output
from pinpoint.client.bulk.reading import in_loop, in_thread, unless
from pinpoint.client.bulk.run import Run
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.bulk.writing import Writer
from pinpoint.client.documents import Document, Question
from pinpoint.client.jobs import Jobs
from pinpoint.client.limiter import Limiter
from pinpoint.client.transport import Accepted, Answered
from pinpoint.errors import DocumentError, JobError, PinpointError, UnavailableError
from tests.unit.client.fake_transport import FakeTransport

QUESTION = Question.of(["invoice", "receipt"])
PLAN = {"labels": "invoice,receipt", "sources": "these"}


class Ends(FakeTransport):
    """Fails for good after so many answers; keeps answers that were never fetched, as the platform does."""

    def __init__(self, after: int | None, kept: dict[str, Answered] | None = None, forgets: bool = False) -> None:
        super().__init__()
        self.left = after
        self.kept = {} if kept is None else kept
        self.forgets = forgets

    async def answer(self, request: bytes, accepted: Accepted) -> Answered:
        job = f"job-{len(self.kept)}"
        accepted(job)
        self.kept[job] = answered = await super().answer(request, lambda job_id: None)
        await asyncio.sleep(0)
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise UnavailableError("unreachable", "the end")
        return answered

    async def collect(self, job_id: str) -> Answered:
        if self.forgets or job_id not in self.kept:
            raise JobError("job_forgotten", job_id)
        return self.kept[job_id]


def items_of(texts: Sequence[str], names: Sequence[str] | None = None) -> Iterator[Item]:
    for place, text in enumerate(texts):
        name = f"d{place}" if names is None else names[place]

        def load(name: str = name, text: str = text) -> Document:
            if text == "unreadable":
                raise DocumentError("unreadable_file", "cannot be read: asked for")
            return Document.of(name, {"text": text})

        yield Item(name, load)


def go(out: Path, texts: Sequence[str], transport: Any, plan: dict[str, str] = PLAN, **more: Any) -> Tally:
    """One run, as the command makes it; raises what ends it."""
    journal = Journal(out.with_name(out.name + SUFFIX), plan)
    try:
        output = Output(out, journal.written_bytes, ours=journal.begun)
        journal.begin()
        tally = Tally(before=journal.done)
        limiter = Limiter(4)
        jobs = Jobs(transport, QUESTION, limiter, Retries(first_s=0.0))
        names = more.get("names")
        run = Run(lambda: items_of(texts, names), transport, jobs, limiter, journal, output, tally, 3)
        try:
            asyncio.run(run.run())
        finally:
            output.finish()
        return tally
    finally:
        journal.close()


def ids(out: Path) -> list[str]:
    return [json.loads(line)["id"] for line in out.read_text().splitlines()]


def test_a_run_writes_each_document_once_and_another_one_finds_nothing_to_do(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    texts = ["a receipt", "unreadable", "refuse needs_ocr", "an invoice"] * 10
    tally = go(out, texts, FakeTransport())
    assert sorted(ids(out)) == sorted(f"d{n}" for n in range(40))
    found = {line["id"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert found["d0"]["answers"]["category"]["label"] == "receipt"
    assert found["d1"]["error"]["code"] == "unreadable_file" and found["d2"]["error"]["code"] == "needs_ocr"
    assert (tally.done, tally.errors, tally.labels) == (
        40, {"unreadable_file": 10, "needs_ocr": 10}, {"receipt": 10, "invoice": 10},
    )  # fmt: skip
    again, before = FakeTransport(), out.read_bytes()
    assert go(out, texts, again).before == 40
    assert again.asked == [] and out.read_bytes() == before


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.binary(max_size=30)), max_size=5),
    st.sampled_from([".jsonl", ".csv"]),
)
def test_however_it_ends_it_goes_on_and_each_document_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, count: int, ends: list[tuple[int, bool, bytes]], ending: str
) -> None:
    """Ends: after so many jobs; whether the platform forgets what was in flight; what half-written line is left."""
    out = tmp_path_factory.mktemp("run") / f"out{ending}"
    kinds = ("a receipt", "an invoice", "refuse needs_ocr", "unreadable")
    texts = [random.Random(n).choice(kinds) for n in range(count)]
    kept: dict[str, Answered] = {}
    for after, forgets, torn in ends:
        with contextlib.suppress(UnavailableError):
            go(out, texts, Ends(after, kept, forgets))
        with out.open("ab") as file:
            file.write(torn)
    go(out, texts, Ends(None, kept))
    if ending == ".csv":
        with out.open(newline="") as file:
            found = [row["id"] for row in csv.DictReader(file)]
    else:
        found = ids(out)
    assert sorted(found) == sorted(f"d{n}" for n in range(count))


def test_jobs_in_flight_at_the_end_are_collected_and_not_asked_again(tmp_path: Path) -> None:
    out, kept = tmp_path / "out.jsonl", dict[str, Answered]()
    first, second = Ends(0, kept), Ends(None, kept)
    with pytest.raises(UnavailableError):
        go(out, ["a receipt"] * 12, first)
    assert ids(out) == [] and sum(first.sizes) > 0, "jobs are left in flight, and none is answered"
    go(out, ["a receipt"] * 12, second)
    assert sum(first.sizes) + sum(second.sizes) == 12 and sorted(ids(out)) == sorted(f"d{n}" for n in range(12))


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
@pytest.mark.parametrize("after", ["write", "landed"])
def test_an_end_between_output_and_journal_leaves_no_document_twice_and_none_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, after: str
) -> None:
    out, kept = tmp_path / f"out{ending}", dict[str, Answered]()
    ended = {"write": (Output, "write"), "landed": (Journal, "landed")}[after]
    whole = getattr(*ended)

    def ends(*args: Any) -> None:
        whole(*args)
        raise RuntimeError("the end")

    for again in range(3):
        raises = contextlib.suppress(RuntimeError) if again else pytest.raises(RuntimeError)
        with monkeypatch.context() as patched, raises:
            patched.setattr(*ended, ends)
            go(out, ["a receipt", "an invoice"] * 15, Ends(None, kept))
    go(out, ["a receipt", "an invoice"] * 15, Ends(None, kept))
    lines = out.read_text().splitlines()[ending == ".csv" :]
    names = [line.split(",")[0] if ending == ".csv" else json.loads(line)["id"] for line in lines]
    assert sorted(names) == sorted(f"d{n}" for n in range(30))


def test_two_documents_of_one_id_are_one_line_and_a_complaint(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    tally = go(out, ["a receipt"] * 5, FakeTransport(), names=["a", "b", "a", "c", "b"])
    assert sorted(ids(out)) == ["a", "b", "c"]
    assert tally.left_out == 2 and tally.errors == {"duplicate_id": 2}


def test_a_document_of_an_id_that_was_before_is_counted_once_however_often_the_sources_are_read(tmp_path: Path) -> None:
    out, kept = tmp_path / "out.jsonl", dict[str, Answered]()
    texts, names = ["a receipt"] * 6, ["a", "b", "a", "c", "b", "d"]
    with pytest.raises(UnavailableError):
        go(out, texts, Ends(0, kept), names=names)
    kept.clear()  # what was in flight is forgotten: the sources are read a second time for it
    looks = list[int]()
    begin_pass = Journal.begin_pass

    def counted(journal: Journal) -> None:
        looks.append(1)
        begin_pass(journal)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Journal, "begin_pass", counted)
        tally = go(out, texts, Ends(None, kept), names=names)
    assert len(looks) == 2 and sorted(ids(out)) == ["a", "b", "c", "d"]
    assert tally.left_out == 2 and tally.errors == {"duplicate_id": 2}


def refusal(call: Any) -> PinpointError:
    with pytest.raises(PinpointError) as raised:
        call()
    return raised.value


def test_an_output_of_another_run_is_refused_in_words_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    go(out, ["a receipt"], FakeTransport())
    before = out.read_bytes()
    error = refusal(lambda: go(out, ["a receipt"], FakeTransport(), {**PLAN, "labels": "a,b"}))
    assert error.code == "output_of_another_run" and "other labels" in error.message
    out.with_name(out.name + SUFFIX).unlink()
    for _ in range(2):  # a journal made by the first try gives the second no right
        assert refusal(lambda: go(out, ["a receipt"], FakeTransport())).code == "output_of_another_run"
    assert out.read_bytes() == before


def test_an_output_that_is_shorter_than_its_journal_says_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    go(out, ["a receipt"] * 3, FakeTransport())
    out.write_bytes(out.read_bytes()[:-5])
    assert refusal(lambda: go(out, ["a receipt"] * 3, FakeTransport())).code == "output_of_another_run"


def test_two_runs_of_one_output_and_a_damaged_journal_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl.journal"
    first = Journal(path, PLAN)
    assert refusal(lambda: Journal(path, PLAN)).code == "output_in_use"
    first.close()
    path.write_bytes(b"no database, whatever it is" * 100)
    assert refusal(lambda: Journal(path, PLAN)).code == "journal_damaged"


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_a_full_disk_ends_the_run_with_a_whole_file_and_room_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    out, write, room = tmp_path / f"out{ending}", os.write, 700

    def full(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(descriptor, bytes(data)[:room])
        room -= written
        return written

    texts = ["a receipt"] * 30
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert refusal(lambda: go(out, texts, FakeTransport())).code == "disk_full"
    assert out.read_bytes() == b"" or out.read_bytes().endswith(b"\n")
    go(out, texts, FakeTransport())
    assert len(out.read_text().splitlines()) == 30 + (ending == ".csv")


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_a_run_without_documents_is_a_table_without_rows_and_goes_on(tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"out{ending}"
    for _ in range(2):
        assert go(out, [], FakeTransport()).done == 0
        assert out.read_bytes().startswith({".jsonl": b"", ".csv": b"id,label,", ".parquet": b"PAR1"}[ending])
    go(out, ["invoice"], FakeTransport())
    if ending == ".csv":
        assert [row["id"] for row in csv.DictReader(out.read_text().splitlines())] == ["d0"]


def test_results_go_to_a_file_and_to_nothing_that_cannot_be_read_again(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.jsonl")  # to open it would wait for who reads it
    with pytest.raises(PinpointError) as raised:
        Output(tmp_path / "out.jsonl", 0, ours=False)
    assert raised.value.code == "cannot_write"


def test_parquet_is_whole_whenever_a_run_ends(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    out, kept = tmp_path / "out.parquet", dict[str, Answered]()
    texts = ["a receipt", "refuse needs_ocr", "an invoice"] * 6
    with pytest.raises(UnavailableError):
        go(out, texts, Ends(2, kept))
    assert parquet.read_table(out).num_rows == len(ids(tmp_path / "out.parquet.rows"))
    go(out, texts, Ends(None, kept))
    rows = parquet.read_table(out).to_pylist()
    assert sorted(row["id"] for row in rows) == sorted(f"d{n}" for n in range(18))
    first = next(row for row in rows if row["id"] == "d0")
    assert (first["label"], first["score"], first["tokens"]) == ("receipt", 0.9, 2)
    foreign = tmp_path / "foreign.parquet"
    foreign.write_bytes(out.read_bytes())
    assert refusal(lambda: go(foreign, texts, FakeTransport())).code == "output_of_another_run"
    assert foreign.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet"])
def test_ids_of_any_characters_are_one_row_of_every_format(tmp_path: Path, ending: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    path = tmp_path / f"out{ending}"
    names = ["a\rb", "a\nb", 'quo"te,', "half \ud83d", "\udce9.txt", "nul\0", "line\u2028", "=1+1"]
    output = Output(path, 0, ours=True)
    output.write([{"id": name, "status": "error", "error": {"code": "c", "message": name}} for name in names])
    output.finish()
    if ending == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            found = [row["id"] for row in csv.DictReader(file)]
        names[-1] = "'=1+1"
    elif ending == ".jsonl":
        found = [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
    else:
        found = parquet.read_table(path)["id"].to_pylist()
    if ending != ".jsonl":
        names[3:5] = ["half \\ud83d", "\\udce9.txt"]
    assert found == names


def test_a_source_that_never_answers_holds_up_no_end() -> None:
    held = threading.Event()

    async def ends() -> list[object]:
        stopping = asyncio.Event()
        found: list[object] = [await unless(stopping, lambda: "read")]
        with pytest.raises(DocumentError):
            await unless(stopping, failing)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: found.append(context["message"]))
        loop.call_soon(stopping.set)
        found.append(await unless(stopping, held.wait))
        assert any(one.name == "pinpoint-reader" and one.daemon for one in threading.enumerate())
        held.set()
        await asyncio.sleep(0.05)  # what it told too late is heard by nobody
        return found

    def failing() -> None:
        raise DocumentError("unreadable_file", "it cannot")

    try:
        assert asyncio.run(ends()) == ["read", None]  # which waits for the threads of its executor
    finally:
        held.set()


def test_results_are_kept_in_the_loop_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is left to itself would keep one while others are noted as written."""
    kept = list[tuple[str, str]]()
    keep = Writer.keep

    def noted(self: Writer, name: str, results: list[dict[str, Any]]) -> None:
        kept.append((name, threading.current_thread().name))
        keep(self, name, results)

    def failing() -> Document:
        raise DocumentError("unreadable_file", "it cannot")

    monkeypatch.setattr(Writer, "keep", noted)
    transport: Any = FakeTransport()
    journal, output = Journal(tmp_path / "j", PLAN), Output(tmp_path / "out.jsonl", 0, ours=True)
    items = [Item(name, failing) for name in "abc"]
    run = BatchRun(lambda: iter(items), transport, QUESTION, journal, output, Tally(), 10)

    async def runs() -> None:
        here = in_loop(lambda name: kept.append((name, threading.current_thread().name)))
        await in_thread(lambda: here("first"))
        await run.run()

    asyncio.run(runs())
    journal.close()
    output.finish()
    assert kept == [(name, threading.main_thread().name) for name in ("first", "a", "b", "c")]
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == list("abc")
