"""EML: headers, body and attachments, read with Python's own email package."""

from __future__ import annotations

import binascii
import email
import email.policy
import platform
import re
from collections.abc import Iterator
from email.message import EmailMessage, Message

from pinpoint.documents import charsets
from pinpoint.documents.extracted import Attachment, Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import signed, tnef
from pinpoint.documents.formats.html import visible_text
from pinpoint.documents.formats.plain import decode
from pinpoint.errors import DocumentError

HEADERS = ("From", "To", "Cc", "Date", "Subject")
_SMALL_PICTURE_BYTES = 20_000  # that a text shows inline: a logo, a signature, a tracking dot
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
_SEALED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted")
# What a saved page or a letter in HTML brings along for whoever draws it.
_FOR_BROWSERS = ("text/css", "text/javascript", "application/javascript", "application/x-javascript", "font/woff",
                 "font/woff2", "application/font-woff")  # fmt: skip
_ENCODED_WORD = re.compile(rb"=\?([!->@-~]{1,40})\?([bBqQ])\?")  # of RFC 2047: =?CHARSET?B?…?=
_HEADERS_END = re.compile(rb"\n\r?\n|\r\r")
_NOT_BASE64 = re.compile("[^A-Za-z0-9+/=]+")
_PART_MARK = re.compile(rb"^--([^\s][^\r\n]{0,69}?)[ \t]*\r?\n[A-Za-z-]+:", re.M)
_HEADER_CHARS = 50_000
_MAX_PARTS = 1_000
_MAX_NESTING = 20  # of parts in parts; mails that are forwarded on and on reach ten


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """Headers and body as one page, and the attachments as they are.

    Raises:
        DocumentError: `nested_too_deep`, `too_many_attachments`.
    """
    message = email.message_from_bytes(_with_known_charsets(_with_utf8_headers(content)), policy=email.policy.default)
    parts = list(_parts(message, 0))
    text = [f"{name}: {value}" for name in HEADERS if (value := _header(message, name))]
    body, warnings = _body(parts)
    attachments = list[Attachment]()
    for part in parts:
        kind = part.get_content_type()
        if part is body or _is_alternative(part, body) or kind in _SIGNATURES or kind in _FOR_BROWSERS:
            continue
        raw, name = _bytes_of(part), part.get_filename() or ""
        if kind in _SEALED or name.lower().endswith(".p7m"):
            inside = signed.content(raw)
            if inside is None:
                warnings.append("an encrypted or sealed part was not read")
                continue
            warnings.append("a signature was not checked")
            raw = inside
            attachments.append(Attachment(raw, "message/rfc822" if signed.is_part(raw) else "", name[: -len(".p7m")]))
        elif kind in tnef.TYPES or name.lower() == tnef.NAME:
            found, more = tnef.unpack(raw)
            attachments += found
            warnings += more
        elif kind.startswith("image/") and not part.is_attachment() and len(raw) < _SMALL_PICTURE_BYTES:
            continue
        elif raw:
            attachments.append(Attachment(raw, _declared(part), name))
    if len(attachments) > limits.max_attachments:
        raise DocumentError(
            "too_many_attachments", f"{len(attachments)} attachments, at most {limits.max_attachments} are read"
        )
    if body is not None:
        shown, more = _text_of(body)
        text += ["", shown]
        warnings += more
    return Extracted("eml", f"email of Python {platform.python_version()}", [Page("\n".join(text))], warnings,
                     attachments)  # fmt: skip


def _with_utf8_headers(content: bytes) -> bytes:
    """The mail with headers in UTF-8 that are written in a byte a letter, which no standard allows and many do."""
    end = _HEADERS_END.search(content)
    head = content[: end.start()] if end else content
    try:
        head.decode("utf-8")
        return content
    except UnicodeDecodeError:
        pass
    try:
        return decode(head)[0].encode("utf-8") + content[len(head) :]
    except DocumentError:  # letters of no encoding, which are shown as marks
        return content


def _with_known_charsets(content: bytes) -> bytes:
    """The mail with encodings of words in its headers by the names under which Python decodes all that is meant."""
    end = _HEADERS_END.search(content)
    head = content[: end.start()] if end else content
    return _ENCODED_WORD.sub(_by_known_name, head) + content[len(head) :]


def _by_known_name(word: re.Match[bytes]) -> bytes:
    known = charsets.codecs_of(word[1].decode("ascii"))
    name = {"iso2022_jp": "iso2022_jp_ext"}.get(known[0], known[0]) if known else "unknown-8bit"
    return b"=?%s?%s?" % (name.encode("ascii"), word[2])


def _parts(message: Message, depth: int) -> Iterator[EmailMessage]:
    """The leaves of a message; a message in it is one of them."""
    if depth > _MAX_NESTING:
        raise DocumentError("nested_too_deep", f"parts in parts, more than {_MAX_NESTING} deep")
    assert isinstance(message, EmailMessage)
    if depth and message.get_content_type() == "message/rfc822":
        yield message
    elif message.is_multipart():
        for number, part in enumerate(message.iter_parts()):
            if number > _MAX_PARTS:
                raise DocumentError("too_many_attachments", f"more than {_MAX_PARTS} parts in the mail")
            yield from _parts(part, depth + 1)
    elif message.get_content_maintype() == "multipart":
        again = _taken_apart(message)
        if again.is_multipart():
            yield from _parts(again, depth + 1)
        else:
            yield again
    else:
        yield message


def _taken_apart(message: EmailMessage) -> EmailMessage:
    """A message of parts that lie between other marks than it says, by those; as text where there are none."""
    payload = message.get_payload()
    written = payload.encode("ascii", "surrogateescape") if isinstance(payload, str) else b""
    mark = _PART_MARK.search(written)
    kind = b'multipart/mixed; boundary="%s"' % mark[1].replace(b'"', b"") if mark else b"text/plain"
    return email.message_from_bytes(b"Content-Type: %s\n\n%s" % (kind, written), policy=email.policy.default)


def _body(parts: list[EmailMessage]) -> tuple[EmailMessage | None, list[str]]:
    """The part to read as the body: plain text, unless there is none worth the name and HTML is."""
    plain = next((part for part in parts if part.get_content_type() == "text/plain" and not _is_file(part)), None)
    html = next((part for part in parts if part.get_content_type() == "text/html" and not _is_file(part)), None)
    if plain is None or html is None:
        return (html if plain is None else plain), []
    in_plain, in_html = _text_of(plain)[0], _text_of(html)[0]
    # A plain part that only says "see the HTML" is common, and so are plain parts that lost a table.
    return (html if len(in_plain.split()) * 2 < len(in_html.split()) else plain), []


def _is_alternative(part: EmailMessage, body: EmailMessage | None) -> bool:
    """Whether a part is the body once more in another type."""
    return body is not None and part.get_content_type() in ("text/plain", "text/html") and not _is_file(part) and (
        part.get_content_type() != body.get_content_type()
    )  # fmt: skip


def _is_file(part: EmailMessage) -> bool:
    return part.is_attachment() or bool(part.get_filename())


def _text_of(part: EmailMessage) -> tuple[str, list[str]]:
    raw = _bytes_of(part)
    charset = part.get_content_charset() or ""
    try:
        text = charsets.decoded(raw, charset) if charset else decode(raw)[0]
    except (LookupError, UnicodeDecodeError):
        text = decode(raw)[0]
    return visible_text(text) if part.get_content_type() == "text/html" else (text, [])


def _bytes_of(part: EmailMessage) -> bytes:
    if part.get_content_type() == "message/rfc822":
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        if isinstance(first, Message) and _is_base64(part):  # which no standard allows of a mail in a mail
            return _unpacked(first.as_string(), b"")
        return first.as_bytes(policy=email.policy.compat32) if isinstance(first, Message) else b""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return b""
    if _is_base64(part):
        return _unpacked(part.get_payload(), payload)
    return payload


def _is_base64(part: EmailMessage) -> bool:
    return _header(part, "content-transfer-encoding").lower() == "base64"


def _unpacked(written: object, payload: bytes) -> bytes:
    """What base64 holds that was cut off or damaged on its way: as much as is whole."""
    if not isinstance(written, str):
        return payload
    letters = _NOT_BASE64.sub("", written).rstrip("=")
    if len(letters) % 4 == 1 or letters.startswith(payload[:40].decode("ascii", "replace").strip()):
        letters = letters[: len(letters) // 4 * 4 + (len(letters) % 4) * (len(letters) % 4 > 1)]
        return binascii.a2b_base64(letters + "=" * (-len(letters) % 4))
    return payload


def _declared(part: EmailMessage) -> str:
    charset = part.get_content_charset()
    return part.get_content_type() + (f"; charset={charset}" if charset else "")


def _header(message: Message, name: str) -> str:
    raw = next((str(value) for key, value in message.raw_items() if key.lower() == name.lower()), "")
    if len(raw) > _HEADER_CHARS:  # taking apart a list of all who got it would take longer than the rest
        return " ".join(raw[:_HEADER_CHARS].split())
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, IndexError, AttributeError, TypeError):  # of a header that its parser cannot take apart
        return ""
