"""What is inside of a signed file or mail (P7M, signedData of RFC 5652): its content, as it was before it was signed.

Only the way to the content is walked; neither signatures nor certificates are looked at. Both encodings are in use:
DER, and BER with lengths that are not told and a content that is cut in pieces, as mail programs write it.
"""

from __future__ import annotations

import binascii
import re

_SEQUENCE, _OID, _OCTETS, _PIECES, _EXPLICIT = 0x30, 0x06, 0x04, 0x24, 0xA0
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_MOST_PIECES = 1_000_000
_HEADERS = re.compile(rb"\s*(?:content-type|mime-version|content-transfer-encoding|from|subject)\s*:", re.I)


def content(raw: bytes) -> bytes | None:
    """The content of signed data, or None where the bytes are none, or hold none."""
    if not raw.startswith(b"0"):
        try:  # the same in base64, perhaps between lines of dashes
            raw = binascii.a2b_base64(re.sub(rb"-----[^\n]*\n?", b"", raw))
        except binascii.Error:
            return None
    try:
        return _content(raw)
    except (IndexError, ValueError):
        return None


def is_part(inside: bytes) -> bool:
    """Whether the content is a part of a mail, with headers of its own."""
    return _HEADERS.match(inside[:1000]) is not None


def _content(raw: bytes) -> bytes | None:
    start, end = _opened(raw, 0, len(raw), _SEQUENCE)
    kind, inner, after = _element(raw, start, end)
    if kind != _OID or raw[inner:after] != _SIGNED_DATA:
        return None
    start, end = _opened(raw, after, end, _EXPLICIT)
    start, end = _opened(raw, start, end, _SEQUENCE)
    _, _, start = _element(raw, start, end)  # version
    _, _, start = _element(raw, start, end)  # digests
    start, end = _opened(raw, start, end, _SEQUENCE)
    _, _, start = _element(raw, start, end)  # type of content
    if start >= end:
        return None
    start, end = _opened(raw, start, end, _EXPLICIT)
    kind, inner, after = _element(raw, start, end)
    if kind == _OCTETS:
        return raw[inner:after]
    if kind != _PIECES:
        return None
    pieces = list[bytes]()
    while inner < after and raw[inner] == _OCTETS and len(pieces) < _MOST_PIECES:
        _, begin, inner = _element(raw, inner, after)
        pieces.append(raw[begin:inner])
    return b"".join(pieces)


def _opened(raw: bytes, place: int, end: int, kind: int) -> tuple[int, int]:
    found, start, after = _element(raw, place, end)
    if found != kind:
        raise ValueError
    return start, after


def _element(raw: bytes, place: int, end: int) -> tuple[int, int, int]:
    """Kind of the element at a place, where its content begins, and where it ends.

    One whose length is not told ends where what it is in does: whoever reads it stops at what is no piece of it.
    """
    kind, length, start = raw[place], raw[place + 1], place + 2
    if length == 0x80:
        return kind, start, end
    if length > 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(raw[start : start + count], "big"), start + count
    if start + length > end:
        raise ValueError
    return kind, start, start + length
