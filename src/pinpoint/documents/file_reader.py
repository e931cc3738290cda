"""A file that was sent, or an address of one, to documents of clean text.

    address ── fetch ──┐
    bytes ─────────────┴── reading process ── pages ──┬── pages that are pictures ── recognising processes
                                                      └── attachments, each a file again

Everything that touches the bytes happens in other processes (`sandbox`); here is awaited, counted and put together.
A file that cannot be read is a document that is refused, and never more than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pinpoint.documents.extracted import Attachment, Extracted, Page
from pinpoint.documents.fetch import Fetcher
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_types import MAILS
from pinpoint.documents.recognise import INSTALL, is_installed
from pinpoint.documents.sandbox import Pool
from pinpoint.documents.suspicious import suspicious
from pinpoint.documents.text import Document, File, FileFacts, RejectedDocument, clean_pages
from pinpoint.documents.visible import counted, printable
from pinpoint.errors import DocumentError

NAME_CHARS = 120
MAX_WARNINGS = 30


class FileReader:
    """Reads files. One for a worker: its processes are shared by all jobs."""

    def __init__(
        self,
        limits: FileLimits,
        fetcher: Fetcher,
        ocr: Literal["on", "off"],
        processes: int,
        ocr_processes: int,
    ) -> None:
        """Start nothing yet."""
        self._limits = limits
        self._fetcher = fetcher
        self._ocr = ocr
        self._read = Pool("read", processes, limits)
        self._recognise = Pool("recognise", ocr_processes, limits)

    def close(self) -> None:
        """End the processes that wait."""
        self._read.close()
        self._recognise.close()

    async def read_all(
        self, documents: Sequence[Document | RejectedDocument | File], first_pages: int | None = None
    ) -> list[Document | RejectedDocument]:
        """All documents in their order, the files among them read, and attachments behind the mail that they came in.

        `first_pages` are all that will be looked at: no picture behind them is recognised.

        Of one job, one process fewer works at a time than there are, so that another job's file finds one.
        """
        turns = asyncio.Semaphore(max(1, self._read.size - 1))

        async def one(document: Document | RejectedDocument | File) -> list[Document | RejectedDocument]:
            if not isinstance(document, File):
                return [document]
            async with turns:
                return await self.read(document, first_pages)

        read = await asyncio.gather(*map(one, documents))
        return _with_own_ids([document for documents in read for document in documents])

    async def read(self, file: File, first_pages: int | None = None) -> list[Document | RejectedDocument]:
        """The document that a file is, and those of its attachments where they are asked for."""
        try:
            content, name, hint = file.content, file.filename, ""
            if file.url:
                fetched = await self._fetcher.file_at(file.url)
                content, name, hint = fetched.content, name or fetched.name, fetched.mime
            if len(content) > self._limits.max_file_bytes:
                raise DocumentError("file_too_large", f"{len(content)} bytes, at most {self._limits.max_file_bytes}")
            whole, attached = await self._whole(content, file.mime, name, hint, first_pages)
        except DocumentError as error:
            return [_rejected(file, file.id, error)]
        parts = list[_Part]()
        if file.attachments == "none":
            if attached:
                whole.warnings.append(f"{counted(len(attached), 'attachment')} not read")
        else:
            await self._attachments(attached, 1, parts, whole.warnings, first_pages)
        if file.attachments == "pages":
            for number, (_, part) in enumerate(parts, 1):
                whole.take(number, part)
            parts = []
        documents = [await asyncio.to_thread(_document, file, file.id, whole)]
        for number, (name, part) in enumerate(parts, 1):
            identity = f"{file.id}/{number}"
            if isinstance(part, DocumentError):
                documents.append(_rejected(file, identity, part))
            else:
                documents.append(await asyncio.to_thread(_document, file, identity, part, name))
        return documents

    async def _attachments(
        self,
        found: Sequence[Attachment],
        depth: int,
        parts: list[_Part],
        warnings: list[str],
        first_pages: int | None,
    ) -> None:
        """Read attachments and those in them, in their order."""
        for number, one in enumerate(found):
            if depth > self._limits.max_depth or len(parts) >= self._limits.max_attachments:
                why = "too deep" if depth > self._limits.max_depth else "too many"
                warnings.append(f"{counted(len(found) - number, 'attachment')} not read: {why}")
                return
            name = printable(one.name, NAME_CHARS)
            try:
                # What a mail says of its parts is no claim of the caller's: it helps where it fits.
                whole, attached = await self._whole(one.content, "", one.name, one.mime, first_pages)
            except DocumentError as error:
                parts.append((name, error.with_traceback(None)))
                continue
            parts.append((name, whole))
            await self._attachments(attached, depth + 1, parts, whole.warnings, first_pages)

    async def _whole(
        self, content: bytes, mime: str, name: str, hint: str, first_pages: int | None
    ) -> tuple[_Whole, Sequence[Attachment]]:
        """What is in one file, its pictures recognised, and what is attached to it."""
        if not mime and hint.startswith(("text/", "message/")):
            try:
                extracted = await self._extracted(content, hint, name)
            except DocumentError as error:
                if error.code not in ("mime_mismatch", "invalid_encoding"):
                    raise
                extracted = await self._extracted(content, "", name)
        else:
            extracted = await self._extracted(content, mime, name)
        whole = _Whole(extracted.type, [extracted.extractor], list(extracted.pages), list(extracted.warnings))
        await self._recognised(whole, content, first_pages)
        if extracted.type in MAILS:
            return whole, extracted.attachments
        await self._pasted(whole, extracted.attachments, first_pages)
        return whole, ()

    async def _pasted(self, whole: _Whole, pictures: Sequence[Attachment], first_pages: int | None) -> None:
        """The pictures that a file has in place of text become pages of it."""
        own, failed = [page for page in whole.pages if page.text.strip()], list[DocumentError]()
        ends_s = asyncio.get_running_loop().time() + self._limits.ocr_s
        for number, one in enumerate(pictures, 1):
            if asyncio.get_running_loop().time() > ends_s:
                whole.warnings.append(f"{counted(len(pictures) - number + 1, 'picture')} not read: file_timeout")
                break
            try:
                part, _ = await self._whole(one.content, "", one.name, "", first_pages)
                own += part.pages
                for extractor in part.extractors:
                    whole.note(extractor)
            except DocumentError as error:
                failed.append(error)
                whole.warnings.append(f"picture {number} was not read: {error.code}")
        if failed and not own:
            raise failed[0]
        if pictures:
            whole.pages = own

    async def _extracted(self, content: bytes, mime: str, name: str) -> Extracted:
        return await self._read.call({"mime": mime, "filename": name}, content, self._limits.wall_s)

    async def _recognised(self, whole: _Whole, content: bytes, first_pages: int | None) -> None:
        """Read the pages that are pictures, as many and as long as one file may take."""
        scanned = [number for number, page in enumerate(whole.pages[:first_pages]) if page.scanned]
        if not scanned:
            return
        if self._ocr == "off" or not is_installed():
            why = "it is switched off (PINPOINT_OCR)" if self._ocr == "off" else f"it is not installed: {INSTALL}"
            if all(page.source == "none" for page in whole.pages):
                raise DocumentError("needs_ocr", f"its pages are pictures; reading them takes OCR, and {why}")
            whole.warnings.append(f"{counted(len(scanned), 'page')} in pictures not read: it takes OCR, and {why}")
            return
        read = scanned[: self._limits.ocr_pages]
        turns = asyncio.Semaphore(max(1, self._recognise.size - 1))
        ends_s = asyncio.get_running_loop().time() + self._limits.ocr_s

        async def one(number: int) -> Page | DocumentError:
            async with turns:
                left_s = ends_s - asyncio.get_running_loop().time()
                if left_s <= 0:
                    return DocumentError("file_timeout", f"OCR of the file takes more than {self._limits.ocr_s:g} s")
                asked = {"type": whole.type, "page": number}
                try:
                    found = await self._recognise.call(asked, content, min(left_s, self._limits.ocr_wall_s))
                except DocumentError as error:
                    return error
                whole.note(found.extractor)
                return found.pages[0]

        pages = await asyncio.gather(*map(one, read))
        failed = [page for page in pages if isinstance(page, DocumentError)]
        if len(failed) == len(whole.pages):
            raise failed[0]
        for number, page in zip(read, pages, strict=True):
            # What a scan's page says in letters of its own, a page number, is on its picture as well.
            if isinstance(page, Page) and len(page.text) > len(whole.pages[number].text):
                whole.pages[number] = page
        if failed:
            whole.warnings.append(f"{counted(len(failed), 'page')} in pictures not read: {failed[0].code}")
        if len(read) < len(scanned):
            whole.warnings.append(
                f"{counted(len(scanned) - len(read), 'page')} in pictures not read: at most {len(read)} of a file are"
            )


@dataclass(slots=True)
class _Whole:
    """What is put together for one document."""

    type: str
    extractors: list[str]
    pages: list[Page]
    warnings: list[str]

    def note(self, extractor: str) -> None:
        """Something had a part in reading it."""
        if extractor not in self.extractors:
            self.extractors.append(extractor)

    def take(self, number: int, part: _Whole | DocumentError) -> None:
        """An attachment's pages become pages of this document."""
        if isinstance(part, DocumentError):
            self.warnings.append(f"attachment {number} was not read: {part.code}")
            return
        self.pages += part.pages
        self.warnings += [f"attachment {number}: {warning}" for warning in part.warnings]
        for extractor in part.extractors:
            self.note(extractor)


_Part = tuple[str, _Whole | DocumentError]


def _document(file: File, identity: str, whole: _Whole, name: str = "") -> Document | RejectedDocument:
    try:
        pages, removed = clean_pages([page.text for page in whole.pages], file.field)
    except DocumentError as error:
        if error.code == "empty_text":
            error = DocumentError("empty_text", "there is nothing to read in the file")
        return _rejected(file, identity, error)
    scores = [page.confidence for page in whole.pages if page.confidence is not None]
    facts = FileFacts(
        type=whole.type,
        text_source=tuple(page.source for page in whole.pages),
        ocr_confidence=tuple(page.confidence for page in whole.pages) if scores else (),
        attachment=name,
    )
    warnings = (*whole.warnings, *removed, *suspicious(pages))
    return Document(
        identity, file.index, pages, " + ".join(whole.extractors), warnings[:MAX_WARNINGS], file.field, facts
    )


def _rejected(file: File, identity: str, error: DocumentError) -> RejectedDocument:
    """The refusal, with the field that the file came in where it names none itself."""
    error.field = error.field or file.field
    return RejectedDocument(identity, file.index, error.with_traceback(None))


def _with_own_ids(documents: list[Document | RejectedDocument]) -> list[Document | RejectedDocument]:
    """Each document with an id that no other has: a caller may have given the very id that an attachment gets."""
    seen = set[str]()
    own = list[Document | RejectedDocument]()
    for document in documents:
        identity = document.id
        while identity in seen:
            identity += "'"
        seen.add(identity)
        own.append(document if identity == document.id else replace(document, id=identity))
    return own
