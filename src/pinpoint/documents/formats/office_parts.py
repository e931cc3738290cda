"""What an Office file keeps beside its text: charts, diagrams, chunks of other formats, pictures."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from pinpoint.documents.archive import Archive
from pinpoint.documents.extracted import Attachment, Page
from pinpoint.documents.formats.plain import decode, joined

if TYPE_CHECKING:
    from lxml import etree

HARDLY_ANY_CHARS = 40  # on all pages: what is around a picture that was pasted into an empty file
MOST_PICTURES = 20
_SMALL_PICTURE_BYTES = 3_000  # a line, a bullet, a logo
_PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".tif": "image/tiff",
             ".tiff": "image/tiff", ".webp": "image/webp"}  # fmt: skip
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_SAME_HEIGHT_EMU = 150_000  # a sixth of an inch: shapes that stand beside each other
_MOST_POINTS = 500  # of a chart; its axis says as much


def targets(archive: Archive, part: str) -> dict[str, str]:
    """What a part refers to inside the archive, by the id of the reference."""
    folder, name = posixpath.split(part)
    rels = f"{folder}/_rels/{name}.rels"
    if rels not in archive.names:
        return {}
    found = {}
    for one in archive.xml(rels).iter("{*}Relationship"):
        if one.get("TargetMode") != "External":
            target = one.get("Target", "")
            found[one.get("Id", "")] = (
                target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"{folder}/{target}")
            )
    return found


def drawn(archive: Archive, names: Iterable[str]) -> list[str]:
    """The words of charts and diagrams among these parts, each as lines."""
    texts = list[str]()
    for name in names:
        if name in archive.names and "/charts/chart" in name:
            texts.append(_chart(archive.xml(name)))
        elif name in archive.names and "/diagrams/data" in name:
            texts.append("\n".join(_paragraphs(archive.xml(name))))
    return [text for text in texts if text.strip()]


def chunks(archive: Archive, root: etree._Element, found: Mapping[str, str], relation: str, w: str) -> int:
    """Put chunks of HTML and of plain text as paragraphs where they stand; how many there are of other formats."""
    from lxml import etree

    from pinpoint.documents.formats.html import visible_text

    left = 0
    for chunk in list(root.iter(f"{w}altChunk")):
        name = found.get(chunk.get(relation, ""), "")
        end = name.rpartition(".")[2].lower()
        parent = chunk.getparent()
        if parent is None or name not in archive.names or end not in ("html", "htm", "xhtml", "txt"):
            left += 1
            continue
        text = decode(archive.read(name))[0]
        if end != "txt":
            text = visible_text(text)[0]
        place = parent.index(chunk)
        for number, line in enumerate(text.splitlines()):
            paragraph = etree.Element(f"{w}p")
            etree.SubElement(etree.SubElement(paragraph, f"{w}r"), f"{w}t").text = _printable(line)
            parent.insert(place + number, paragraph)
        parent.remove(chunk)
    return left


def pictures(archive: Archive, folder: str, pages: Iterable[Page]) -> list[Attachment]:
    """The pictures of a file that has hardly anything else: what somebody scanned and pasted."""
    if sum(len("".join(page.text.split())) for page in pages) >= HARDLY_ANY_CHARS:
        return []
    found = list[Attachment]()
    for name in sorted(archive.names):
        kind = _PICTURES.get(posixpath.splitext(name)[1].lower())
        if kind and name.startswith(folder):
            content = archive.read(name)
            if len(content) >= _SMALL_PICTURE_BYTES:
                found.append(Attachment(content, kind, posixpath.basename(name)))
    return found[:MOST_PICTURES]


def put_in_order(root: etree._Element) -> None:
    """Shapes of a slide as they are seen, from top to bottom: files have them in the order in which they were made.

    The title goes first, and a shape that says nothing of its place stays before those that do.
    """
    for tree in root.iter(f"{_P}spTree"):
        shapes = [child for child in tree if isinstance(child.tag, str) and child.tag.startswith(_P)]
        places = {shape: _place(shape) for shape in shapes if not shape.tag.endswith("Pr")}
        for shape in sorted(places, key=places.__getitem__):
            tree.append(shape)  # which takes it from where it was


def _place(shape: etree._Element) -> tuple[int, int, int]:
    kind = next((one.get("type", "") for one in shape.iter(f"{_P}ph")), "")
    if kind in ("title", "ctrTitle"):
        return 0, 0, 0
    if kind in ("ftr", "dt", "sldNum"):
        return 3, 0, 0
    spot = next((one.find(f"{_A}off") for one in shape.iter(f"{_A}xfrm", f"{_P}xfrm")), None)
    if spot is None:
        return 1, 0, 0
    try:
        return 2, int(spot.get("y", "0")) // _SAME_HEIGHT_EMU, int(spot.get("x", "0"))
    except ValueError:
        return 1, 0, 0


def _chart(root: etree._Element) -> str:
    """Titles, then a row of categories and a row for each series."""
    rows, lines = list[list[str]](), list(_paragraphs(root))
    for series in root.iter(f"{_C}ser"):
        categories, values = _points(series.find(f"{_C}cat")), _points(series.find(f"{_C}val"))
        if categories and ["", *categories] not in rows:
            rows.append(["", *categories])
        rows.append([*(_points(series.find(f"{_C}tx")) or [""]), *values])
    return "\n".join([*lines, *map(joined, rows)])


def _points(element: etree._Element | None) -> list[str]:
    if element is None:
        return []
    return [value.text or "" for value in element.iter(f"{_C}v")][:_MOST_POINTS]


def _paragraphs(root: etree._Element) -> Iterable[str]:
    for paragraph in root.iter(f"{_A}p"):
        text = "".join(run.text or "" for run in paragraph.iter(f"{_A}t"))
        if text.strip():
            yield text


def _printable(text: str) -> str:
    """Without what XML cannot hold."""
    return "".join(character for character in text if character >= " " or character == "\t")
