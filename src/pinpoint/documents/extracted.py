"""What came out of a file, and the frames in which it crosses from a reading process to the worker.

A reading process may have been taken over by the file that it reads. So what comes from it is JSON and bytes, never
pickled objects; every value is checked here, and none of it is more than text for the model, a number or a code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pinpoint.documents.file_types import FILE_TYPES
from pinpoint.errors import DocumentError

TextSource = Literal["embedded", "ocr", "none"]

_SOURCES = get_args(TextSource)
_MAX_WARNINGS, _MAX_WORDS = 20, 500
_CODE = re.compile("[a-z]+(?:_[a-z]+)*")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a file.

    Attributes:
        text: of it.
        source: where the text comes from.
        confidence: mean of the recogniser's, 0 to 1, where it read the page.
        scanned: whether there is something to recognise on it: a picture, or drawings without a letter.
    """

    text: str
    source: TextSource = "embedded"
    confidence: float | None = None
    scanned: bool = False


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file inside a mail."""

    content: bytes
    mime: str
    name: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file that was read.

    Attributes:
        type: its name in `FILE_TYPES`.
        extractor: what read it, with its version.
        pages: at least one.
        warnings: what its sender should know, without a word of the file.
        attachments: of a mail.
    """

    type: str
    extractor: str
    pages: Sequence[Page]
    warnings: Sequence[str] = ()
    attachments: Sequence[Attachment] = field(default=())


class Untrusted(Exception):
    """An answer that no reading process of ours gives."""


def to_frame(outcome: Extracted | DocumentError) -> tuple[bytes, list[bytes]]:
    """What goes over the pipe: JSON, and the bytes of the attachments."""
    if isinstance(outcome, DocumentError):
        return json.dumps({"code": outcome.code, "message": outcome.message}).encode("ascii"), []
    head = {
        "type": outcome.type,
        "extractor": outcome.extractor,
        "pages": [[page.text, page.source, page.confidence, page.scanned] for page in outcome.pages],
        "warnings": list(outcome.warnings),
        "attachments": [[one.mime, one.name, len(one.content)] for one in outcome.attachments],
    }
    # ASCII: a lone surrogate crosses as its escape and is refused with the others.
    return json.dumps(head).encode("ascii"), [one.content for one in outcome.attachments]


def from_frame(head: bytes, body: bytes, *, max_pages: int) -> Extracted:
    """What a frame says.

    Raises:
        DocumentError: what it says went wrong.
        Untrusted: it is no frame of ours.
    """
    try:
        told: Any = json.loads(head)
        if "code" in told:
            code, message = _text(told["code"], 40), _text(told["message"], _MAX_WORDS)
            if not _CODE.fullmatch(code):
                raise Untrusted
            raise _refused(code, message)
        attachments, start = list[Attachment](), 0
        for mime, name, size in told["attachments"]:
            if type(size) is not int or not 0 <= size <= len(body) - start:
                raise Untrusted
            attachments.append(Attachment(body[start : start + size], _text(mime, 200), _text(name, 200)))
            start += size
        pages = [_page(*page) for page in told["pages"]]
        if told["type"] not in FILE_TYPES or not 1 <= len(pages) <= max_pages or start != len(body):
            raise Untrusted
        warnings = [_text(warning, _MAX_WORDS) for warning in told["warnings"][:_MAX_WARNINGS]]
        return Extracted(told["type"], _text(told["extractor"], 100), pages, warnings, attachments)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Untrusted from error


def _page(text: object, source: object, confidence: object, scanned: object) -> Page:
    known: TextSource | None = next((one for one in _SOURCES if one == source), None)
    if not isinstance(text, str) or known is None or not isinstance(scanned, bool):
        raise Untrusted
    if confidence is not None and not (isinstance(confidence, float | int) and 0 <= confidence <= 1):
        raise Untrusted
    return Page(text, known, confidence, scanned)


def _text(value: object, most: int) -> str:
    if not isinstance(value, str):
        raise Untrusted
    kept = "".join(character if character.isprintable() else "�" for character in value[:most])
    return kept


def _refused(code: str, message: str) -> DocumentError:
    error = DocumentError("file_damaged", message)
    error.code, error.args = code, (code, message, None)  # found in the sources where the reading process raises it
    return error
