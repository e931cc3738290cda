"""Answers that were written to a file, as documents to look at, the unsure ones first.

Taken is what `classify --json` and `evaluate --out` write, a line each, and the worker's own responses. A line has
`answers`, and says what the document is: `text`, `pages`, or `file`, a path that is read again. Where it says none of
these, as the worker does, its `id` is looked up in a file of the documents that were sent.

A task either has one label to a document or a set of them (`multi_label`). Answers do not always say which: a set does
where it is `chosen`, where no label was likely, or where several are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pinpoint.errors import PinpointError
from pinpoint.review.chosen import Choice
from pinpoint.review.lines import finite, is_file, json_lines, pages_in, sent_texts, wrong_line

MOST_OF_A_CHOICE = 1.01  # what scores of one label out of many sum to, with the rounding of a thousand of them

NO_LABEL = "no_label_reached_threshold"  # a reason that sets of labels alone have
LIKELY = 0.5  # the score from which on a label is in an untaught set

MOST_ITEMS = 200_000

Order = Literal["unsure", "random"]


@dataclass(frozen=True, slots=True)
class Item:
    """One document to look at.

    Attributes:
        key: what it is known by, in this file of answers and among what was chosen.
        pages: its text, where the answers have it.
        file: or the path that it is read from.
        shown: of its pages, first and last from 0; None for all.
        answer: as the worker gave it.
        truth: the label that it has already, where that is known, or its labels; None where it is not.
    """

    key: str
    pages: tuple[str, ...]
    file: str
    shown: tuple[int, int] | None
    answer: Mapping[str, Any]
    truth: Choice | None = None

    @property
    def labels(self) -> list[str]:
        """Best first."""
        return list(self.answer["labels"])

    @property
    def scores(self) -> list[float]:
        """Parallel to `labels`."""
        return list(self.answer["scores"])

    @property
    def members(self) -> list[str]:
        """Where an answer is a set: its labels, best first."""
        chosen = self.answer.get("chosen")
        if isinstance(chosen, list):
            return [label for label in chosen if isinstance(label, str)]
        return [label for label, score in zip(self.labels, self.scores, strict=True) if score >= LIKELY]


@dataclass(frozen=True, slots=True)
class Answers:
    """All that a file of answers has to look at.

    Attributes:
        items: in the order in which they are looked at.
        labels: all that any of them names.
        task: whose answers they are.
        failed: lines of documents that were not answered.
        several: whether a document may have several labels, or none.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    task: str
    failed: int
    several: bool = False


def read_answers(
    path: Path, sent: Path | None = None, task: str | None = None, order: Order = "unsure", several: bool | None = None
) -> Answers:
    """The documents of a file of answers.

    Args:
        path: of the answers; JSON lines, or one JSON value.
        sent: the documents that were sent, where the answers have none of their own: JSON lines or a table with `id`
            and `text`, or a request.
        task: whose answers, where there are several.
        order: the unsure first, or as if drawn at random, the same at every start.
        several: whether a document may have several labels, or none; None where the answers tell.

    Raises:
        PinpointError: `unreadable_file`, `invalid_line`, with the line, or nothing to look at.
    """
    texts = sent_texts(sent) if sent is not None else {}
    found, failed, task_name = list[Item](), 0, task or ""
    times, keys = dict[str, int](), set[str]()
    for number, record in _results(path):
        if "error" in record or record.get("status") == "error":
            failed += 1
            continue
        for shown, answers in _parts(record, number):
            task_name = task_name or _only(answers, number)
            answer = answers.get(task_name)
            if answer is None:
                known = ", ".join(sorted(answers))
                missing = f"has no answer to the task {task_name!r}; there is {known}: name one with --task"
                raise wrong_line(number, missing)
            item = _item(record, number, shown, _checked(answer, number), texts)
            own = item.key
            while own in keys:  # named twice: the second is another document
                times[item.key] = times.get(item.key, 1) + 1
                own = f"{item.key} ({times[item.key]})"
            keys.add(own)
            found.append(replace(item, key=own))
            if len(found) > MOST_ITEMS:
                raise wrong_line(number, f"more than {MOST_ITEMS} documents; split the file")
    if not found:
        raise PinpointError("invalid_line", f"no answer to look at in it ({failed} documents were refused)", str(path))
    sets = any(map(_is_set, found))
    if several is False and sets:
        raise PinpointError("invalid_line", "answers of it are sets of labels; leave out --one", str(path))
    sets = sets or bool(several)
    key: Callable[[Item], Any] = (_sureness_of_set if sets else _sureness) if order == "unsure" else _drawn
    return Answers(tuple(sorted(found, key=key)), tuple(_labels(found)), task_name, failed, sets)


def _is_set(item: Item) -> bool:
    """Whether an answer, or the truth, is plainly a set of labels."""
    reasons = item.answer.get("reasons")
    told = isinstance(reasons, list) and NO_LABEL in reasons
    return told or "chosen" in item.answer or isinstance(item.truth, list) or sum(item.scores) > MOST_OF_A_CHOICE


def _drawn(item: Item) -> bytes:
    """A place that has nothing to do with what the document is or how it was answered."""
    return hashlib.sha256(item.key.encode("utf-8", "backslashreplace")).digest()


def _sureness(item: Item) -> tuple[int, float]:
    """Those that were not accepted first, then by how far the best label is ahead; a confidence says more, if any."""
    answer = item.answer
    margin = finite(answer.get("confidence"))
    if margin is None:
        margin = finite(answer.get("margin"))
    if margin is None:
        margin = item.scores[0] - (item.scores[1] if len(item.scores) > 1 else 0.0)
    return (answer.get("decision", "accept") == "accept", margin)


def _sureness_of_set(item: Item) -> tuple[bool, float]:
    """The same of a set: without a confidence, by the label that is nearest to being in it, or out of it. That no label
    is likely is an answer like any other.
    """
    answer, confidence = item.answer, finite(item.answer.get("confidence"))
    accepted = answer.get("decision", "accept") == "accept" or answer.get("reasons") == [NO_LABEL]
    return accepted, min(abs(score - LIKELY) for score in item.scores) if confidence is None else confidence


def _labels(items: Iterable[Item]) -> list[str]:
    found = set[str]()
    for item in items:
        truth = [item.truth] if isinstance(item.truth, str) else item.truth or []
        found.update(label for label in (*item.labels, *item.members, *truth) if label)
    return sorted(found, key=str.casefold)


def _results(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each document's record, with its line; those of a response one by one."""
    for number, value in json_lines(path):
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise wrong_line(number, "is no object")
            output = one.get("output", one)  # as the platform hands out a job
            results = output.get("results") if isinstance(output, dict) else None
            members = results if isinstance(results, list) else [one]
            for member in members:
                if not isinstance(member, dict):
                    raise wrong_line(number, "is no object")
                yield number, member


def _parts(record: dict[str, Any], number: int) -> Iterator[tuple[tuple[int, int] | None, dict[str, Any]]]:
    """Pages and answers: of the whole, or of each document that it was split into."""
    segments = record.get("segments")
    if isinstance(segments, list) and segments:
        for segment in segments:
            try:
                first, last = segment["pages"]
                pages, answered = (int(first), int(last)), dict(segment["answers"])
            except (TypeError, ValueError, KeyError, OverflowError):  # Infinity is no page
                raise wrong_line(number, "has a segment without `pages` and `answers`") from None
            if None in map(finite, pages):
                raise wrong_line(number, "has a segment whose `pages` are too large")
            yield pages, answered
        return
    answers = record.get("answers")
    if isinstance(answer := record.get("answer"), dict) and isinstance(name := record.get("task"), str):
        answers = {name: answer}  # a line of `evaluate`
    if not isinstance(answers, dict) or not answers:
        raise wrong_line(number, "has no `answers`; this takes what `classify --json` or `evaluate --out` writes")
    yield None, answers


def _only(answers: Mapping[str, Any], number: int) -> str:
    if len(answers) == 1:
        return next(iter(answers))
    raise wrong_line(number, f"has answers to several tasks: {', '.join(sorted(answers))}; name one with --task")


def _checked(answer: Any, number: int) -> Mapping[str, Any]:
    """An answer whose labels and scores can be shown."""
    if isinstance(answer, dict):
        labels, scores = answer.get("labels"), answer.get("scores")
        if isinstance(labels, list) and isinstance(scores, list) and 0 < len(labels) == len(scores):
            named = all(isinstance(label, str) for label in labels)
            if named and all(finite(score) is not None for score in scores):
                return answer
    raise wrong_line(number, "has an answer without `labels` and `scores` of equal length")


def _item(
    record: dict[str, Any], number: int, shown: tuple[int, int] | None, answer: Mapping[str, Any],
    texts: Mapping[str, tuple[str, ...]],
) -> Item:  # fmt: skip
    identity, file = record.get("id"), record.get("file")
    key = identity if isinstance(identity, str) and identity else file
    if not isinstance(key, str) or not key:
        key = f"line {number}"
    pages = pages_in(record)
    if not pages and isinstance(identity, str):
        pages = texts.get(identity, ())
    if not pages and not file and is_file(identity):
        file = identity  # as `classify --out` names files
    if not pages and not (isinstance(file, str) and file):
        raise wrong_line(
            number, "says neither `text` nor `pages` nor `file`; with --documents, name the file of the documents that "
            "were sent, each with its `id`",
        )  # fmt: skip
    if shown is not None:
        key = f"{key} pages {shown[0] + 1}-{shown[1] + 1}"
    truth = record.get("truth")
    known = isinstance(truth, str) or (isinstance(truth, list) and all(isinstance(one, str) for one in truth))
    return Item(key, pages, "" if pages else str(file), shown, answer, truth if known else None)
