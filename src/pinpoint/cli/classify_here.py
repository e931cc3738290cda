"""Files classified by a model in this process: the next ones are read while those before are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pinpoint.api.request import Request
from pinpoint.cli.rows import Row
from pinpoint.cli.taught import load_taught, say_what_counts
from pinpoint.client.bulk.paths import files, nothing
from pinpoint.documents.text import File
from pinpoint.errors import DocumentError, PinpointError

if TYPE_CHECKING:
    from pinpoint.pipeline.classify import Find
    from pinpoint.pipeline.engine_protocol import Engine
    from pinpoint.settings import Settings

JOB_FILES = 16  # read while those before are classified: enough to fill passes, few enough for the bar to move
JOB_BYTES = 50_000_000
MOST_FILES = 100_000


def found_files(names: Sequence[str]) -> list[Path]:
    """The files that are named, those in folders and those that patterns stand for, each once and in order.

    Raises:
        PinpointError: `unreadable_file`, a name that stands for none, or too many of them.
    """
    found = dict[Path, None]()
    for name in names:
        inside = [Path(path) for path in files(name)]
        if not inside:
            raise nothing(name)
        found.update(dict.fromkeys(inside))
    if len(found) > MOST_FILES:
        raise PinpointError("unreadable_file", f"{len(found)} files, at most {MOST_FILES} at a time", "FILES")
    return list(found)


async def classified(
    paths: Sequence[Path], request: Request, attachments: str, settings: Settings, *, progress: bool
) -> list[Row]:
    """What each file is, in their order; `request` asks about a document that stands for each of them.

    Raises:
        PinpointError: the model cannot be loaded. A file that cannot be read has a row that says so.
    """
    from pinpoint.serving.model import get_scorer

    engine = await asyncio.to_thread(get_scorer, settings)
    taught = await asyncio.to_thread(load_taught, settings, engine)
    say_what_counts(taught, request.tasks, request.options)
    console = Console(stderr=True)
    columns = (TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rows = list[Row]()
    with Progress(*columns, console=console, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task("classifying", total=len(paths))
        async for members, read in _read(list(_jobs(paths)), request, attachments, settings):
            rows += await asyncio.to_thread(_answers, members, read, engine, taught.find)
            bar.advance(task, len(members))
    return rows


def _jobs(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Neighbours, as many as are worth reading ahead."""
    members, size = list[Path](), 0
    for path in paths:
        if members and (len(members) == JOB_FILES or size > JOB_BYTES):
            yield members
            members, size = [], 0
        members.append(path)
        size += path.stat().st_size if path.exists() else 0
    if members:
        yield members


async def _read(
    jobs: Sequence[list[Path]], request: Request, attachments: str, settings: Settings
) -> AsyncIterator[tuple[list[Path], Request]]:
    """Each job's files and the request with what is in them; the next one is read while its reader is busy."""
    from pinpoint.pipeline.files import with_files_read
    from pinpoint.serving.files import file_reader

    reader = file_reader(settings)

    async def one(members: list[Path]) -> Request:
        files = await asyncio.to_thread(
            lambda: [_file(number, path, attachments, settings) for number, path in enumerate(members)]
        )
        return await with_files_read(replace(request, documents=tuple(files)), reader)

    try:
        ahead = asyncio.create_task(one(jobs[0]))
        for number, members in enumerate(jobs):
            read = await ahead
            if number + 1 < len(jobs):
                ahead = asyncio.create_task(one(jobs[number + 1]))
            yield members, read
    finally:
        reader.close()


def _file(number: int, path: Path, attachments: Any, settings: Settings) -> Any:
    """The file, or its refusal."""
    from pinpoint.documents.text import RejectedDocument

    try:
        size = path.stat().st_size
        if size > settings.max_file_bytes:
            raise DocumentError("file_too_large", f"{size} bytes, at most {settings.max_file_bytes}", str(path))
        return File(str(number), number, str(path), path.read_bytes(), filename=path.name, attachments=attachments)
    except IsADirectoryError:
        refusal = DocumentError("file_damaged", "the folder cannot be read", str(path))
    except OSError as error:
        refusal = DocumentError("file_damaged", f"cannot be read: {error.strerror}", str(path))
    except DocumentError as error:
        refusal = error
    return RejectedDocument(str(number), number, refusal.with_traceback(None))


def _answers(members: Sequence[Path], read: Request, engine: Engine, find: Find) -> list[Row]:
    from pinpoint.pipeline.classify import classify as answer

    response, _ = answer(read, engine, find)
    rows = list[Row]()
    for result in response.results:
        number, _, inner = result.id.partition("/")
        wire = result.to_wire()
        wire.pop("id")
        rows.append(Row(f"{members[int(number)]}{'/' if inner else ''}{inner}", wire))
    return rows
