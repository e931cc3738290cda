"""Documents from files: those made to hurt. Each fails alone, with its code, and the readers are well afterwards."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest

from pinpoint.documents.extract import extract
from pinpoint.documents.extracted import Extracted
from pinpoint.errors import DocumentError
from tests import file_makers as make
from tests.unit.documents.conftest import LIMITS
from tests.unit.documents.test_documents_sniff import samples

WELL = make.text_pdf(["Invoice 7"])
LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(98, 108))
    + b"]>"
)
EXTERNAL = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'
_W = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
_W_END = b"</w:t></w:r></w:p></w:body></w:document>"


def docx_of(prolog: bytes, inside: bytes) -> bytes:
    return make.with_members(make.docx_file([]), {"word/document.xml": prolog + _W + inside + _W_END})


def xlsx_of(prolog: bytes) -> bytes:
    sheet = make.xlsx_file({"A": [["x"]]})
    with zipfile.ZipFile(io.BytesIO(sheet)) as archive:
        first = archive.read("xl/worksheets/sheet1.xml")
    return make.with_members(sheet, {"xl/worksheets/sheet1.xml": prolog + first.partition(b"?>")[2]})


def slip() -> bytes:
    return make.with_members(make.docx_file(["x"]), {"../../etc/cron.d/x": b"x"})


def many_members() -> bytes:
    return make.with_members(make.docx_file(["x"]), {f"word/media/{number}": b"" for number in range(10_001)})


def mail_in_mails(depth: int) -> bytes:
    """Parts in parts, as a mail that was made to contain itself looks to whoever follows it."""
    head = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: again\r\nMIME-Version: 1.0\r\n"
    for number in range(depth):
        head += b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (number, number)
    return head + b"Content-Type: text/plain\r\n\r\nthe end\r\n"


def liar() -> bytes:
    """An archive whose directory says that a bomb is small."""
    bomb = make.zip_bomb(make.docx_file(["x"]), "word/document.xml", 30_000_000)
    return bomb.replace((30_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))


HOSTILE: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    "nested Flate streams of 2 GB": (
        lambda: make.nested_flate_pdf(3, 2_000_000_000), {"parser_failed", "file_timeout"}
    ),
    "a PDF of 100,000 pages": (lambda: make.many_pages_pdf(100_000), {"too_many_pages"}),
    "a PDF that says it has a billion pages": (
        lambda: make.raw_pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 1000000000>>"]),
        {"too_many_pages", "file_damaged"},
    ),
    "a PDF whose pages are their own parents": (
        lambda: make.raw_pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 5>>"]),
        {"file_damaged", "too_many_pages"},
    ),
    "a PDF that draws itself": (
        lambda: make.raw_pdf([
            b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</A 5 0 R>>>>>>",
            b"<</Length 4>>stream\n/A Do\nendstream",
            b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A 5 0 R>>>>/Length 9>>stream\n"
            b"/A Do\nendstream",
        ]),
        {"ok", "parser_failed", "file_timeout"},
    ),
    "an encrypted PDF": (make.locked_pdf, {"pdf_encrypted"}),
    "a damaged PDF": (lambda: WELL[:200] + bytes(200), {"file_damaged"}),
    "a PDF that is cut short": (lambda: WELL[: len(WELL) // 3], {"file_damaged"}),
    "a PDF of its first line": (lambda: b"%PDF-1.7\n", {"file_damaged"}),
    "a zip bomb": (
        lambda: make.zip_bomb(make.docx_file(["x"]), "word/document.xml", 30_000_000), {"file_expands"}
    ),
    "a zip bomb below the limit": (
        lambda: make.zip_bomb(make.xlsx_file({"A": [["x"]]}), "xl/worksheets/sheet1.xml", 15_000_000),
        {"file_damaged", "file_memory", "parser_failed"},
    ),
    "a zip bomb that lies about its size": (liar, {"file_damaged"}),
    "an archive of 10,001 members": (many_members, {"file_expands"}),
    "a zip slip": (slip, {"unsafe_archive"}),
    "external entities in a DOCX": (lambda: docx_of(EXTERNAL, b"&e;"), {"unsafe_xml"}),
    "an external document type in a DOCX": (lambda: docx_of(OUTSIDE, b"x"), {"unsafe_xml"}),
    "billion laughs in a DOCX": (lambda: docx_of(LAUGHS, b"&k;"), {"unsafe_xml"}),
    "billion laughs in an XLSX": (lambda: xlsx_of(LAUGHS), {"unsafe_xml"}),
    "external entities in an XLSX, in UTF-16": (
        lambda: xlsx_of((EXTERNAL.decode() + "<x/>").encode("utf-16")), {"unsafe_xml"}
    ),
    "external entities in an ODT": (
        lambda: make.odt_file("", extra={"content.xml": EXTERNAL + b"<x>&e;</x>"}), {"unsafe_xml"}
    ),
    "a PNG of 60,000 by 60,000": (lambda: make.png_of(60_000, 60_000), {"image_too_large"}),
    "a polyglot": (lambda: WELL + make.docx_file(["x"]), {"ambiguous_type"}),
    "a mail of four hundred parts in parts": (lambda: mail_in_mails(400), {"nested_too_deep"}),
    "a mail of fifty parts in parts": (lambda: mail_in_mails(50), {"nested_too_deep"}),
    "a mail of 1,100 parts": (
        lambda: make.mail(attachments=[("a", "application/x-a", b"")] * 1_100), {"too_many_attachments"}
    ),
    "a mail of sixty attachments": (
        lambda: make.mail(attachments=[("a", "application/x-a", b"x")] * 60), {"too_many_attachments"}
    ),
    "a text that is too long": (lambda: b"word " * 250_000, {"file_text_too_long"}),
    "an RTF of a hundred thousand groups": (lambda: b"{\\rtf1 " + b"{" * 100_000 + b"x", {"ok", "file_damaged"}),
    "HTML of 200,000 elements": (lambda: b"<html>" + b"<b>" * 200_000 + b"x", {"nested_too_deep"}),
    "UTF-16 declared as UTF-8 in HTML": (lambda: "<html>x".encode("utf-16"), {"ok"}),
}  # fmt: skip


@pytest.mark.parametrize(("content", "codes"), HOSTILE.values(), ids=HOSTILE)
def test_documents_hostile_file_fails_alone(
    content: Callable[[], bytes], codes: set[str], in_pool: Callable[..., Extracted]
) -> None:
    try:
        in_pool(content())
        came = "ok"
    except DocumentError as error:
        came = error.code
        assert "passwd" not in error.message and "ha" * 10 not in error.message
    assert came in codes
    assert in_pool(WELL).pages[0].text == "Invoice 7"


def test_documents_of_every_type_are_read_in_a_confined_process_as_they_are_without(
    in_pool: Callable[..., Extracted],
) -> None:
    latin = "Grüße aus Köln, schöne Straßen, Änderungen".encode("cp1252")
    files = {**samples(), "csv": b"a,b\n1,2", "locked": make.locked_pdf(), "latin": latin}
    for name, content in files.items():
        mime = "text/csv" if name == "csv" else ""
        try:
            alone = extract(content, mime, "", LIMITS)
        except DocumentError as error:
            with pytest.raises(DocumentError) as caught:
                in_pool(content, mime)
            assert (caught.value.code, caught.value.message) == (error.code, error.message)
            continue
        found = in_pool(content, mime)
        assert (found.type, found.extractor, list(found.pages)) == (alone.type, alone.extractor, list(alone.pages)), (
            name
        )
        assert (list(found.warnings), list(found.attachments)) == (list(alone.warnings), list(alone.attachments))


def test_documents_macros_are_said_and_not_run(in_pool: Callable[..., Extracted]) -> None:
    found = in_pool(make.with_members(make.docx_file(["Invoice 7"]), {"word/vbaProject.bin": b"Sub AutoOpen()"}))
    assert found.warnings == ["macros in the file were not read"]
    script = make.raw_pdf([
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert(1))>>/Names<</JavaScript<</Names[(a)"
        b"<</S/JavaScript/JS(app.alert(1))>>]>>>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ])  # fmt: skip
    assert in_pool(script).warnings == ["scripts in the file were not run"]
