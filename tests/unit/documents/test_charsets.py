"""Encodings by the names that mails and pages have for them, in texts, pages, mails and their headers."""

from __future__ import annotations

import base64

import pytest

from pinpoint.documents import charsets
from pinpoint.documents.extract import extract
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats.plain import decode
from pinpoint.errors import DocumentError

# What is written under a name: letters that the name, taken by the letter, does not have.
WRITTEN = [
    ("gb2312", "gbk", "发票 朱镕基 號碼"),
    ("x-gbk", "gb18030", "发票 𠀀"),
    ("ks_c_5601-1987", "cp949", "청구서 똠방각하"),
    ("euc-kr", "cp949", "청구서 똠방각하"),
    ("shift_jis", "cp932", "請求書①㈱"),
    ("windows-31j", "cp932", "請求書①㈱"),
    ("euc-jp", "euc_jis_2004", "請求書①㈱"),
    ("big5", "cp950", "發票 碁銹裏"),
    ("big5", "big5hkscs", "發票 啲嘢"),
    ("iso-8859-1", "cp1252", "“Total” 5 €"),
    ("iso-8859-9", "cp1254", "“Toplam” ş"),
    ("iso-8859-8-i", "iso8859-8", "שלום עולם"),
    ("windows-874", "cp874", "ใบแจ้งหนี้"),
    ("x-mac-roman", "mac_roman", "Café Ü"),
    ("x-cp1250", "cp1250", "Účet č. 7"),
    ("iso88592", "iso8859-2", "Účet č. 7"),
    ("cp-850", "cp850", "Grüße"),
    ("utf8mb4", "utf-8", "Grüße"),
]


def only(content: bytes, mime: str = "") -> str:
    (page,) = extract(content, mime, "", FileLimits()).pages
    return page.text


@pytest.mark.parametrize(("name", "codec", "text"), WRITTEN)
def test_charsets_mean_what_is_written_under_them(name: str, codec: str, text: str) -> None:
    content = text.encode(codec)
    head = f"From: a@example.com\nSubject: =?{name}?B?{base64.b64encode(content).decode()}?=\nMIME-Version: 1.0\n"
    mail = f"{head}Content-Type: text/plain; charset={name}\nContent-Transfer-Encoding: 8bit\n\n".encode() + content
    page = b"<html><head><meta charset='%s'></head><body>%s</body></html>" % (name.encode(), content)
    assert only(content, f"text/plain; charset={name.upper()}") == text
    assert only(page) == text
    read = only(mail).splitlines()
    assert read[-1] == text
    if codec != "cp950" and codec != "euc_jis_2004":  # of words in headers the likeliest codec alone is tried
        assert f"Subject: {text}" in read


def test_charsets_japanese_in_seven_bits_with_what_mail_programs_add() -> None:
    plain, more = "請求書 7".encode("iso2022_jp"), b"\x1b$B-!-j@A\x1b(B 7"
    assert charsets.decoded(plain, "iso-2022-jp") == "請求書 7"
    assert charsets.decoded(more, "ISO-2022-JP") == "①㈱請 7"
    assert decode(plain)[0] == "請求書 7"  # not declared: its bytes are ASCII, and its words are not


@pytest.mark.parametrize("name", ["unicode_escape", "raw-unicode-escape", "idna", "punycode", "rot13", "klingon", "x-"])
def test_charsets_of_python_alone_are_none(name: str) -> None:
    assert charsets.codecs_of(name) == ()
    with pytest.raises(DocumentError, match="not known"):
        only(rb"C:\u0041\new", f"text/plain; charset={name}")


def test_charsets_that_bytes_break_are_told_so_and_latin_ones_never_break() -> None:
    assert charsets.decoded(bytes(range(0x80, 0x100)), "latin1") == bytes(range(0x80, 0x100)).decode("latin-1")
    with pytest.raises(UnicodeDecodeError):
        charsets.decoded(b"\xff\xff", "gb2312")
