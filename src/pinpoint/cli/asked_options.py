"""Options of the commands that ask a question about documents, each in one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pinpoint.errors import RequestError

TaskInPlace = Annotated[
    Path | None, typer.Option(help="In place of --labels: a task in JSON or YAML, as `teach` takes it.")
]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", help="With --labels: a document has any number of them, or none.")
]
LabelsFirst = Annotated[
    bool,
    typer.Option(
        "--labels-first",
        help="With --labels: the model reads the labels before the document. Faster with long lists, and with most "
        "models less often right: compare by `evaluate`.",
    ),
]
Instructions = Annotated[str | None, typer.Option(help="Instructions for the question, as in a request.")]


def beside_labels(labels: str | None, *, multi_label: bool, labels_first: bool) -> dict[str, bool]:
    """What was said of `--labels`, as the fields of a task. Raises RequestError where there are none."""
    said = {"multi_label": multi_label, "labels_first": labels_first}
    for name, value in said.items():
        if value and labels is None:
            raise RequestError(
                "conflicting_fields",
                f"goes with --labels; in a file it is `{name}: true`",
                f"--{name.replace('_', '-')}",
            )
    return {name: value for name, value in said.items() if value}
