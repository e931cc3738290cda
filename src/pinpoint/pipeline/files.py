"""A request whose documents came as files, read: from then on it is a request like any other."""

from __future__ import annotations

from dataclasses import replace

from pinpoint.api.request import Request
from pinpoint.documents.file_reader import FileReader


async def with_files_read(request: Request, reader: FileReader) -> Request:
    """The request with a document, or a refusal, in the place of each file; attachments may have become documents."""
    return replace(request, documents=tuple(await reader.read_all(request.documents, request.options.first_pages)))
