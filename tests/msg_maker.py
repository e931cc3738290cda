"""Mails as Outlook saves them: a compound file ([MS-CFB]) of properties ([MS-OXMSG]), written out by hand.

There is no free writer of the format for Python, and this is less of it than its readers read.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

Tree = Mapping[str, "bytes | Tree"]

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_STRING, _BINARY, _TIME, _INT = 0x001F, 0x0102, 0x0040, 0x0003


def msg_file(
    subject: str = "Invoice 7",
    body: str = "Dear Bob",
    html: bytes = b"",
    attachments: Sequence[tuple[str, str, bytes]] = (),
) -> bytes:
    """A mail; an attachment is its name, its type and its bytes, and one without bytes is a mail inside."""
    values: list[tuple[int, int, bytes]] = [
        (0x0037, _STRING, _text(subject)), (0x1000, _STRING, _text(body)), (0x0C1A, _STRING, _text("Ann Sender")),
        (0x0C1F, _STRING, _text("ann@example.com")),
    ]  # fmt: skip
    if html:
        values.append((0x1013, _BINARY, html))
    tree: dict[str, bytes | Tree] = dict(_properties(values, struct.pack("<8x4I8x", 1, len(attachments), 1, 0)))
    bob = [(0x3001, _STRING, _text("Bob")), (0x39FE, _STRING, _text("bob@example.com"))]
    tree["__recip_version1.0_#00000000"] = _properties(bob, bytes(8))
    for number, (name, kind, content) in enumerate(attachments):
        inside = [(0x3707, _STRING, _text(name)), (0x370E, _STRING, _text(kind))]
        if content:
            inside.append((0x3701, _BINARY, content))
        tree[f"__attach_version1.0_#{number:08X}"] = _properties(inside, bytes(8))
    return compound_file(tree)


def _text(text: str) -> bytes:
    return text.encode("utf-16-le")


def _properties(values: Sequence[tuple[int, int, bytes]], head: bytes) -> Tree:
    """A stream for each value, and one that lists them."""
    rows = b"".join(struct.pack("<HHIII", kind, number, 6, len(value) + 2, 0) for number, kind, value in values)
    unicode = struct.pack("<HHIII", _INT, 0x340D, 6, 0x00040000, 0)
    streams: dict[str, bytes | Tree] = {f"__substg1.0_{number:04X}{kind:04X}": value for number, kind, value in values}
    return {"__properties_version1.0": head + unicode + rows, **streams}


def compound_file(tree: Tree) -> bytes:
    """A compound file of storages and streams."""
    entries = list[list[int | str | bytes]]()  # name, kind, right neighbour, first child, content

    def add(name: str, content: bytes | Tree) -> int:
        place = len(entries)
        entries.append([name, 2 if isinstance(content, bytes) else 1, _FREE, _FREE, b""])
        if isinstance(content, bytes):
            entries[place][4] = content
            return place
        before = _FREE
        for inner, what in content.items():
            child = add(inner, what)
            if before == _FREE:
                entries[place][3] = child
            else:
                entries[before][2] = child
            before = child
        return place

    add("Root Entry", tree)
    entries[0][1] = 5
    sectors, chains = list[bytes](), list[int]()  # content, and what follows

    def chain(content: bytes) -> int:
        if not content:
            return _END
        first, count = len(sectors), -(-len(content) // _SECTOR)
        sectors.extend(content[_SECTOR * n : _SECTOR * (n + 1)].ljust(_SECTOR, b"\0") for n in range(count))
        chains.extend([*range(first + 1, first + count), _END])
        return first

    mini, mini_chains, places = b"", list[int](), list[int]()
    for _, kind, _, _, content in entries:
        assert isinstance(content, bytes)
        if kind != 2 or not content:
            places.append(_END)
        elif len(content) >= _CUTOFF:
            places.append(chain(content))
        else:
            first, count = len(mini_chains), -(-len(content) // _MINI)
            mini += content.ljust(count * _MINI, b"\0")
            mini_chains += [*range(first + 1, first + count), _END]
            places.append(first)
    places[0] = chain(mini)
    directory = b"".join(
        _entry(str(name), int(kind), int(right), int(child), place, len(mini) if kind == 5 else len(content))  # type: ignore[arg-type]
        for (name, kind, right, child, content), place in zip(entries, places, strict=True)
    )
    directory_at = chain(directory + bytes(-len(directory) % _SECTOR))
    mini_fat_at = chain(b"".join(struct.pack("<I", one) for one in mini_chains).ljust(_SECTOR, b"\xff"))
    mini_fat_sectors = len(sectors) - mini_fat_at
    fat_sectors = 1
    while (len(sectors) + fat_sectors) * 4 > fat_sectors * _SECTOR:
        fat_sectors += 1
    fat_at = len(sectors)
    chains += [_FAT] * fat_sectors
    fat = b"".join(struct.pack("<I", one) for one in chains).ljust(fat_sectors * _SECTOR, b"\xff")
    head = struct.pack(
        "<8s16xHHHHH6xIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, fat_sectors,
        directory_at, 0, _CUTOFF, mini_fat_at, mini_fat_sectors, _END, 0, fat_at,
    )  # fmt: skip
    more = b"".join(struct.pack("<I", fat_at + number) for number in range(1, fat_sectors))
    return (head + more).ljust(_SECTOR, b"\xff") + b"".join(sectors) + fat


def _entry(name: str, kind: int, right: int, child: int, place: int, size: int) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(encoded), kind, 1, _FREE, right, child)
        + bytes(16 + 4 + 16)
        + struct.pack("<IQ", place, size)
    )
