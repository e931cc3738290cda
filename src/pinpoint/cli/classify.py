"""`python -m pinpoint classify`: what files are, by the model that the worker would load."""

from __future__ import annotations

import asyncio
import csv
import glob
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pinpoint.api.deployed import Deployed
from pinpoint.api.request import Request, parse_request
from pinpoint.api.taxonomy_files import SUFFIXES, read_taxonomy, shipped
from pinpoint.cli.bulk import DEFAULT_OUT, Asked, run_bulk
from pinpoint.client.bulk import cells
from pinpoint.client.jobs import JOB_DOCUMENTS
from pinpoint.documents.text import File
from pinpoint.errors import DocumentError, PinpointError, RequestError
from pinpoint.prices import price_of

if TYPE_CHECKING:
    from pinpoint.pipeline.passes import Engine
    from pinpoint.settings import Settings

FAILED = 1
JOB_FILES = 16  # read while those before are classified: enough to fill passes, few enough for the bar to move
JOB_BYTES = 50_000_000
MOST_FILES = 100_000
COLUMNS = ("file", *cells.COLUMNS)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a file, or of an attachment in one.

    Attributes:
        file: its path as it was found; an attachment's number behind it.
        result: as the worker would answer, under `results`.
    """

    file: str
    result: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> Iterator[dict[str, str]]:
        """Its values under `COLUMNS`, in words: one line, or one for each document of a packet."""
        for line in cells.lines(self.result):
            yield {"file": self.file, **line}


def classify(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, folders with all that is in them, and patterns such as 'mail/*.eml'. With --out, --endpoint "
            "or --url also tables (.jsonl, .csv, .tsv, .parquet), a document a row, and addresses: s3://bucket/in."
        ),
    ],
    labels: Annotated[str | None, typer.Option(help='The labels to choose from: "invoice,receipt,…".')] = None,
    taxonomy: Annotated[
        str | None,
        typer.Option(
            help="In place of --labels: a taxonomy's file, or the name of one that is deployed where the model is, as "
            "business-documents is."
        ),
    ] = None,
    instructions: Annotated[str | None, typer.Option(help="Instructions for the question, as in a request.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Scores below it are for a person to look at.")] = None,
    attachments: Annotated[
        str, typer.Option(help='Of a mail: further "pages" of it, "documents" of their own, or "none".')
    ] = "pages",
    split: Annotated[bool, typer.Option("--split", help="Cut each file into the documents that are in it.")] = False,
    evidence: Annotated[
        bool,
        typer.Option(
            "--evidence", help="With --json or --out, tell what moved each answer, at up to four times the cost."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a file, a line each.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values with a header.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write results to this file as they come: .jsonl, .csv or .parquet. The same command goes on where an "
            f"earlier one ended. {DEFAULT_OUT} where --endpoint or --url is given alone."
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Ask this endpoint on RunPod, by its id; the key is RUNPOD_API_KEY.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Ask the server at this address; the key, if it wants one, is PINPOINT_API_KEY.")
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="With --endpoint: by RunPod's batch jobs, which may take hours."),
    ] = False,
    text: Annotated[str | None, typer.Option(help="Of tables: the column with the text, if not `text`.")] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="Of tables: the column with the document's id, if not `id`.")
    ] = None,
    parallel: Annotated[int | None, typer.Option(min=1, help="Jobs in flight, at most.")] = None,
    job_documents: Annotated[int, typer.Option(min=1, max=1000, help="Documents in a job, at most.")] = JOB_DOCUMENTS,
    price: Annotated[
        str | None, typer.Option(help='Of a worker, for an estimate: $ a second, or its card, such as "H100".')
    ] = None,
) -> None:
    r"""Classify documents (PDF, Word, Excel, mail, pictures, …) and print what each is, or write it to a file.

    Example: python -m pinpoint classify inbox/ 'scans/*.pdf' --labels "invoice,receipt,contract"

    Example: python -m pinpoint classify inbox/ --taxonomy business-documents

    Example: python -m pinpoint classify mails.csv --labels "complaint,praise" --endpoint abc123 --out results.jsonl

    The model is the one that the worker would load, MODEL_NAME, or the embedded model where that is unset; with
    --endpoint or --url it is theirs. Pictures are read with OCR where `pip install 'pinpoint\[ocr]'` put it. A document
    that cannot be read has its reason in the table or file, and the exit code is 1 then.
    """
    try:
        explain: bool | str = "evidence" if evidence else False
        asked = {"threshold": threshold, "split": split, "explain": explain}
        chosen, deployed = _chosen(labels, taxonomy)
        # What is deployed elsewhere is known there alone: labels stand for it while the rest is checked.
        elsewhere = taxonomy is not None and (endpoint or url)
        request = _request({"labels": ["a", "b"]} if elsewhere else chosen, deployed, instructions, attachments, asked)
        if out or endpoint or url or batch:
            if as_json or as_csv:
                raise RequestError("conflicting_fields", "results go to --out, in the format of its ending", "--json")
            # By what was typed: an edited copy has the name of the one that is deployed, which would answer for it.
            if _is_taxonomy_file(taxonomy):
                raise RequestError(
                    "conflicting_fields", "deploy the file (PINPOINT_TAXONOMIES), and name it", "--taxonomy"
                )
            question: dict[str, Any] = {**chosen, "instructions": instructions}
            options = {"threshold": threshold, "split": split or None, "explain": explain or None}
            question["options"] = {name: value for name, value in options.items() if value is not None}
            run_bulk(
                Asked(
                    sources, question, attachments, endpoint, url, out or Path(DEFAULT_OUT),
                    None if price is None else price_of(price), parallel, job_documents, text, id_column, batch,
                )
            )  # fmt: skip
        from pinpoint.settings import read_settings

        settings = read_settings()
        paths = found_files(sources)
        rows = asyncio.run(_rows(paths, request, attachments, settings, progress=not (as_json or as_csv)))
    except PinpointError as error:
        typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    if as_json:
        for row in rows:
            print(json.dumps({"file": row.file, **row.result}, ensure_ascii=False))
    elif as_csv:
        sys.stdout.write(_csv(rows))
    else:
        Console().print(_table(rows))
    if any("error" in row.result for row in rows):
        raise typer.Exit(FAILED)


def found_files(names: Sequence[str]) -> list[Path]:
    """The files that are named, those in folders and those that patterns stand for, each once and in order.

    Raises PinpointError `unreadable_file` for a name that stands for none. Files whose name begins with a dot are left
    out of folders.
    """
    found = dict[Path, None]()
    for name in names:
        path, inside = Path(name), list[Path]()
        with suppress(ValueError):  # a NUL in it
            if path.is_dir():
                inside = sorted(one for one in path.rglob("*") if one.is_file() and not _is_hidden(one, path))
            elif path.exists():
                inside = [path]
            else:
                inside = sorted(Path(one) for one in glob.glob(name, recursive=True) if Path(one).is_file())
        if not inside:
            raise PinpointError("unreadable_file", "no file of this name, and none in or like it", name)
        found.update(dict.fromkeys(inside))
    if len(found) > MOST_FILES:
        raise PinpointError("unreadable_file", f"{len(found)} files, at most {MOST_FILES} at a time", "FILES")
    return list(found)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _chosen(labels: str | None, taxonomy: str | None) -> tuple[dict[str, Any], Deployed]:
    """What names the labels in a request, and the taxonomies that it may name. Raises RequestError."""
    if (labels is None) == (taxonomy is None):
        raise RequestError("missing_field", "name the labels: one of --labels and --taxonomy", "--labels")
    deployed = shipped()
    if taxonomy is None:
        return {"labels": _names(labels or "")}, deployed
    if _is_taxonomy_file(taxonomy):
        read = read_taxonomy(Path(taxonomy))
        deployed = Deployed({**deployed.taxonomies, read.name: read})
        taxonomy = read.name
    return {"taxonomy": taxonomy}, deployed


def _is_taxonomy_file(taxonomy: str | None) -> bool:
    return taxonomy is not None and Path(taxonomy).suffix in SUFFIXES


def _request(
    chosen: dict[str, Any], deployed: Deployed, instructions: str | None, attachments: str, options: dict[str, Any]
) -> Request:
    """The question, about a document that stands for each file. Raises RequestError."""
    asked: dict[str, Any] = {**chosen, "options": options}
    if instructions:
        asked["instructions"] = instructions
    # The file itself is put in its place later: what is refused here is the question, or one of the options.
    return parse_request({**asked, "base64": "AA==", "attachments": attachments}, deployed=deployed)


def _names(labels: str) -> list[str]:
    return [name.strip() for name in labels.split(",") if name.strip()]


async def _rows(
    paths: Sequence[Path], request: Request, attachments: str, settings: Settings, *, progress: bool
) -> list[Row]:
    from pinpoint.serving.model import get_scorer

    engine = await asyncio.to_thread(get_scorer, settings)
    console = Console(stderr=True)
    columns = (TextColumn("classifying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    rows = list[Row]()
    with Progress(*columns, console=console, disable=not (progress and console.is_terminal)) as bar:
        task = bar.add_task("classifying", total=len(paths))
        async for members, read in _read(list(_jobs(paths)), request, attachments, settings):
            rows += await asyncio.to_thread(_answers, members, read, engine)
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
    except OSError as error:
        refusal = DocumentError("file_damaged", f"cannot be read: {error.strerror}", str(path))
    except DocumentError as error:
        refusal = error
    return RejectedDocument(str(number), number, refusal.with_traceback(None))


def _answers(members: Sequence[Path], read: Request, engine: Engine) -> list[Row]:
    from pinpoint.pipeline.classify import classify as answer

    response, _ = answer(read, engine)
    rows = list[Row]()
    for result in response.results:
        number, _, inner = result.id.partition("/")
        wire = result.to_wire()
        wire.pop("id")
        rows.append(Row(f"{members[int(number)]}{'/' if inner else ''}{inner}", wire))
    return rows


def _table(rows: Sequence[Row]) -> Table:
    """Names below the folder that all files share, so that they can be told apart in few columns."""
    table = Table("file", "label", "score", "pages", "type", "notes", box=None)
    table.columns[0].overflow = "fold"
    shared = os.path.commonpath([os.path.dirname(os.path.abspath(row.file)) for row in rows]) if rows else ""
    for line in (one for row in rows for one in row.lines()):
        notes = line.get("error") or "; ".join(
            filter(None, [line["decision"] if line["decision"] != "accept" else "", line["warnings"]])
        )
        shown = [line.get(name, "") for name in ("label", "score", "pages", "type")]
        table.add_row(*map(escape, [os.path.relpath(os.path.abspath(line["file"]), shared), *shown, notes]))
    return table


def _csv(rows: Sequence[Row]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for values in (one for row in rows for one in row.lines()):
        writer.writerow({name: cells.harmless(value) for name, value in values.items()})
    return target.getvalue()
