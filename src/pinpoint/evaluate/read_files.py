"""Files of labelled documents, read as the worker reads those of a job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pinpoint.api.request import Request
from pinpoint.documents.text import Document, File, RejectedDocument
from pinpoint.errors import DocumentError

Read = Callable[[Request], Request]


def read_with(reader: Any) -> Read:
    """What gives a request back with its files read, of a file reader whose way is asynchronous."""
    from pinpoint.pipeline.files import with_files_read

    return lambda request: asyncio.run(with_files_read(request, reader))


def read_files(
    named: Sequence[tuple[str, Path]], request: Request, read: Read, max_file_bytes: int
) -> list[Document | RejectedDocument | File]:
    """What files are, in their order; one that cannot be read is refused alone.

    Args:
        named: the name of each in messages, and where it is.
        request: with the options that files are read by; its own documents are left out.
        read: as `read_with` gives it.
        max_file_bytes: of a file; a larger one is refused unread.
    """
    files = tuple(_file(number, name, path, max_file_bytes) for number, (name, path) in enumerate(named))
    return list(read(replace(request, documents=files)).documents)


def _file(number: int, name: str, path: Path, max_file_bytes: int) -> File | RejectedDocument:
    try:
        size = path.stat().st_size
        if size > max_file_bytes:
            raise DocumentError("file_too_large", f"{size} bytes, at most {max_file_bytes}", name)
        return File(str(number), number, name, path.read_bytes(), filename=path.name)
    except OSError as error:
        refusal = DocumentError("file_damaged", f"cannot be read: {error.strerror}", name)
    except DocumentError as error:
        refusal = error
    return RejectedDocument(str(number), number, refusal.with_traceback(None))
