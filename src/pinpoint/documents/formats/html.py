"""HTML: the text that a browser would show, tables as rows; nothing is taken for boilerplate and thrown away."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pinpoint.documents import charsets
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_types import declared_charset
from pinpoint.documents.formats.plain import decode, joined
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from lxml import etree

_NEVER_SHOWN = frozenset({"script", "style", "template", "head", "noframes", "object", "iframe", "svg", "datalist"})
_BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div", "dl",
     "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
     "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table", "tbody", "tfoot", "thead", "tr",
     "ul"}
)  # fmt: skip
_CELLS = frozenset({"td", "th"})
_FIELDS = frozenset({"input", "textarea", "select", "button"})
_SHOWN_INPUTS = frozenset({"", "text", "email", "number", "date", "tel", "url", "search"})
_SPACE = re.compile(r"[ \t\r\n\f]+")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.I)
_NOT_DISPLAYED = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)
_FAINT = re.compile(
    r"(?:^|;)\s*(?:(?<![-\w])color\s*:\s*(?:white|#fff(?:fff)?\b|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))|font-size\s*:\s*0(?:\.\d+)?"
    r"(?:px|pt|em|rem|%)?\s*(?:;|$)|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$))",
    re.I,
)
_BACKGROUND = re.compile(r"background", re.I)
_ARRANGED_LINES = 3  # in a cell: more is no cell of a table of values


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """The visible text as one page.

    Raises:
        DocumentError: `invalid_encoding`, `nested_too_deep`.
    """
    from lxml import etree

    text, warnings = visible_text(_decoded(content, mime))
    return Extracted("html", f"lxml {etree.__version__}", [Page(text)], warnings)


def visible_text(source: str) -> tuple[str, list[str]]:
    """The text of a page that is shown, and what should be known of the rest.

    Raises:
        DocumentError: `nested_too_deep`.
    """
    from lxml import etree

    if not source.strip():
        return "", []
    # Up to 2,048 elements in elements: answers to answers are mails of hundreds.
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=True
    )  # fmt: skip
    root = etree.fromstring(source.encode("utf-8", "replace"), parser)
    if any("depth" in entry.message for entry in parser.error_log):
        raise DocumentError("nested_too_deep", "elements in elements, more than 2,048 deep")
    if root is None:
        return "", []
    page = _Visible()
    title = root.findtext(".//head/title")
    if title and title.strip():
        page.texts[0].append(" ".join(title.split()) + "\n")
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if isinstance(element.tag, str):
            page.open(element) if event == "start" else page.close(element)
    warnings = []
    if page.hidden:
        warnings.append(f"text that is not displayed in {counted(page.hidden, 'place')} was left out")
    if page.faint:
        where = counted(page.faint, "place")
        warnings.append(f"text that cannot be seen (white, clear or of no size) in {where}, which was read")
    return _lines("".join(page.texts[0])), warnings


@dataclass
class _Visible:
    """A walk over a page; no recursion, so that no depth of elements can exhaust it.

    Attributes:
        texts: what is being written, the page first, then each cell that is open.
        rows: cells of each row that is open.
        hidden: places with text that is not displayed.
        faint: places with text in white and the like.
    """

    texts: list[list[str]] = field(default_factory=lambda: [[]])
    rows: list[list[str]] = field(default_factory=list)
    hidden: int = 0
    faint: int = 0
    _skipped: etree._Element | None = None
    _chosen: etree._Element | None = None
    _tinted: int = 0
    _preformatted: int = 0

    def open(self, element: etree._Element) -> None:
        """An element begins."""
        if self._skipped is not None:
            return
        tag, style = element.tag, element.get("style", "")
        invisible = "hidden" in element.attrib or _NOT_DISPLAYED.search(style) is not None
        if tag in _NEVER_SHOWN or invisible or (tag == "option" and self._chosen not in (None, element)):
            self._skipped = element
            self.hidden += invisible and _says_something(element)
            return
        self._tinted += _is_tinted(element)
        if not self._tinted and (_FAINT.search(style) or element.get("color", "").lower() in ("white", "#ffffff")):
            self.faint += _says_something(element)
        self._preformatted += tag == "pre"
        if tag == "tr":
            self.rows.append([])
        elif tag in _CELLS and self.rows:
            self.texts.append([])
        elif tag == "br" or tag in _BLOCKS:
            self.texts[-1].append("\n")
        if tag in _FIELDS:
            self.texts[-1].append(" ")
        if tag == "select":
            self._chosen = _chosen(element)
        if tag == "input" and element.get("type", "").lower() in _SHOWN_INPUTS:
            self.texts[-1].append(element.get("value", ""))
        self._write(element.text)

    def close(self, element: etree._Element) -> None:
        """It ends, and what stands behind it follows."""
        if self._skipped is not None:
            if self._skipped is element:
                self._skipped = None
                self._write(element.tail)
            return
        tag = element.tag
        if tag == "select":
            self._chosen = None
        self._preformatted -= tag == "pre"
        self._tinted -= _is_tinted(element)
        if tag == "tr":
            self.texts[-1].append(f"\n{_row(self.rows.pop())}")
        elif tag in _CELLS and self.rows:
            self.rows[-1].append(_lines("".join(self.texts.pop())))
        elif tag in _BLOCKS:
            self.texts[-1].append("\n")
        self._write(element.tail)

    def _write(self, text: str | None) -> None:
        if text:
            self.texts[-1].append(text if self._preformatted else _SPACE.sub(" ", text))


def _row(cells: list[str]) -> str:
    """Cells on one line; where a table only arranges a page, its cells one after the other."""
    said = [cell for cell in cells if cell]
    if len(said) == 1 or any(cell.count("\n") >= _ARRANGED_LINES for cell in said):
        return "\n".join(said)
    return joined(cells)


def _chosen(field: etree._Element) -> etree._Element | None:
    """The option that a closed list shows; nothing of an open one, which shows all."""
    if "multiple" in field.attrib or field.get("size", "1").strip() not in ("", "0", "1"):
        return None
    options = list(field.iter("option"))
    return next((one for one in reversed(options) if "selected" in one.attrib), options[0] if options else None)


def _says_something(element: etree._Element) -> bool:
    return bool("".join(element.itertext()).strip())


def _is_tinted(element: etree._Element) -> bool:
    """Whether something may lie behind the text that white shows on."""
    return bool(_BACKGROUND.search(element.get("style", "")) or element.get("bgcolor"))


def _decoded(content: bytes, mime: str) -> str:
    if not declared_charset(mime) and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        found = _CHARSET.search(content[:4096])
        name = found[1].decode("ascii").lower() if found else ""
        if name.startswith(("utf-16", "utf-32", "ucs-2")):
            name = "utf-8"  # it would not have been found in such bytes
        try:
            return charsets.decoded(content, name or "utf-8")
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(content, mime)[0]


def _lines(text: str) -> str:
    """Lines without the space around them, and one blank line where there are several."""
    lines = list[str]()
    for line in (one.strip(" \t\r\f\xa0") for one in text.split("\n")):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip("\n")
