"""Plain text, CSV and TSV: the encoding is found, and rows stay rows."""

from __future__ import annotations

import codecs
import csv
import io
import re
from importlib.metadata import version

from pinpoint.documents import charsets
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_types import declared_charset
from pinpoint.documents.visible import counted, printable
from pinpoint.documents.wide import wide_letters
from pinpoint.errors import DocumentError

CELL_BREAK = " | "
_SEPARATOR = re.compile('\ufeff?("?)sep=([,;|\t])\\1\r?\n', re.I)  # as spreadsheet programs tell each other
_OTHERS = "as-windows-1252"
_EMPTY_CELLS = re.compile(r"(?: \| ){4,}")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What is still written without being named; of the rest, short texts look like too much.
_GUESSED = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp874", "koi8_r", "shift_jis",
            "euc_jp", "iso2022_jp", "gb18030", "big5", "euc_kr"]  # fmt: skip
_GUESSED_BYTES = 200_000  # of a text, looked at to guess its encoding


def read(content: bytes, mime: str, limits: FileLimits, type_name: str) -> Extracted:
    """The text as one page, of a table its rows.

    Raises:
        DocumentError: `invalid_encoding`.
    """
    text, extractor = decode(content, mime)
    warnings = list[str]()
    if type_name in ("csv", "tsv"):
        text, warnings = _rows(text, "\t" if type_name == "tsv" else None, limits)
    return Extracted(type_name, extractor, [Page(text)], warnings)


def decode(content: bytes, mime: str = "") -> tuple[str, str]:
    """The text of bytes, and what found their encoding: its mark, what is declared, UTF-8 by itself, or a guess.

    Raises:
        DocumentError: `invalid_encoding`: they are not in the declared encoding, or in none.
    """
    declared = declared_charset(mime)
    if declared:
        return _as_declared(content, declared), "text"
    for mark, name in _MARKS:
        if content.startswith(mark):
            try:
                return content.decode(name), "text"
            except UnicodeDecodeError:
                raise DocumentError("invalid_encoding", f"its mark says {name}, which its bytes are not") from None
    wide = _wide(content)
    if not wide and charsets.is_seven_bit_japanese(content):
        try:
            return charsets.decoded(content, "iso-2022-jp"), "text"
        except UnicodeDecodeError:
            pass
    try:
        return content.decode(wide or "utf-8"), "text"
    except UnicodeDecodeError:
        pass
    if (mended := _nearly_utf8(content)) is not None:
        return mended, "text"
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_GUESSED_BYTES], cp_isolation=_GUESSED).best()
    if best is not None and best.encoding == "koi8_r" and _is_shouted(str(best)):
        # Its capitals are the letters of Hebrew and of others, which have none.
        others = [name for name in _GUESSED if name != "koi8_r"]
        best = from_bytes(content[:_GUESSED_BYTES], cp_isolation=others).best()
    if best is None:
        raise DocumentError(
            "invalid_encoding",
            "not a type that is read, nor text in an encoding that can be told; of text, name it in `mime`: "
            "text/plain; charset=…",
        )
    return content.decode(best.encoding, "replace"), f"charset-normalizer {version('charset-normalizer')}"


def _is_shouted(text: str) -> bool:
    """Whether all letters of Cyrillic are capitals."""
    letters = [letter for letter in text if "\u0400" <= letter <= "\u04ff"]
    return sum(map(str.isupper, letters)) * 10 > 9 * len(letters)


def _nearly_utf8(content: bytes) -> str | None:
    """Text that is UTF-8 but for a letter cut in two at its end, or for fewer bytes that are not; else None.

    Letters of other encodings look like those of UTF-8 by chance, and seldom: where most are UTF-8 all but a few are,
    and the few are of a text in Windows-1252 that was put in.
    """
    text = content.decode("utf-8", "replace")
    wrong, right = text.count("\ufffd"), len(text) - len(text.encode("ascii", "ignore"))
    if text.rstrip("\ufffd").count("\ufffd") == 0 and len(text) - len(text.rstrip("\ufffd")) == 1 and right > 1:
        return text[:-1]
    if wrong * 10 < right - wrong:
        return text
    return content.decode("utf-8", _OTHERS) if wrong < right - wrong else None


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_OTHERS, _as_windows)


def _as_declared(content: bytes, declared: str) -> str:
    name = next(iter(charsets.codecs_of(declared)), "")
    if not name:
        raise DocumentError(
            "invalid_encoding", f"charset {printable(declared)} is not known; leave it out, or correct it"
        )
    wide = _wide(content)
    if wide and name.startswith("utf-8"):
        raise DocumentError("invalid_encoding", f"declared as {name}, and its bytes are {wide}")
    try:
        return charsets.decoded(content, declared).removeprefix("\ufeff")
    except UnicodeDecodeError:
        found = next((name for mark, name in _MARKS if content.startswith(mark)), "")
        more = f"; its mark says {found.removesuffix('-sig')}" if found else ""
        raise DocumentError("invalid_encoding", f"declared as {name}, which its bytes are not{more}") from None


def _wide(content: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, told from where the zeros of Latin letters stand, else nothing."""
    head = content[:2000]
    for marked, name in ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
                         (codecs.BOM_UTF16_BE, "utf-16")):  # fmt: skip
        if head.startswith(marked):
            return name
    if len(head) < 4 or head.count(0) * 5 < len(head):
        return wide_letters(head)
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if head[1::4].count(0) + head[2::4].count(0) > len(head) * 0.45:
        return "utf-32-le" if head[3] == 0 else "utf-32-be"
    return "utf-16-le" if odd > even else "utf-16-be"


def _rows(text: str, delimiter: str | None, limits: FileLimits) -> tuple[str, list[str]]:
    if (told := _SEPARATOR.match(text)) is not None:
        delimiter, text = told[2], text[told.end() :]
    if delimiter is None:
        try:
            delimiter = csv.Sniffer().sniff(text[:10_000], ",;\t|").delimiter
        except csv.Error:
            delimiter = ","
    csv.field_size_limit(limits.max_text_chars)
    lines, cells, warnings = list[str](), 0, list[str]()
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            cells += len(row)
            if len(lines) >= limits.max_table_rows or cells > limits.max_table_cells:
                lines += [] if lines else [joined(row[: limits.max_table_cells])]
                warnings.append(f"the table was cut: its first {counted(len(lines), 'row')} were read")
                break
            lines.append(joined(row))
    except csv.Error:
        return text, ["not read as a table, but as the text that it is"]
    return "\n".join(lines), warnings


def joined(cells: list[str]) -> str:
    """One row of a table on one line, without the empty cells at its end."""
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    line = CELL_BREAK.join(" ".join(cell.split()) for cell in cells)
    # A cell that stands alone far to the right says no more for thousands of marks before it.
    return _EMPTY_CELLS.sub(CELL_BREAK * 3, line) if CELL_BREAK * 4 in line else line
