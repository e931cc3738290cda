"""The documents that answers are about: their text where the answers have it, else their file, read as for the answers.

Files are read, and their pages drawn, in the reading processes of `documents/sandbox.py`, never here.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_reader import FileReader
from pinpoint.documents.pictures import PICTURED
from pinpoint.documents.sandbox import Pool
from pinpoint.documents.text import Document, File, RejectedDocument, clean_pages
from pinpoint.errors import DocumentError
from pinpoint.review.items import Item

T = TypeVar("T")

KEPT = 8  # documents read lately: the one before, for an undo, and a few more
PICTURE_S = 20.0
PNG = b"\x89PNG\r\n\x1a\n"
_ATTACHMENT = re.compile(r"(.*)/(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Read:
    """A document's pages that are to be looked at.

    Attributes:
        pages: their text.
        first: number of the first of them.
        pictured: whether they can be drawn.
        content: the file, where they can.
        type: of it.
    """

    pages: tuple[str, ...]
    first: int = 0
    pictured: bool = False
    content: bytes = b""
    type: str = ""


class Documents:
    """Reads on an event loop of its own, so that any thread may ask."""

    def __init__(self, reader: FileReader, limits: FileLimits) -> None:
        """Start the loop, and no process yet."""
        self._reader, self._limits = reader, limits
        self._show = Pool("show", 1, limits)
        self._kept: OrderedDict[str, Read] = OrderedDict()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="review-files", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End processes and loop."""
        self._reader.close()
        self._show.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def read(self, item: Item) -> Read:
        """The pages of a document.

        Raises:
            DocumentError: its file is not there any more, or cannot be read.
        """
        if item.pages:
            return Read(*_chosen(_clean(item.pages), item))
        with self._lock:
            if (kept := self._kept.get(item.key)) is not None:
                self._kept.move_to_end(item.key)
                return kept
        read = self._run(self._read(item))
        with self._lock:
            self._kept[item.key] = read
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return read

    def picture(self, item: Item, page: int) -> bytes:
        """A page of a file as a PNG.

        Raises:
            DocumentError: it cannot be drawn.
        """
        read = self.read(item)
        if not read.pictured or not read.first <= page < read.first + len(read.pages):
            raise DocumentError("unsupported_type", "there is no picture of this page", item.key)
        found = self._run(self._show.call({"type": read.type, "page": page}, read.content, PICTURE_S))
        if not found.attachments or not found.attachments[0].content.startswith(PNG):
            raise DocumentError("parser_failed", "the process that drew the page gave no picture", item.key)
        return found.attachments[0].content

    async def _read(self, item: Item) -> Read:
        path, number = _path(item.file)
        try:
            if path.stat().st_size > self._limits.max_file_bytes:
                raise DocumentError("file_too_large", f"at most {self._limits.max_file_bytes} bytes are read", item.key)
            content = await asyncio.to_thread(path.read_bytes)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "no name of a file"
            raise DocumentError("file_damaged", f"the file cannot be read: {why}", item.key) from None
        asked = File("0", 0, item.key, content, filename=path.name, attachments="documents" if number else "pages")
        found = await self._reader.read(asked)
        document: Document | RejectedDocument = found[0]
        if number:
            if number >= len(found):
                raise DocumentError("file_damaged", "the mail has no such attachment", item.key)
            document = found[number]
        if isinstance(document, RejectedDocument):
            raise document.error
        kind = document.file.type if document.file is not None else ""
        pictured = not number and kind in PICTURED
        return Read(*_chosen(document.pages, item), pictured, content if pictured else b"", kind)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _clean(pages: tuple[str, ...]) -> tuple[str, ...]:
    """Pages as the model reads them, in whose characters evidence is told; such as were never answered as they are."""
    try:
        return clean_pages(pages)[0]
    except DocumentError:
        return pages


def _chosen(pages: tuple[str, ...], item: Item) -> tuple[tuple[str, ...], int]:
    """The pages to look at, and the number of the first."""
    if item.shown is None:
        return pages, 0
    first, last = item.shown
    return pages[first : last + 1], first


def _path(name: str) -> tuple[Path, int]:
    """The file, and the number of an attachment in it, 0 for the file itself."""
    found = _ATTACHMENT.fullmatch(name)
    try:
        if found is not None and not Path(name).exists() and Path(found[1]).is_file():
            return Path(found[1]), int(found[2])
    except (OSError, ValueError):  # too long, a NUL in it
        pass
    return Path(name), 0
