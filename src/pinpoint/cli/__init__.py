"""The command line: `python -m pinpoint COMMAND`, a file per command.

A command `name` is a function `name` in `cli/name.py`; `COMMANDS` lists them in the order of the help. All these files
are imported to know their options, so they import typer, rich and torch-free modules at their head, and whatever is
heavy (torch, transformers, the worker) inside the function: `plan` answers in well under a second.
"""

from __future__ import annotations

import io
import sys

import typer

from pinpoint.cli.check import check
from pinpoint.cli.classify import classify
from pinpoint.cli.evaluate import evaluate
from pinpoint.cli.kernels import kernels
from pinpoint.cli.lint import lint
from pinpoint.cli.plan import plan
from pinpoint.cli.quantize import quantize
from pinpoint.cli.review import review
from pinpoint.cli.serve import serve
from pinpoint.cli.teach import teach

COMMANDS = (serve, classify, plan, quantize, check, evaluate, teach, review, lint, kernels)

app = typer.Typer(
    name="pinpoint",
    help="Classify documents by scoring every label exactly, with a language model held in 8 bits on one GPU.",
    epilog='Example: python -m pinpoint plan --gpu "A100 80GB"',
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    # A local variable of a traceback may hold a document.
    pretty_exceptions_enable=False,
)


@app.callback()
def _root() -> None:
    """Let no label or file name that the terminal cannot show end a command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


for command in COMMANDS:
    app.command(command.__name__)(command)
