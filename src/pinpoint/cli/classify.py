"""`python -m pinpoint classify`: what files are, by the model that the worker would load."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from pinpoint.api.deployed import Deployed
from pinpoint.api.label_list import typed_labels
from pinpoint.api.request import Request, parse_request
from pinpoint.api.taxonomy_files import SUFFIXES, read_taxonomy, shipped
from pinpoint.cli import rows
from pinpoint.cli.asked_options import Instructions, LabelsFirst, MultiLabel, TaskInPlace, beside_labels
from pinpoint.cli.bulk import DEFAULT_OUT, Asked, run_bulk
from pinpoint.cli.classify_here import classified, found_files
from pinpoint.cli.question_file import read_question
from pinpoint.client.jobs import JOB_DOCUMENTS
from pinpoint.errors import PinpointError, RequestError
from pinpoint.prices import price_of

FAILED = 1


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
    task: TaskInPlace = None,
    multi_label: MultiLabel = False,
    labels_first: LabelsFirst = False,
    instructions: Instructions = None,
    target_error: Annotated[
        float | None,
        typer.Option(help="Accept only what a task file (PINPOINT_TASKS) certifies: 0.02 for at most 2 % wrong."),
    ] = None,
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

    With PINPOINT_TASKS what was taught counts here as in the worker: answers have a confidence then, and --target-error
    accepts those that a promise covers.

    The model is the one that the worker would load, MODEL_NAME, or the embedded model where that is unset; with
    --endpoint or --url it is theirs. Pictures are read with OCR where `pip install -r requirements-ocr.txt` put it.
    A document that cannot be read has its reason in the table or file, and the exit code is 1 then.
    """
    try:
        explain: bool | str = "evidence" if evidence else False
        asked = {"threshold": threshold, "split": split, "explain": explain, "target_error": target_error}
        several = beside_labels(labels, multi_label=multi_label, labels_first=labels_first)
        chosen, deployed = _chosen(labels, taxonomy, task, instructions, several)
        # What is deployed elsewhere is known there alone: labels stand for it while the rest is checked.
        elsewhere = taxonomy is not None and (endpoint or url)
        request = _request({"labels": ["a", "b"]} if elsewhere else chosen, deployed, attachments, asked)
        if as_json and as_csv:
            raise RequestError("conflicting_fields", "either this or --json, not both", "--csv")
        if out or endpoint or url or batch:
            if as_json or as_csv:
                raise RequestError("conflicting_fields", "results go to --out, in the format of its ending", "--json")
            # By what was typed: an edited copy has the name of the one that is deployed, which would answer for it.
            if _is_taxonomy_file(taxonomy):
                raise RequestError(
                    "conflicting_fields", "deploy the file (PINPOINT_TAXONOMIES), and name it", "--taxonomy"
                )
            question: dict[str, Any] = {"instructions": None, **chosen}
            question["options"] = {name: value for name, value in asked.items() if value not in (None, False)}
            run_bulk(
                Asked(
                    sources, question, attachments, endpoint, url, out or Path(DEFAULT_OUT),
                    None if price is None else price_of(price), parallel, job_documents, text, id_column, batch,
                )
            )  # fmt: skip
        from pinpoint.settings import read_settings

        settings = read_settings()
        files = found_files(sources)
        found = asyncio.run(classified(files, request, attachments, settings, progress=not (as_json or as_csv)))
    except PinpointError as error:
        typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    if as_json:
        for row in found:
            print(json.dumps({"file": row.file, **row.result}, ensure_ascii=False))
    elif as_csv:
        sys.stdout.write(rows.as_csv(found))
    else:
        Console().print(rows.as_table(found))
    if any("error" in row.result for row in found):
        raise typer.Exit(FAILED)


def _chosen(
    labels: str | None, taxonomy: str | None, task: Path | None, instructions: str | None, several: dict[str, bool]
) -> tuple[dict[str, Any], Deployed]:
    """What is asked, as in a request, and the taxonomies that it may name. Raises PinpointError."""
    if sum(one is not None for one in (labels, taxonomy, task)) != 1:
        raise RequestError("missing_field", "name the labels: one of --labels, --taxonomy and --task", "--labels")
    deployed, said = shipped(), {"instructions": instructions} if instructions else {}
    if task is not None:
        name, fields = read_question(task, None, instructions or None)
        return {"tasks": {name: fields}}, deployed
    if taxonomy is None:
        return {"labels": typed_labels(labels or ""), **said, **several}, deployed
    if _is_taxonomy_file(taxonomy):
        read = read_taxonomy(Path(taxonomy))
        deployed = Deployed({**deployed.taxonomies, read.name: read})
        taxonomy = read.name
    elif taxonomy is not None and taxonomy not in deployed.taxonomies:
        from pinpoint.serving.taxonomies import load_taxonomies
        from pinpoint.settings import read_settings

        deployed = load_taxonomies(read_settings().taxonomies)
    return {"taxonomy": taxonomy, **said}, deployed


def _is_taxonomy_file(taxonomy: str | None) -> bool:
    return taxonomy is not None and Path(taxonomy).suffix in SUFFIXES


def _request(chosen: dict[str, Any], deployed: Deployed, attachments: str, options: dict[str, Any]) -> Request:
    """The question, about a document that stands for each file. Raises RequestError."""
    asked: dict[str, Any] = {**chosen, "options": options}
    # The file itself is put in its place later: what is refused here is the question, or one of the options.
    return parse_request({**asked, "base64": "AA==", "attachments": attachments}, deployed=deployed)
