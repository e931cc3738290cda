"""TNEF, what Outlook packs the attachments of a mail in (`winmail.dat`): taken out of it again ([MS-OXTNEF]).

It is a list of attributes; those of attachments follow each other, and one that begins an attachment ends the one
before. Names beyond ASCII and mails in the mail lie in lists of properties, of which the long name alone is read.
"""

from __future__ import annotations

import struct

from pinpoint.documents.extracted import Attachment
from pinpoint.documents.visible import counted

TYPES = ("application/ms-tnef", "application/vnd.ms-tnef")
NAME = "winmail.dat"

_SIGNATURE = 0x223E9F78
_BEGINS, _TITLE, _DATA, _PROPERTIES, _BODY = 0x9002, 0x8010, 0x800F, 0x9005, 0x800C
_LONG_NAME = struct.pack("<HH", 0x001F, 0x3707)  # in UTF-16; the type before the number
_MOST_ATTRIBUTES = 10_000


def unpack(raw: bytes) -> tuple[list[Attachment], list[str]]:
    """The attachments in it, its text as the first where it has one, and what should be known of the rest."""
    if len(raw) < 6 or struct.unpack_from("<I", raw)[0] != _SIGNATURE:
        return [], ["an attachment in Outlook's own format is damaged, and was not read"]
    found, place, lost = list[tuple[str, bytes]](), 6, 0
    name, content = "", b""
    body = b""
    for _ in range(_MOST_ATTRIBUTES):
        if place + 9 > len(raw):
            break
        _, number, _, size = struct.unpack_from("<BHHI", raw, place)
        value, place = raw[place + 9 : place + 9 + size], place + 9 + size + 2
        if number == _BEGINS:
            if content:
                found.append((name, content))
            name, content = "", b""
        elif number == _TITLE:
            name = name or value.rstrip(b"\0").decode("cp1252", "replace")
        elif number == _DATA:
            content = value
        elif number == _PROPERTIES:
            name = _long_name(value) or name
            lost += not content
        elif number == _BODY:
            body = value.rstrip(b"\0")
    if content:
        found.append((name, content))
    attachments = [Attachment(body, "text/plain", "")] if body.strip() else []
    attachments += [Attachment(content, "", name) for name, content in found]
    return attachments, [f"{counted(lost, 'embedded file')} not read"] if lost else []


def _long_name(properties: bytes) -> str:
    place = properties.find(_LONG_NAME)
    if place < 0 or place + 12 > len(properties):
        return ""
    size = struct.unpack_from("<I", properties, place + 8)[0]
    return properties[place + 12 : place + 12 + min(size, 1000)].decode("utf-16-le", "ignore").rstrip("\0")
