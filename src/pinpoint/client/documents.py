"""Documents and questions as bytes of the wire: encoded once, then only put together.

A document's bytes are its fields without the braces, so that an id can go before them, and its size is known before
it is put into a job.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pinpoint.errors import RequestError

# One form of a document each, and what may stand beside it (docs/api.md).
FORMS = ("text", "pages", "base64", "url")
BESIDE = ("mime", "filename", "attachments")

SURROUNDING = b'{%b,"documents":[%b]}'

Label = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """One document, ready to be sent.

    Attributes:
        id: the caller's; any string.
        fields: its JSON fields, encoded.
    """

    id: str
    fields: bytes = field(repr=False)

    @classmethod
    def of(cls, name: str, fields: Mapping[str, Any]) -> Document:
        """Encode a document's fields."""
        return cls(name, encode(fields)[1:-1])

    @classmethod
    def of_file(cls, name: str, content: bytes, filename: str, attachments: str = "pages") -> Document:
        """Encode a file's bytes."""
        beside = encode({"filename": filename, "attachments": attachments})[1:-1]
        return cls(name, b'"base64":"' + base64.b64encode(content) + b'",' + beside)

    @property
    def size_bytes(self) -> int:
        """In a job, with its share of brackets and commas."""
        return len(self.fields) + 3


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about every document: the request without them."""

    fields: bytes = field(repr=False)

    @classmethod
    def of(
        cls,
        labels: Sequence[Label] | None = None,
        *,
        tasks: Mapping[str, Any] | None = None,
        taxonomy: str | None = None,
        instructions: str | None = None,
        multi_label: bool = False,
        labels_first: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> Question:
        """Encode a question. Raises RequestError unless it is of one form; the worker checks the rest."""
        forms = {"labels": labels, "tasks": tasks, "taxonomy": taxonomy}
        asked: dict[str, Any] = {name: value for name, value in forms.items() if value is not None}
        if len(asked) != 1:
            raise RequestError("conflicting_fields", "send labels, tasks or the name of a taxonomy", "labels")
        if isinstance(labels, str):
            raise RequestError("wrong_type", "labels is a list of names, not one string", "labels")
        if labels is not None:
            asked["labels"] = list(labels)
        if instructions is not None:
            asked["instructions"] = instructions
        if multi_label:
            asked["multi_label"] = True
        if labels_first:
            asked["labels_first"] = True
        if options:
            asked["options"] = dict(options)
        try:
            return cls(encode(asked)[1:-1])
        except (TypeError, ValueError, RecursionError):
            raise RequestError("wrong_type", "a question is JSON: no set, no NaN, no infinity") from None

    def size_bytes(self, documents: Sequence[Document]) -> int:
        """At least what `about` makes of these documents without ids, and a few bytes more at most."""
        return len(self.fields) + sum(one.size_bytes for one in documents) + len(SURROUNDING)

    def about(self, documents: Sequence[Document], ids: Sequence[str] | None = None) -> bytes:
        """The request about these documents; without `ids` the worker calls them by their place."""
        if ids is None:
            members = [b"{" + one.fields + b"}" for one in documents]
        else:
            members = [
                b'{"id":' + encode(name) + b"," + one.fields + b"}" for name, one in zip(ids, documents, strict=True)
            ]
        return SURROUNDING % (self.fields, b",".join(members))


def encode(value: Any) -> bytes:
    """JSON in UTF-8. Half of a surrogate pair is escaped: the worker refuses its document and no other."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
