"""What mail servers, word processors and older systems make of a file, and what must not be lost or made up of it."""

from __future__ import annotations

import pytest

from pinpoint.documents.extract import extract
from pinpoint.documents.extracted import Extracted
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.sniff import sniff
from pinpoint.errors import DocumentError
from tests import file_makers as make

LETTER = b"From: Ann\r\nTo: Bob\r\nSubject: Invoice 7\r\nDate: 1 May\r\n"
SPACES = 'xmlns:chart="urn:oasis:names:tc:opendocument:xmlns:chart:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'


def read(content: bytes, mime: str = "", filename: str = "") -> Extracted:
    return extract(content, mime, filename, FileLimits())


def only(content: bytes, mime: str = "", filename: str = "") -> str:
    (page,) = read(content, mime, filename).pages
    return page.text


@pytest.mark.parametrize(
    "servers",
    [
        b"".join(b"Received: from host%d.example.com\r\n by relay;\r\n Mon, 1 Jan 2026\r\n" % n for n in range(90)),
        b"".join(b"X-Exchange-Organization-%d: %s\r\n" % (n, b"v" * 70) for n in range(90)),
        b"ARC-Seal: i=1; a=rsa-sha256;\r\n b=" + b"A" * 9000 + b"\r\n",
    ],
)
@pytest.mark.parametrize("name", ["", "a.eml"])
def test_documents_mail_is_known_however_much_servers_put_before_it(servers: bytes, name: str) -> None:
    mail = servers + LETTER + b"MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>Total <b>5</b></p>"
    assert only(mail, filename=name).split("\n")[-1] == "Total 5"


@pytest.mark.parametrize("name", ["", "a.txt"])
def test_documents_memos_and_forms_are_no_mails_and_nothing_of_them_is_passed_over(name: str) -> None:
    for form in (LETTER + b"Reference: ZZ-99\r\n\r\nBody", b"Invoice: 4711\nDate: 1 May\nTo: ACME\nTotal: 99.50\n"):
        assert only(form, filename=name) == form.decode()
    assert sniff(b"From: =?utf-8?Q?J=C3=B6rg?= <a@example.com>\nSubject: x\n\nbody").name == "eml"


@pytest.mark.parametrize("said", ["multipart/mixed", "multipart/mixed; boundary=another", "multipart/mixed; boundary"])
def test_documents_mail_of_parts_between_other_marks_than_it_says(said: str) -> None:
    parts = "--x y\r\nContent-Type: text/plain\r\n\r\nTotal 5\r\n--x y\r\nContent-Type: text/csv\r\n\r\na,b\r\n--x y--"
    found = read(LETTER + f"MIME-Version: 1.0\r\nContent-Type: {said}\r\n\r\n{parts}\r\n".encode())
    assert found.pages[0].text.endswith("\n\nTotal 5")
    assert [(one.content, one.mime) for one in found.attachments] == [(b"a,b", "text/csv")]
    none = read(LETTER + f"MIME-Version: 1.0\r\nContent-Type: {said}\r\n\r\nTotal 5".encode())
    assert none.pages[0].text.endswith("\n\nTotal 5") and not none.attachments


@pytest.mark.parametrize("begins", [b"\r\n" * 900, b"<!-- " + b"saved from " * 300 + b"-->\n", b"<?xml?>\n<?style a?>"])
def test_documents_page_is_known_whatever_stands_before_it(begins: bytes) -> None:
    assert only(begins + b"<!DOCTYPE html><html><body><p>Total 5</p></body></html>") == "Total 5"


@pytest.mark.parametrize(
    "text", ["Invoice", "Invoices", "Invoice no 4711 of ACME", "<html><body><p>Total</p></body></html>"]
)
def test_documents_text_with_a_zero_in_it_is_not_of_wide_letters(text: str) -> None:
    for content in (text.encode() + b"\0", text[:5].encode() + b"\0" + text[5:].encode()):
        assert sniff(content).name == ("html" if "<" in text else "text")
        assert "".join(only(content).split("\0")).rstrip("\ufffd") in (text, "Total")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rb"{\rtf1\mac Gr\'9f\'a7e\par}", "Grüße"),
        (rb"{\rtf1\mac\ansicpg10000 Gr\'9f\'a7e\par}", "Grüße"),
        (rb"{\rtf1\mac\ansicpg10001 \'90\'bf\'8b\'81\par}", "請求"),
        (rb"{\rtf1\pc Gr\'81\'e1e\par}", "Grüße"),
        (rb"{\rtf1\pca Gr\'81\'e1e\par}", "Grüße"),
        (rb"{\rtf1\ansi\ansicpg65001 Gr\'c3\'bc\'c3\'9fe\par}", "Grüße"),
        (rb"{\rtf1\ansi\ansicpg0 Gr\'fc\'dfe\par}", "Grüße"),
        (rb"{\rtf1\ansi\ansicpg1251\'d1\'f7\par}", "Сч"),
        (rb"{\rtf1\ansi{\fonttbl{\f0\fcharset78 Osaka;}}\f0 \'90\'bf\'8b\'81\par}", "請求"),
        (rb"{\rtf1\ansi A{\shp{\*\shpinst\shpleft0{\sp{\sn a}{\sv 202}}{\shptxt Total\par}}{\shprslt{\*\do x}}}\par}",
         "A\nTotal"),
        (rb"{\rtf1 A{\shpgrp{\*\shpinst{\sp{\sn a}{\sv 1}}{\shp{\*\shpinst{\shptxt Total}}}}}{\*\shppict x}\par}",
         "A\nTotal"),
    ],
)  # fmt: skip
def test_documents_rtf_of_other_machines_and_in_boxes(content: bytes, said: str) -> None:
    assert only(content).strip() == said


def test_documents_opendocument_heads_of_all_pages() -> None:
    heads = "".join(
        f"<style:{kind}{which}><text:p>{kind}{which}</text:p></style:{kind}{which}>"
        for kind in ("header", "footer") for which in ("", "-left", "-first")
    )  # fmt: skip
    page = f"<office:document-styles {spaces()}><style:master-page>{heads}</style:master-page></office:document-styles>"
    found = only(make.odt_file("<text:p>Body</text:p>", extra={"styles.xml": page.encode()}))
    assert found.split("\n") == [
        "header", "header-left", "header-first", "Body", "footer", "footer-left", "footer-first"
    ]  # fmt: skip


def spaces() -> str:
    return " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "style")
    )


@pytest.mark.parametrize("kind", ["text", "spreadsheet", "presentation"])
def test_documents_opendocument_charts_and_formulas_are_read_where_they_stand(kind: str) -> None:
    chart = (
        f"<office:document-content {spaces()} {SPACES}><office:body><office:chart><chart:chart><chart:title><text:p>"
        "Sales</text:p></chart:title><table:table><table:table-row><table:table-cell><text:p>May</text:p></table:table-cell>"
        "<table:table-cell><text:p>5</text:p></table:table-cell></table:table-row></table:table></chart:chart>"
        "</office:chart></office:body></office:document-content>"
    )
    math = '<math xmlns="http://www.w3.org/1998/Math/MathML"><semantics><mi>E</mi>%s</semantics></math>'
    body = "<text:p>A" + "".join(
        f'<draw:frame><draw:object xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="./{name}"/></draw:frame>'
        for name in ("Object 1", "Object 2", "Object 3", "Object 4")
    ) + "</text:p><text:p>B</text:p>"  # fmt: skip
    found = only_of(make.odt_file(body, kind, {
        "Object 1/content.xml": chart.encode(),
        "Object 2/content.xml": (math % '<annotation encoding="StarMath 5.0">E = m c^2</annotation>').encode(),
        "Object 3/content.xml": (math % "<mo>=</mo><mi>m</mi>").encode(),
        "Object 4": b"an older file",
    }))  # fmt: skip
    assert found.pages[0].text.split("\n") == ["A", "Sales", "May | 5", "E = m c^2", "E = m", "B"]
    assert found.warnings == ["1 embedded file not read"]


def only_of(content: bytes) -> Extracted:
    found = read(content)
    assert len(found.pages) == 1
    return found


def test_documents_page_shows_one_option_of_a_closed_list() -> None:
    options = "<option>One<option{}>Two<option>Three"
    for list_of, chosen, said in (
        ("<select>", "", ["One"]), ("<select>", " selected", ["Two"]), ("<select size=1>", " selected", ["Two"]),
        ("<select multiple>", " selected", ["One", "Two", "Three"]), ("<select size=3>", "", ["One", "Two", "Three"]),
    ):  # fmt: skip
        page = f"<html><body>Kind {list_of}{options.format(chosen)}</select> Total<select></select></body></html>"
        assert only(page.encode()).split() == ["Kind", *said, "Total"]
    many = "<option>x" * 100_000
    assert only(f"<html><body><select>{many}</select></body></html>".encode()) == "x"


def test_documents_csv_whose_separator_is_named_in_quotes() -> None:
    assert only(b'"sep=;"\r\na,b;c\r\n', "text/csv") == "a,b | c"


def test_documents_office_files_that_are_cut_short_are_damaged_and_no_archives() -> None:
    whole = (make.docx_file(["x" * 999]), make.xlsx_file({"A": [["x"]]}), make.pptx_file([("T", "B", "N")]),
             make.odt_file("<text:p>x</text:p>"))  # fmt: skip
    for content in whole:
        for kept in (len(content) * 2 // 3, len(content) - 30):
            with pytest.raises(DocumentError) as caught:
                read(content[:kept], filename="a.docx")
            assert caught.value.code == "file_damaged" and "again" in caught.value.message
    with pytest.raises(DocumentError, match="ZIP"):
        read(make.zipped({"a.txt": b"x" * 999})[:-30])


def test_documents_docx_ticks_of_forms_stamps_and_parts_of_a_header() -> None:
    w, v = "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "urn:schemas-microsoft-com:vml"
    box = "<w:r><w:fldChar><w:ffData><w:checkBox>%s</w:checkBox></w:ffData></w:fldChar></w:r>"
    pieces = [
        "<w:r><w:t>A</w:t><w:ptab/><w:t>B</w:t></w:r>",
        *(f'<w:r><w:sym w:font="Wingdings" w:char="{code}"/></w:r>' for code in ("F0FE", "f0a8", "F04A")),
        '<w:r><w:sym w:font="Symbol" w:char="F0FE"/></w:r>',
        box % "<w:checked/>", box % '<w:default/><w:checked w:val="0"/>', box % "<w:default/>", box % "",
        '<w:r><w:pict><v:shape><v:textpath string="PAID"/></v:shape></w:pict></w:r>',
    ]  # fmt: skip
    body = f'<w:document xmlns:w="{w}" xmlns:v="{v}"><w:body><w:p>{"".join(pieces)}</w:p></w:body></w:document>'
    found = only(make.zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": body.encode()}))
    assert found == "A\tB☑☐☒☐☒☐ PAID "
