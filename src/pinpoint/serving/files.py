"""The file reader of this worker, as its settings want it."""

from __future__ import annotations

from pinpoint.documents.fetch import Fetcher, FetchRules
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_reader import FileReader
from pinpoint.settings import Settings


def file_limits(settings: Settings) -> FileLimits:
    """What one file may take."""
    return FileLimits(
        max_file_bytes=settings.max_file_bytes,
        wall_s=settings.file_s,
        cpu_s=max(1, round(settings.file_s)),
        ocr_pages=settings.ocr_pages,
        ocr_s=settings.ocr_s,
    )


def file_reader(settings: Settings) -> FileReader:
    """A reader that has started nothing yet; its processes start with the first file."""
    rules = FetchRules(
        hosts=tuple(host.strip().lower() for host in settings.url_allowlist.split(",") if host.strip()),
        allow_http=settings.url_allow_http,
        max_bytes=settings.max_file_bytes,
        deadline_s=settings.fetch_s,
    )
    return FileReader(
        file_limits(settings), Fetcher(rules), settings.ocr, settings.file_processes, settings.ocr_processes
    )
