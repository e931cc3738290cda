"""Clean text: what is removed from a document before the model reads it, and what is left alone.

Removed, each kind counted in one warning: byte-order marks, control characters, noncharacters, the invisible tag
characters of U+E0000 (they carry hidden instructions), and combining marks beyond eight in a row. Line ends of every
kind become ``\\n``. Kept: tabs, emoji with joiners, right-to-left text and its controls (U+202E reorders what a person
sees, not what the model reads). A lone surrogate cannot be encoded, so the document is refused rather than altered.

Cost: emoji flags of regions (England, Scotland, Wales) are spelled with tags and become a plain black flag.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal

from pinpoint.errors import DocumentError

WHOLE_CHARACTERS = "half of a surrogate pair cannot be encoded; send whole characters"
MAX_COMBINING_MARKS = 8  # in a row; living scripts need up to four, Tibetan transliteration of Sanskrit a few more

# Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt) and the interlinear annotation controls:
# characters that show nothing and take no room.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)

PAGE_BREAK = "\n\n"  # between the pages of a document that is read whole
STRETCH_CHARS = 4096  # normalised at a time: what is spelled out is counted and let go

_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_LINE_ENDS = re.compile("\r\n|[\r\f\v\u0085]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_VISIBLE = re.compile(rf"[^\s{INVISIBLE}]")
_MANY_MARKS = re.compile(f"\0{{{MAX_COMBINING_MARKS},}}")
_REMOVED = {
    "byte-order mark": re.compile("\ufeff"),
    "control character": re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"),
    "invisible tag character": re.compile("[\U000e0000-\U000e007f]"),
    "noncharacter": re.compile(f"[{_NONCHARACTERS}]"),
}


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is told of a file that a document was read from.

    Attributes:
        type: of file.
        text_source: where each page's text comes from: "embedded", "ocr" or "none".
        ocr_confidence: of each page, None where it was not recognised; empty where none was.
        attachment: its name, where it came in another file.
    """

    type: str
    text_source: tuple[str, ...]
    ocr_confidence: tuple[float | None, ...] = ()
    attachment: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A document ready to be prompted: its pages of clean text, in order; `field` is where it stood in the request."""

    id: str
    index: int
    pages: tuple[str, ...]
    extractor: str
    warnings: tuple[str, ...] = ()
    field: str = dataclass_field(default="text", compare=False)
    file: FileFacts | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A document that came as a file, or as the address of one, and has not been read.

    Attributes:
        id: of the document.
        index: in the request.
        field: where it stood in the request.
        content: its bytes, empty where there is an address.
        url: the address, or nothing.
        mime: what the caller declares it as, or nothing.
        filename: what the caller calls it, or nothing.
        attachments: whether those of a mail are further pages, documents of their own, or left out.
    """

    id: str
    index: int
    field: str
    content: bytes = dataclass_field(default=b"", repr=False)
    url: str = dataclass_field(default="", repr=False)
    mime: str = ""
    filename: str = ""
    attachments: Literal["pages", "documents", "none"] = "pages"


@dataclass(frozen=True, slots=True)
class RejectedDocument:
    """A document that cannot be answered, and why."""

    id: str
    index: int
    error: DocumentError


def clean_text(text: str, field: str | None = None) -> tuple[str, list[str]]:
    """Return the clean text and one counted warning for each kind of character removed.

    Raises DocumentError `invalid_unicode` for a lone surrogate and `empty_text` when nothing visible is left.
    """
    pages, warnings = _clean([text], [field])
    return pages[0], warnings


def clean_pages(pages: Sequence[str], field: str = "pages") -> tuple[tuple[str, ...], list[str]]:
    """Clean every page and add up the warnings; blank pages stay, but one page must have something to read.

    Raises what clean_text raises, with the page in the field where one page is at fault.
    """
    cleaned, warnings = _clean(pages, [f"{field}[{number}]" for number in range(len(pages))], whole=field)
    return tuple(cleaned), warnings


def is_blank(text: str) -> bool:
    """Say whether nothing in the text can be seen: only white space, zero-width or format characters."""
    return _VISIBLE.search(text) is None


def expanded_chars(text: str, most: int | None = None) -> int:
    """Characters of the text once compatibility forms and case folding have spelled it out, and no fewer than it has.

    That is what labels are compared by and what some tokenizers read: U+FDFA alone is 18 characters then. Counting ends
    with the stretch that goes beyond `most`.
    """
    if text.isascii():
        return len(text)
    chars = 0
    for start in range(0, len(text), STRETCH_CHARS):
        stretch = text[start : start + STRETCH_CHARS]
        chars += max(len(stretch), len(unicodedata.normalize("NFKC", stretch).casefold()))
        if most is not None and chars > most:
            break
    return chars


def has_surrogate(text: str) -> bool:
    """Say whether the text holds a surrogate: Python joins pairs, so any that is left stands alone."""
    return not text.isascii() and _SURROGATE.search(text) is not None


def _clean(pages: Sequence[str], fields: Sequence[str | None], whole: str | None = None) -> tuple[list[str], list[str]]:
    counts = dict.fromkeys([*_REMOVED, "excess combining mark"], 0)
    cleaned = []
    for page, field in zip(pages, fields, strict=True):
        # A pass of `re` over the text costs ten times what its alphabet costs: look there for what needs a pass.
        alphabet = "".join(set(page))
        if has_surrogate(alphabet):
            raise DocumentError("invalid_unicode", WHOLE_CHARACTERS, field)
        if _LINE_ENDS.search(alphabet):
            page = _LINE_ENDS.sub("\n", page)
        for kind, pattern in _REMOVED.items():
            if pattern.search(alphabet):
                page, removed = pattern.subn("", page)
                counts[kind] += removed
        marks = "".join(character for character in alphabet if unicodedata.category(character).startswith("M"))
        if marks:
            bounded = _bound_marks(page, marks)
            counts["excess combining mark"] += len(page) - len(bounded)
            page = bounded
        cleaned.append(page)
    if all(is_blank(page) for page in cleaned):
        raise DocumentError(
            "empty_text", "there is nothing to read in the text", whole if whole is not None else fields[0]
        )
    return cleaned, [f"removed {n} {kind}{'s' if n > 1 else ''}" for kind, n in counts.items() if n]


def _bound_marks(page: str, marks: str) -> str:
    """The page without the marks that stand after the eighth in a row."""
    # One stand-in for all of them, gone from the page by now: a class of thousands of characters is slow to search.
    places = page.translate(dict.fromkeys(map(ord, marks), "\0"))
    kept, start = list[str](), 0
    for run in _MANY_MARKS.finditer(places):
        kept.append(page[start : run.start() + MAX_COMBINING_MARKS])
        start = run.end()
    return "".join((*kept, page[start:]))
