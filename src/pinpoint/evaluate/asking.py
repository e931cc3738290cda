"""Labelled documents in, a line of answers.jsonl for each out: jobs, files read ahead, and what is asked once more.

One refused document never ends a run: a job that is refused because of its documents is halved until what is refused
is one document. What is refused because of the question ends it, for every document would be.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.request import Request, parse_request
from pinpoint.api.response import DocumentResult, error_to_wire
from pinpoint.documents.text import Document, File, RejectedDocument
from pinpoint.errors import PinpointError, RequestError
from pinpoint.evaluate.labelled_file import DECLARED, Line
from pinpoint.evaluate.outcomes import answered_label
from pinpoint.evaluate.read_files import read_files
from pinpoint.pipeline.classify import Find, classify, no_task_file
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.prompting.taxonomy import Task

JOB_DOCUMENTS = 64  # of one request: enough to fill passes, few enough for the progress bar to move
JOB_FILES, JOB_BYTES = 16, 50_000_000  # read while those before are classified
TASK = "category"
PAGE_BREAK = "\f"
REVERSED, REWORDED = "reversed", "reworded"

Sent = Document | RejectedDocument | File
Answered = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about every document.

    Attributes:
        wordings: other words for labels, by id; used for `reworded`.
        again: documents that are asked about with the labels reversed and reworded, too; None for all of them.
        name: of the task.
        fields: of the task, as under `tasks` of a request, its labels aside.
        described: what a label is beside its id, as a request has it, by id; a label that is not here is its own name.
        whole: whether `fields` hold the labels, too, as those of a tree or of a deployed taxonomy do.
        deployed: taxonomies that `fields` may name.
        options: of the request.
        other: the label that says that none of the others holds: it is among those to choose from, and `fields` ask
            for it.
        sets: whether an answer is a set of labels.
    """

    wordings: Mapping[str, str] = field(default_factory=dict)
    again: int | None = 0
    name: str = TASK
    fields: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    whole: bool = False
    deployed: Deployed = NOTHING
    options: Mapping[str, Any] = field(default_factory=dict)
    other: str | None = None
    sets: bool = False

    def request(
        self, labels: Sequence[str], documents: Sequence[Any], words: Mapping[str, str] | None = None
    ) -> Request:
        """A request. Labels before documents: what is too large together is then said of the documents.

        Raises RequestError.
        """
        task = dict(self.fields)
        if not self.whole:
            own = [label for label in labels if label != self.other]
            asked: list[dict[str, Any]] = [{"id": one, "name": one, **self.described.get(one, {})} for one in own]
            if words is not None:
                asked = [{**one, "name": words[label]} for one, label in zip(asked, own, strict=True)]
            task = {"labels": asked, **task}
        raw = {
            "tasks": {self.name: task}, "options": {"return_raw": True, **self.options}, "documents": list(documents)
        }  # fmt: skip
        return parse_request(raw, deployed=self.deployed)

    def reworded(self, labels: Sequence[str]) -> dict[str, str]:
        """Other words for each label: those given, else its name with the case of its first letter changed.

        Case keeps the meaning in every language that has it; a plural or a synonym by rule would not.
        """
        names = {label: self.described.get(label, {}).get("name", label) for label in labels}
        return {label: self.wordings.get(label) or name[:1].swapcase() + name[1:] for label, name in names.items()}


def check_questions(lines: Sequence[Line], question: Question) -> None:
    """Raise RequestError, with the first line that has them, for labels that no request may have."""
    seen = set[tuple[str, ...]]()
    for line in lines:
        if line.labels not in seen:
            seen.add(line.labels)
            for words in (None, question.reworded(line.labels)) if question.again != 0 else (None,):
                try:
                    question.request(line.labels, [{"text": "text"}], words)
                except RequestError as error:
                    raise at(line, error) from None


def sample(lines: Sequence[Line], count: int | None) -> set[str]:
    """The names of so many documents, None for all: the same ones whatever their order."""
    names = [line.name for line in lines]
    if count is None:
        return set(names)
    return set(sorted(names, key=lambda name: hashlib.sha256(name.encode("utf-8", "replace")).digest())[:count])


def at(line: Line, error: PinpointError) -> PinpointError:
    """The error, with the line that it was met at."""
    return RequestError(error.code, f"{line.name}: {error.message}", error.field)


class Asking:
    """A run's way through the engine."""

    def __init__(
        self,
        engine: Engine,
        question: Question,
        read: Callable[[Request], Request],
        max_file_bytes: int,
        again: set[str] | None = None,
        find: Find = no_task_file,
    ) -> None:
        """Begin nothing yet.

        Args:
            engine: what answers.
            question: what is asked.
            read: gives a request back with its files read.
            max_file_bytes: of a file; a larger one is refused unread.
            again: names of the documents that are asked about once more.
            find: the task file that counts; not for what is asked again, which is another question.
        """
        self._engine, self._question, self._read = engine, question, read
        self._max_file_bytes, self._again, self._find = max_file_bytes, again or set(), find

    def answers(self, lines: Sequence[Line]) -> Iterator[list[Answered]]:
        """The answered lines of one job after the other; files of the next job are read meanwhile.

        Raises RequestError where the fault is the question's, DeviceError where the device failed.
        """
        jobs = list(_jobs(lines))
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._documents, jobs[0]) if jobs else None
            for number, job in enumerate(jobs):
                assert ahead is not None
                documents = ahead.result()
                if number + 1 < len(jobs):
                    ahead = reader.submit(self._documents, jobs[number + 1])
                yield list(self._answer(job, documents))

    def _documents(self, job: Sequence[Line]) -> list[Sent] | None:
        """What the files of a job are, or None where it has texts."""
        if job[0].file is None:
            return None
        request = self._question.request(job[0].labels, [{"base64": "AA=="}])
        named = [(line.name, line.file) for line in job if line.file is not None]
        return read_files(named, request, self._read, self._max_file_bytes)

    def _answer(self, job: Sequence[Line], documents: Sequence[Sent] | None) -> Iterator[Answered]:
        """The lines of one request, or of two halves of it."""
        began_s = time.perf_counter()
        try:
            texts = [{"text": line.text} for line in job]
            if documents is None:
                request = self._question.request(job[0].labels, texts)
            else:
                request = self._about(job[0].labels, None, documents)
            response, counts = classify(request, self._engine, self._find)
        except RequestError as error:
            if not (error.field or "").startswith("documents"):
                raise at(job[0], error) from None
            if len(job) == 1:
                yield {**self._head(job[0]), "error": error_to_wire(error)}
                return
            refused = True
        else:
            refused = False
        if refused:
            middle = len(job) // 2
            for part in (slice(middle), slice(middle, None)):
                yield from self._answer(job[part], None if documents is None else documents[part])
            return
        share = {
            "prompt_tokens": counts.tokens_asked / len(job),
            "seconds": (time.perf_counter() - began_s) / len(job),
        }
        lines = list[Answered]()
        for line, sent, result in zip(job, request.documents, response.results, strict=True):
            found: Answered = {}
            if line.file is not None and isinstance(sent, Document):
                found["text"] = PAGE_BREAK.join(sent.pages)
            if isinstance(result, DocumentResult):
                answer = result.answers[self._question.name]
                told = {**answer.to_wire(), "scores": list(answer.scores)}
                found |= {"answer": told, "input": result.input.to_wire(), "warnings": list(result.warnings)}
                if answer.backed_off and answer.label is not None:
                    found["group_right"] = answer.label in _groups_of(request.tasks[0], line.label)
            else:
                found |= {"error": error_to_wire(result.error)}
            lines.append({**self._head(line), **found, **share})
        self._ask_again(job, request.documents, lines)
        yield from lines

    def _ask_again(self, job: Sequence[Line], documents: Sequence[Sent], lines: Sequence[Answered]) -> None:
        """Put into the lines of the sample what is answered to the labels in other order and in other words."""
        chosen = [k for k, line in enumerate(lines) if job[k].name in self._again and "error" not in line]
        if not chosen:
            return
        labels, asked = job[0].labels, [documents[k] for k in chosen]
        words = self._question.reworded(labels)
        for name, order, said in ((REVERSED, labels[::-1], None), (REWORDED, labels, words)):
            response, _ = classify(self._about(order, said, asked), self._engine)
            for k, result in zip(chosen, response.results, strict=True):
                if isinstance(result, DocumentResult):
                    answer = result.answers[self._question.name]
                    label = answered_label(answer.to_wire())
                    lines[k].setdefault("variants", {})[name] = {"label": label, "score": answer.score}

    def _about(self, labels: Sequence[str], words: Mapping[str, str] | None, documents: Sequence[Sent]) -> Request:
        """The question about documents that are read."""
        request = self._question.request(labels, [{"text": "text"}], words)
        numbered = [replace(document, id=str(k), index=k) for k, document in enumerate(documents)]
        return replace(request, documents=tuple(numbered))

    def _head(self, line: Line) -> Answered:
        where = {"text": line.text} if line.file is None else {"file": str(line.file.resolve())}
        truth = line.label if line.members is None else list(line.members)
        head = {"id": line.name, **where, "task": self._question.name, "truth": truth, "labels": list(line.labels)}
        return head | {name: value for name in DECLARED if (value := getattr(line, name))}


def _groups_of(task: Task, label: str) -> set[str]:
    """The groups of a tree that a label is in, by id, and the label."""
    assert task.tree is not None
    leaf = task.tree.leaves()[[one.id for one in task.labels].index(label)]
    return {task.tree.label(node).id for node in task.tree.path(leaf)}


def _jobs(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Neighbours with the same labels, texts or files, as many as fill passes."""
    for (_, files), group in groupby(lines, key=lambda line: (line.labels, line.file is not None)):
        members, size, most = list[Line](), 0, JOB_FILES if files else JOB_DOCUMENTS
        for line in group:
            if len(members) == most or size > JOB_BYTES:
                yield members
                members, size = [], 0
            members.append(line)
            size += line.file.stat().st_size if line.file is not None and line.file.exists() else 0
        yield members
