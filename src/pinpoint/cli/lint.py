"""`python -m pinpoint lint`: what is wrong with a taxonomy, before any money is spent on it.

Exit code 0 when there is nothing to change, 1 when there is or when the model could not be asked, 2 when the file
cannot be read as a taxonomy.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pinpoint.api.deployed import Taxonomy
from pinpoint.api.taxonomy_files import SHIPPED, SUFFIXES, read_taxonomy
from pinpoint.errors import PinpointError
from pinpoint.lint.findings import Finding, QuestionCost
from pinpoint.lint.words import check_words
from pinpoint.settings import read_settings

TO_CHANGE, BAD_USAGE = 1, 2
PIPED_COLUMNS = 140
LEVELS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def lint(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A taxonomy, YAML or JSON; or the name of one that comes with it."),
    ],
    model: Annotated[
        str,
        typer.Option(
            help="A folder, or a name on the Hub; without it the embedded model.",
            envvar=["MODEL_NAME", "PINPOINT_MODEL_NAME"],
        ),
    ] = "",
    no_model: Annotated[
        bool, typer.Option("--no-model", help="Check words and shape alone: no tokens, no order, no model.")
    ] = False,
    sample: Annotated[int, typer.Option(min=1, help="Labels of each question that the model is tried on.")] = 8,
    notes: Annotated[bool, typer.Option("--notes", help="Show notes: good to know, nothing to change.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, notes included.")] = False,
) -> None:
    """Look for what makes a taxonomy answer badly or cost too much.

    Duplicates, names and descriptions that read alike, groups without a label for the rest, groups of very different
    size. With the model's tokenizer: labels that begin alike, prompts that leave a document no room, and what a
    document will cost. With the model: answers that change when the labels are reversed, and labels whose own words are
    taken for another; of the embedded model, which is for trying out, these are notes.

    [bold]Examples[/bold]

    [cyan]python -m pinpoint lint finance-v3.yaml[/cyan]

    In milliseconds, by words alone, in a hook that holds the file to it:

    [cyan]python -m pinpoint lint finance-v3.yaml --no-model[/cyan]

    With the model that it is for:

    [cyan]python -m pinpoint lint finance-v3.yaml --model mistralai/Mistral-7B-Instruct-v0.3[/cyan]

    Exit code 0: nothing to change. 1: errors or warnings; a model that cannot be had is an error. 2: the file is no
    taxonomy; the message has field and line.
    """
    try:
        taxonomy = read_taxonomy(_path(file))
    except PinpointError as error:
        if as_json:
            print(json.dumps({"error": {"code": error.code, "message": error.message, "field": error.field}}))
        else:
            typer.echo(f"pinpoint lint: {error.wire()}", err=True)
        raise typer.Exit(BAD_USAGE) from None
    found, costs, name = check_words(taxonomy.task, taxonomy.warnings), list[QuestionCost](), ""
    if not no_model:
        try:
            more, costs, name = _with_model(taxonomy, model, sample)
            found += more
        except PinpointError as error:  # what the words told is told all the same
            found.append(
                Finding("error", error.code, model or "the model", error.message, "see --model, or --no-model")
            )
    if as_json:
        print(json.dumps(_summary(taxonomy, found, costs, name), ensure_ascii=False))
    else:
        console = Console()
        _print(console if console.is_terminal else Console(width=PIPED_COLUMNS), taxonomy, found, costs, name, notes)
    raise typer.Exit(TO_CHANGE if any(one.level != "note" for one in found) else 0)


def _path(file: str) -> Path:
    """The file, or that of the package by its name."""
    path = Path(file)
    if not path.exists() and path.name == file and not path.suffix:
        for suffix in SUFFIXES:
            if (SHIPPED / f"{file}{suffix}").is_file():
                return SHIPPED / f"{file}{suffix}"
    return path


def _with_model(taxonomy: Taxonomy, model: str, sample: int) -> tuple[list[Finding], list[QuestionCost], str]:
    # Imported here: torch takes its seconds.
    from pinpoint.lint.with_model import check_order, check_tokens
    from pinpoint.serving.model import get_scorer

    engine = get_scorer(read_settings(model_name=model))
    found, costs = check_tokens(taxonomy.task, engine)
    if not any(one.level == "error" for one in found):
        # The embedded model is for trying out.
        found += check_order(taxonomy.task, engine, sample, weak=not model)
    return found, costs, engine.info("").name


def _summary(taxonomy: Taxonomy, found: list[Finding], costs: list[QuestionCost], model: str) -> dict[str, Any]:
    tree = taxonomy.task.tree
    return {
        "taxonomy": taxonomy.name,
        "labels": len(taxonomy.task.labels),
        "groups": 0 if tree is None else len(tree.askers()) - 1,
        "model": model or None,
        "findings": [asdict(one) for one in found],
        "questions": [asdict(one) for one in costs],
    }


def _print(
    console: Console, taxonomy: Taxonomy, found: list[Finding], costs: list[QuestionCost], model: str, notes: bool
) -> None:
    tree = taxonomy.task.tree
    groups = "" if tree is None else f" in {len(tree.askers()) - 1} groups"
    console.print(f"[bold]{escape(taxonomy.name)}[/bold]: {len(taxonomy.task.labels)} labels{groups}", highlight=False)
    shown = [one for one in found if notes or one.level != "note"]
    if shown:
        table = Table("level", "code", Column("where", overflow="fold"), "what", "what to do")
        for one in shown:
            table.add_row(
                f"[{LEVELS[one.level]}]{one.level}[/]", one.code, escape(_short(one.where)), escape(one.what),
                escape(one.remedy),
            )  # fmt: skip
        console.print(table)
    counts = {level: sum(one.level == level for one in found) for level in LEVELS}
    more = " (--notes shows them)" if counts["note"] and not notes else ""
    console.print(
        f"{counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes{more}", highlight=False
    )
    if costs:
        below = max(costs[1:], key=lambda one: one.tokens + one.answer_tokens, default=None)
        top, shared = costs[0], taxonomy.task.labels_first
        behind = top.answer_tokens if shared else top.tokens + top.answer_tokens
        words = f"Beside its own tokens, a document costs {behind} at the top"
        if shared:
            words += (
                f", and {top.tokens} that stand before all documents are computed once and kept while there is room"
            )
        if below is not None:
            words += f" and up to {below.tokens + below.answer_tokens} for each group that is asked about"
        console.print(f"{words} ({escape(model)}).", highlight=False, soft_wrap=True)


def _short(where: str) -> str:
    parts = where.split(", ")
    return where if len(parts) <= 4 else f"{', '.join(parts[:4])} and {len(parts) - 4} more"
