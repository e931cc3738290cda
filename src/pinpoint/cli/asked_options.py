"""Options of the commands that ask a question about documents, each in one wording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TaskInPlace = Annotated[
    Path | None, typer.Option(help="In place of --labels: a task in JSON or YAML, as `teach` takes it.")
]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", help="With --labels: a document has any number of them, or none.")
]
Instructions = Annotated[str | None, typer.Option(help="Instructions for the question, as in a request.")]
