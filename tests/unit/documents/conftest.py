"""Reading processes that the tests of a folder share: each takes a fifth of a second to start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from pinpoint.documents.extracted import Extracted
from pinpoint.documents.fetch import Fetcher, FetchRules
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_reader import FileReader
from pinpoint.documents.sandbox import Pool
from pinpoint.documents.text import Document, File, RejectedDocument

LIMITS = FileLimits(
    wall_s=60,
    ocr_wall_s=300,
    ocr_s=300,
    cpu_s=15,
    memory_bytes=800_000_000,
    max_inflated_bytes=20_000_000,
    max_text_chars=1_000_000,
)

Read = Callable[..., list[Document | RejectedDocument]]


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    made = Pool("read", 2, LIMITS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def in_pool(pool: Pool) -> Callable[..., Extracted]:
    """Reads bytes in a reading process."""

    def read(content: bytes, mime: str = "", seconds: float = 60.0) -> Extracted:
        return asyncio.run(pool.call({"mime": mime, "filename": ""}, content, seconds))

    return read


@pytest.fixture(scope="session")
def reader() -> Iterator[FileReader]:
    made = FileReader(LIMITS, Fetcher(FetchRules()), "on", 2, 1)
    yield made
    made.close()


@pytest.fixture(scope="session")
def read_file(reader: FileReader) -> Read:
    """Reads a file as the worker does."""

    def read(content: bytes, **more: str) -> list[Document | RejectedDocument]:
        return asyncio.run(reader.read(File("7", 0, "documents[0].base64", content, **more)))  # type: ignore[arg-type]

    return read
