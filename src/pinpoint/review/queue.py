"""Which document is next, and what became of each: the state of a review, without a page."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pinpoint.documents.text import PAGE_BREAK, has_surrogate
from pinpoint.errors import RequestError
from pinpoint.review.chosen import Choice, Chosen
from pinpoint.review.items import Answers, Item

PagesOf = Callable[[Item], Sequence[str]]


class Review:
    """Documents in turn. Safe to use from several threads."""

    def __init__(self, answers: Answers, chosen: Chosen, labels: tuple[str, ...], pages_of: PagesOf) -> None:
        """Go on where the file of choices ends.

        Args:
            answers: to look at.
            chosen: where choices go.
            labels: that may be chosen, all of them.
            pages_of: a document's pages, for the text in the line of its choice.
        """
        self.answers, self.chosen, self.labels = answers, chosen, labels
        self._pages_of = pages_of
        self._lock = threading.Lock()
        self._place = {item.key: number for number, item in enumerate(answers.items)}
        self._waiting = deque(number for key, number in self._place.items() if key not in chosen.labels)

    def item(self, number: int) -> Item:
        """A document by its number. Raises RequestError where there is none."""
        if not 0 <= number < len(self.answers.items):
            raise RequestError("out_of_range", "there is no document of this number", "number")
        return self.answers.items[number]

    def state(self) -> dict[str, Any]:
        """How far it is, and the number of the next document, None where all are done."""
        with self._lock:
            return self._state()

    def choose(self, number: int, label: Choice) -> dict[str, Any]:
        """Write a choice, and say what is next.

        Args:
            number: of the document.
            label: that is right; where a document may have several, a list of all that are.

        Raises:
            RequestError: no label on offer, one of several where one is right, or a document that is done.
            DocumentError: its file cannot be read any more.
            OSError: it cannot be written.
        """
        item = self.item(number)
        members = [label] if isinstance(label, str) else label
        if isinstance(label, str) == self.answers.several:
            what = "a list of labels" if self.answers.several else "a label"
            raise RequestError("wrong_type", f"what is chosen here is {what}", "label")
        if not set(members) <= set(self.labels) or len(set(members)) < len(members):
            raise RequestError("out_of_range", "there is no such label, or it is named twice", "label")
        text = PAGE_BREAK.join(self._pages_of(item))
        if has_surrogate(text) or any(map(has_surrogate, members)):
            text = text.encode("utf-8", "replace").decode("utf-8")
        about: dict[str, Any] = {"text": text}
        if item.file and item.shown is None:
            about["file"] = item.file
        predicted = item.answer.get("label")
        if self.answers.several:
            about["predicted"] = item.members
        else:
            about |= {"predicted": predicted if isinstance(predicted, str) else None, "score": item.scores[0]}
        about["reviewed"] = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock:
            if number not in self._waiting:
                raise RequestError("conflict", "this document is done already; undo first", "number")
            self.chosen.add(item.key, label, about)
            self._waiting.remove(number)
            return self._state()

    def skip(self, number: int) -> dict[str, Any]:
        """Put a document behind all others."""
        with self._lock:
            if number in self._waiting:
                self._waiting.remove(number)
                self._waiting.append(number)
            return self._state()

    def undo(self) -> dict[str, Any]:
        """Take the last choice back; its document is next again."""
        with self._lock:
            number = self._last()
            if number is not None:
                self.chosen.undo()
                self._waiting.appendleft(number)
            return self._state()

    def _last(self) -> int | None:
        """The document of the last choice; None where there is none, or it is of other answers."""
        return None if self.chosen.last is None else self._place.get(self.chosen.last)

    def _state(self) -> dict[str, Any]:
        total = len(self.answers.items)
        return {
            "next": self._waiting[0] if self._waiting else None,
            "done": total - len(self._waiting),
            "total": total,
            "undoable": self._last() is not None,
        }
