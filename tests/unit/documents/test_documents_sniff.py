"""Documents from files: the true type, told from the bytes."""

from __future__ import annotations

import pytest

from pinpoint.documents.file_types import FILE_TYPES
from pinpoint.documents.sniff import sniff
from pinpoint.errors import DocumentError
from tests import file_makers as make
from tests.msg_maker import msg_file

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def samples() -> dict[str, bytes]:
    picture = make.rendered(make.text_pdf(["x"]), dpi=20)
    return {
        "pdf": make.text_pdf(["x"]),
        "docx": make.docx_file(["x"]),
        "xlsx": make.xlsx_file({"A": [["x"]]}),
        "pptx": make.pptx_file([("a", "b", "")]),
        "odt": make.odt_file("<text:p>x</text:p>"),
        "ods": make.odt_file("", "spreadsheet"),
        "odp": make.odt_file("", "presentation"),
        "html": b"<!DOCTYPE html><html><body>x</body></html>",
        "eml": make.mail(),
        "msg": msg_file(),
        "rtf": b"{\\rtf1 x}",
        "png": make.picture_bytes(picture),
        "jpeg": make.picture_bytes(picture, "JPEG"),
        "tiff": make.picture_bytes(picture, "TIFF"),
        "webp": make.picture_bytes(picture, "WEBP"),
        "text": b"Just words.",
    }


def refused(content: bytes, mime: str = "") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        sniff(content, mime)
    return caught.value


def test_documents_type_is_told_from_the_bytes_whatever_the_name() -> None:
    for name, content in samples().items():
        assert sniff(content, "", "x.exe").name == name
        assert sniff(content, "application/octet-stream").name == name
        assert sniff(content, f" {FILE_TYPES[name].mime.upper()} ; charset=utf-8").name == name


def test_documents_type_that_differs_from_the_declared_one_names_both() -> None:
    for name, content in samples().items():
        for declared in FILE_TYPES.values():
            if declared.name == name or (name in ("text", "eml") and declared.text):
                continue  # a mail may be declared as the text that it is, and any text as one of another kind
            error = refused(content, declared.mime)
            assert error.code == "mime_mismatch"
            assert declared.mime in error.message and FILE_TYPES[name].mime in error.message


def test_documents_types_that_are_true_but_say_less() -> None:
    for content in (make.docx_file(["x"]), make.xlsx_file({"A": [["x"]]}), make.odt_file("<text:p>x</text:p>")):
        assert sniff(content, "application/zip") == sniff(content)
    assert sniff(make.docx_file(["x"]), "application/msword").name == "docx"
    for declared in ("text/markdown", "text/calendar", "application/json", "application/vnd.api+json", "text/xml"):
        assert sniff(b"some words", declared).name == "text"
        assert refused(b"%PDF-1.7\n", declared).code == "mime_mismatch"
    assert refused(b"<svg/>", "image/svg+xml").code == "mime_mismatch"


def test_documents_plain_text_is_what_is_declared_then_what_its_name_says() -> None:
    assert sniff(b"a,b\n", "text/csv", "x.txt").name == "csv"
    assert sniff(b"a\tb\n", "", "X.TSV").name == "tsv"
    assert sniff(b"hi <b>there</b>", "text/html").name == "html"
    assert sniff(b"Subject: only one\n\nx", "message/rfc822").name == "eml"
    assert sniff(b"Note: not a mail\nTotal: 5\n").name == "text"
    assert sniff("Bücher: über\nTotal: 5\n".encode("utf-16")).name == "text"


def test_documents_of_two_types_at_once_are_refused() -> None:
    archive, pdf = make.docx_file(["x"]), make.text_pdf(["x"])
    picture = samples()["jpeg"]
    both = [pdf + archive, picture + archive, picture[:200] + pdf, b"<html>" + pdf, b"{\\rtf1 " + pdf, b"GIF89a " + pdf]
    for content in both:
        assert refused(content).code == "ambiguous_type"
    # An archive that only lies inside is an embedded file; a text may speak of PDF.
    assert sniff(pdf[:-6] + archive + b"\nmore bytes after the end of it%%EOF").name == "pdf"
    assert sniff(b"A note that tells people how files of the kind %PDF-1.4 begin").name == "text"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (make.zipped({"a.txt": b"x"}), "ZIP"),
        (OLE + bytes(600), "before 2007"),
        (make.zipped({"[Content_Types].xml": b"x", "xl/workbook.bin": b"x"}), "XLSB"),
        (b"GIF89a" + bytes(20), "gif"),
        (b"\x1f\x8b\x08" + bytes(20), "gzip"),
        (b"\x7fELF" + bytes(20), "program"),
        (bytes(range(256)) * 4, "no known type"),
    ],
)
def test_documents_of_other_types_are_named(content: bytes, said: str) -> None:
    error = refused(content)
    assert error.code == "unsupported_type" and said in error.message


def test_documents_empty_and_locked() -> None:
    assert refused(b"").code == "empty_file"
    assert refused(OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le")).code == "file_encrypted"


def test_documents_declared_type_is_shown_harmlessly() -> None:
    error = refused(make.text_pdf(["x"]), "text/\x1b[31m" + "x" * 500)
    assert error.message.isprintable() and len(error.message) < 300


def test_documents_archive_without_a_directory_is_no_known_type() -> None:
    assert refused(b"PK\x03\x04" + bytes(100)).code == "unsupported_type"
