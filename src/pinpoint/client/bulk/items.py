"""Where documents come from: files, folders, patterns, tables, prefixes of object stores; one by one, never all.

An item is an id and a way to read it, so that a run which goes on reads nothing of what is done.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pinpoint.client.bulk import paths, remote, tables
from pinpoint.client.documents import Document
from pinpoint.errors import DocumentError


@dataclass(frozen=True, slots=True)
class Item:
    """One document that is not read yet.

    Attributes:
        id: a file's path or a row's id.
        load: reads and encodes it; raises DocumentError.
        file: whether it is a file: named twice, it is the same document.
        far: whether loading it waits for somebody else, so that several are better loaded at a time.
    """

    id: str
    load: Callable[[], Document]
    file: bool = False
    far: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """How documents are read.

    Attributes:
        text, id: columns of tables; None where those of docs/bulk.md are looked for.
        attachments: of mails, as in docs/api.md.
        max_file_bytes: a larger file is refused without being read.
        own: beginnings of paths that are the run's own: its output may lie in the folder that it reads.
    """

    text: str | None = None
    id: str | None = None
    attachments: str = "pages"
    max_file_bytes: int = 20_000_000
    own: tuple[str, ...] = ()


def check(sources: Sequence[str], reading: Reading) -> None:
    """Raises PinpointError for a source that stands for nothing, lacks a column, or needs a library."""
    for source in sources:
        if remote.is_remote(source):
            remote.check()
        elif not paths.stands_for_something(source):
            raise paths.nothing(source)
        if tables.is_table(source):
            tables.check(source, tables.Columns(reading.text, reading.id))


def items(sources: Sequence[str], reading: Reading) -> Iterator[Item]:
    """The documents of all sources, in an order that is the same each time.

    Raises:
        PinpointError: a table or a folder that cannot be read at all.
    """
    for source in _alike(sources):
        if tables.is_table(source):
            columns = tables.Columns(reading.text, reading.id)
            for row in tables.rows(source, columns):
                yield Item(row.id, row.document)
        elif remote.is_remote(source):
            for file in remote.files(source):
                if file.name == source or not _is_own(file.name.removeprefix("file://"), reading):
                    load = _file_loader(file.name, file.size_bytes, file.read, reading)
                    yield Item(file.name, load, file=True, far=True)
        else:
            for path in paths.files(source):
                if path == source or not _is_own(path, reading):
                    yield _file(path, reading)


def _alike(sources: Sequence[str]) -> list[str]:
    """Two spellings of one place on this machine are one: its files are the same documents."""
    alike = iter(paths.spelled_alike([one for one in sources if not remote.is_remote(one)]))
    return [one if remote.is_remote(one) else next(alike) for one in sources]


def _is_own(path: str, reading: Reading) -> bool:
    return bool(reading.own) and os.path.abspath(path).startswith(reading.own)


def _file(path: str, reading: Reading) -> Item:
    def size_bytes() -> int:
        return os.stat(path).st_size

    def read() -> bytes:
        with open(path, "rb") as file:
            return file.read(reading.max_file_bytes + 1)  # not all that a device or a file that grows has

    return Item(path, _file_loader(path, size_bytes, read, reading), file=True)


def _file_loader(
    name: str, size_bytes: Callable[[], int], read: Callable[[], bytes], reading: Reading
) -> Callable[[], Document]:
    def load() -> Document:
        try:
            size = size_bytes()
            content = b"" if size > reading.max_file_bytes else read()
        except IsADirectoryError:  # what stands for a folder that could not be looked into
            raise DocumentError("unreadable_file", "the folder cannot be read") from None
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise DocumentError("unreadable_file", f"cannot be read: {why}") from None
        if (size := max(size, len(content))) > reading.max_file_bytes:
            raise DocumentError("file_too_large", f"{size} bytes, at most {reading.max_file_bytes} here")
        # A name that is not UTF-8 is no reason to refuse what is in the file.
        shown = os.path.basename(name).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Document.of_file(name, content, shown, reading.attachments)

    return load
