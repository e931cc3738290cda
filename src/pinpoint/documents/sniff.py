"""The true type of a file, told from its bytes; what its sender declares is held against it.

Bytes that begin two types at once are refused: what one reader takes for an invoice, another takes for an archive, and
a check that read the one says nothing of the other. Among types of plain text the bytes do not tell which it is: there
the declared type decides, then the name, then what it looks like.
"""

from __future__ import annotations

import re

from pinpoint.documents.archive import member_names
from pinpoint.documents.file_types import FILE_TYPES, UNDECLARED, FileType, declared_type, extension, is_plain_text
from pinpoint.documents.visible import printable
from pinpoint.documents.wide import wide_letters
from pinpoint.errors import DocumentError

_HEAD_BYTES = 1024  # within which readers of PDF look for its mark
# Within which a text says what it is: servers put their headers before those of a mail, editors comments before a page.
_WRITTEN_BYTES = 65_536
_PDF = b"%PDF-"
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_END_OF_ZIP = b"PK\x05\x06"
_END_OF_ZIP_BYTES, _ZIP_COMMENT_BYTES = 22, 65_535

_MARKS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"{\\rtf", "rtf"),
)
# Known, and not read; named so that the sender knows what came.
_UNREAD = (
    (b"\x78\x9f\x3e\x22", "a mail in Outlook's own format (winmail.dat)"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"8BPS", "a Photoshop picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"AT&TFORM", "DjVu"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound"),
    (b"\x1aE\xdf\xa3", "a film"),
    (b"PAR1", "a Parquet table"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"%!PS", "PostScript"),
    (b"\0\0\1\0", "an icon"),
    (b"SQLite format 3\0", "a database"),
)
_SIGNED, _SIGNED_DATA = b"0", b"\x06\x09*\x86H\x86\xf7\r\x01\x07\x02"  # a sequence; signedData of PKCS #7
_FLAT = re.compile(rb"""\s*<\?xml[^>]*>\s*<office:document\s[^>]{0,9000}?office:mimetype=["']([\w./+-]+)["']""")
_HTML = re.compile(
    rb"\s*(?:(?:<!--(?:(?!-->).)*-->|<\?(?:(?!\?>).)*\?>)\s*)*<(?:!\s*doctype\s+html|html|head|body)\b", re.I | re.S
)
_HEADER = re.compile(rb"(?:From |(?:[!-9;-~]+:[ \t]?[^\r\n]*\r?\n(?:[ \t]+[^\r\n]*\r?\n)*))")
# Of mails alone, and of all letters: memos and forms begin with those as well, and nothing of them may be passed over.
_MAIL_FIELDS = re.compile(
    rb"^(?:received|return-path|delivered-to|mime-version|message-id|content-type|content-transfer-encoding|x-mailer|"
    rb"dkim-signature|arc-seal|thread-index|in-reply-to|references):", re.I | re.M
)  # fmt: skip
_ENCODED_WORD = re.compile(rb"=\?[!->@-~]{1,40}\?[bBqQ]\?[!->@-~]*\?=")  # as no letter has them
_LETTER_FIELDS = re.compile(rb"^(?:from|subject|date|to):", re.I | re.M)
_OOXML_FOLDERS = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"))
_OOXML_MEMBER = re.compile(rb"PK\x03\x04.{26}(?:word/|xl/|ppt/|docProps/|_rels/|\[Content_Types\])", re.S)
_ODF = ("odt", "ods", "odp")
_ODF_MARK = b"mimetypeapplication/vnd.oasis.opendocument."
_MSG_MARK = "__properties_version1.0".encode("utf-16-le")


def sniff(content: bytes, mime: str = "", filename: str = "") -> FileType:
    """Return the type of a file.

    Args:
        content: all of it.
        mime: what it is declared as, parameters included; may be empty.
        filename: its name; may be empty.

    Raises:
        DocumentError: `empty_file`, `ambiguous_type`, `mime_mismatch`, `unsupported_type`, `file_encrypted`.
    """
    if not content:
        raise DocumentError("empty_file", "the file has no bytes")
    declared = declared_type(mime)
    found = _binary(content)
    if found is None:
        found = _text(content, declared, extension(filename))
    # OpenDocument in one file of XML is no archive.
    written = (found.name == "text" or (found.name in _ODF and not content.startswith(_ZIP))) and is_plain_text(
        declared
    )
    if declared not in UNDECLARED and not found.answers_to(declared) and not written:
        raise DocumentError(
            "mime_mismatch",
            f"declared as {printable(declared)}, and its bytes are {found.mime}; correct `mime`, or leave it out",
        )
    return found


def _binary(content: bytes) -> FileType | None:
    """The type of which there is a mark, or None where there is none."""
    head = content[:_HEAD_BYTES]
    found = [name for mark, name in _MARKS if head.startswith(mark)]
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        found.append("webp")
    starts_as_zip = head.startswith(_ZIP)
    if starts_as_zip:
        found.append("zip")
    if head.startswith(_OLE):
        found.append("ole")
    if _PDF in head and not _looks_like_text(head[: head.index(_PDF)]):
        found.append("pdf")
    if found and not starts_as_zip and _ends_as_zip(content):
        found.append("zip")
    if "pdf" in found and _HTML.match(head):
        found.append("html")
    if found == ["pdf"]:
        found += [name for mark, name in _UNREAD if len(mark) > 3 and head.startswith(mark)]
    if len(found) > 1:
        raise DocumentError(
            "ambiguous_type",
            f"the bytes are {' and '.join(found)} at once; send a file that is one thing",
        )
    if not found:
        return None
    return _zip(content) if found == ["zip"] else _ole(content) if found == ["ole"] else FILE_TYPES[found[0]]


def _looks_like_text(before: bytes) -> bool:
    """Whether a PDF's mark is only written about: there are words before it."""
    return len(re.findall(rb"[A-Za-z]{2,}", before)) > 5 and not _HTML.match(before) and b"\0" not in before


def _ends_as_zip(content: bytes) -> bool:
    """Whether a directory of an archive ends with the file, so that readers from behind find one."""
    tail = content[-(_END_OF_ZIP_BYTES + _ZIP_COMMENT_BYTES) :]
    place = tail.rfind(_END_OF_ZIP)
    if place < 0 or len(tail) - place < _END_OF_ZIP_BYTES:
        return False
    comment = int.from_bytes(tail[place + 20 : place + 22], "little")
    return len(tail) - place - _END_OF_ZIP_BYTES - comment in range(0, 3)  # a line end may have been added


def _zip(content: bytes) -> FileType:
    if _ODF_MARK in content[:_HEAD_BYTES]:
        for name in _ODF:
            if b"mimetype" + FILE_TYPES[name].mime.encode() in content[:_HEAD_BYTES]:
                return FILE_TYPES[name]
    names = member_names(content)
    if not names and _OOXML_MEMBER.search(content[:_WRITTEN_BYTES]):
        raise DocumentError("file_damaged", "an Office file that is cut short or damaged; send it again")
    if "xl/workbook.bin" in names:
        raise _unsupported("a binary workbook (XLSB)", "save it as XLSX")
    if "[Content_Types].xml" in names:
        for folder, name in _OOXML_FOLDERS:
            if any(member.startswith(folder) for member in names):
                return FILE_TYPES[name]
    raise _unsupported("an archive (ZIP)", "send what is in it, file by file")


def _ole(content: bytes) -> FileType:
    if _MSG_MARK in content:
        return FILE_TYPES["msg"]
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise DocumentError("file_encrypted", "an Office file that needs a password; send it without one")
    raise _unsupported("an Office file of before 2007", "save it as DOCX, XLSX or PPTX")


def _text(content: bytes, declared: str, end: str) -> FileType:
    """The type of a file without a mark."""
    head = content[:_HEAD_BYTES]
    if head[4:8] == b"ftyp":  # the family of MP4, in which telephones save pictures
        brands = head[8 : max(8, min(int.from_bytes(head[:4], "big"), 64))]
        if any(brand in brands for brand in (b"heic", b"heix", b"mif1", b"hevc", b"avif")):
            raise _unsupported("a HEIC or AVIF picture", "save it as JPEG")
        raise _unsupported("a film", "see the types that are read")
    if head.startswith(_SIGNED) and _SIGNED_DATA in head:
        raise _unsupported("a signed file (P7M)", "send what is in it")
    for mark, name in _UNREAD:
        if head.startswith(mark) and not (mark.isalnum() and b"\0" not in head and _mostly_text(head)):
            raise _unsupported(name, "see the types that are read")
    plain = content[:_WRITTEN_BYTES]
    wide = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else wide_letters(head)
    if wide:
        plain = plain[: len(plain) // 2 * 2].decode(wide, "ignore").encode("utf-8", "ignore")
    plain = plain.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(plain):
        return FILE_TYPES["html"]
    if b"<office:document" in plain and (flat := _FLAT.match(content.removeprefix(b"\xef\xbb\xbf")[:10_000])):
        for name in _ODF:
            if FILE_TYPES[name].mime == flat[1].decode():
                return FILE_TYPES[name]
    if not _mostly_text(plain[:_HEAD_BYTES]):
        raise _unsupported("of no known type", "see the types that are read")
    if not any(one.text and one.answers_to(declared) for one in FILE_TYPES.values()):
        said = declared == "message/rfc822" or end == "eml"
        if _is_mail(_headers(plain), said):
            return FILE_TYPES["eml"]
    for one in FILE_TYPES.values():
        if one.text and (one.answers_to(declared) or (declared in UNDECLARED and end in one.extensions)):
            return one
    return FILE_TYPES["text"]


def _is_mail(headers: bytes, said: bool) -> bool:
    """Whether a text begins with the headers of a mail; where it is said to be one, with any of them."""
    of_mails = {field.lower() for field in _MAIL_FIELDS.findall(headers)}
    fields = of_mails | {field.lower() for field in _LETTER_FIELDS.findall(headers)}
    return bool(fields) if said else len(fields) > 1 and bool(of_mails or _ENCODED_WORD.search(headers))


def _headers(head: bytes) -> bytes:
    """The run of header fields that a text begins with."""
    place = 0
    while match := _HEADER.match(head, place):
        if match.group().startswith(b"From ") and place:
            break
        place = head.find(b"\n", match.start()) + 1 if match.group() == b"From " else match.end()
        if not place:
            return head
    return head[:place]


def _mostly_text(head: bytes) -> bool:
    """Whether bytes may be text: few control characters, in one byte a character or, by their zeros, in two or four."""
    zeros = head.count(0)
    if zeros * 5 > len(head) * 4:  # three of four bytes are what UTF-32 has at most
        return False
    if zeros:
        even, odd = head[0::2].count(0), head[1::2].count(0)
        if min(even, odd) * 4 > max(even, odd) and zeros * 2 < len(head):
            return zeros * 50 < len(head)
        head = head.replace(b"\0", b"")
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\v\x1b\0" for byte in head)
    return controls * 20 <= len(head)


def _unsupported(what: str, remedy: str) -> DocumentError:
    return DocumentError("unsupported_type", f"the file is {what}, which is not read; {remedy}")
