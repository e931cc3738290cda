"""`python -m pinpoint review`: look at the answers that are unsure, and choose."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from pinpoint.errors import PinpointError

FAILED = 1


def review(
    answers: Annotated[
        Path, typer.Argument(help="What `classify --json`, `classify --out` or `evaluate --out` wrote, or answers.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Where choices go; reviewed.jsonl beside ANSWERS if not given.")
    ] = None,
    documents: Annotated[
        Path | None, typer.Option(help="The documents that were sent, where ANSWERS has none: JSON lines or CSV.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Whose answers, where there are several tasks.")] = None,
    labels: Annotated[
        str | None, typer.Option(help='Further labels that may be chosen, "invoice,receipt,…", beside those answered.')
    ] = None,
    order: Annotated[
        Literal["unsure", "random"],
        typer.Option(help="Which come first; what `teach` is to promise anything from has to be drawn at random."),
    ] = "unsure",
    several: Annotated[
        bool | None,
        typer.Option("--several/--one", help="Whether a document may have several labels; else the answers tell."),
    ] = None,
    port: Annotated[int, typer.Option(help="Where to listen on this machine; 0 for a port that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
) -> None:
    """Show the unsure documents of ANSWERS on a page of this machine, and write what is chosen for `teach`.

    Example: python -m pinpoint classify inbox/ --labels "invoice,receipt" --json > answers.jsonl;
    python -m pinpoint review answers.jsonl

    Keys 1 to 9 choose, S skips, U takes back, / searches among many labels. Where a document may have several labels,
    keys put them in and out, 0 puts all out, and Enter saves. Each choice is on the disk at once; started again, the
    review goes on where it was. It ends with Ctrl-C.
    """
    from pinpoint.api.label_list import typed_labels
    from pinpoint.review.chosen import Chosen
    from pinpoint.review.documents import Documents
    from pinpoint.review.items import read_answers
    from pinpoint.review.queue import Review
    from pinpoint.review.server import ReviewServer
    from pinpoint.serving.files import file_limits, file_reader
    from pinpoint.settings import read_settings

    try:
        settings = read_settings()
        found = read_answers(answers, documents, task, order, several)
        more = typed_labels(labels or "")
        offered = tuple(sorted({*found.labels, *more}, key=str.casefold))
        chosen = Chosen(out or answers.with_name("reviewed.jsonl"), several=found.several)
    except PinpointError as error:
        typer.echo(error.wire(), err=True)
        raise typer.Exit(FAILED) from None
    read = Documents(file_reader(settings), file_limits(settings))
    state = Review(found, chosen, offered, lambda item: read.read(item).pages)
    try:
        try:
            server = ReviewServer(state, read, port)
        except (OSError, OverflowError) as error:
            typer.echo(f"cannot listen on port {port}: {error}", err=True)
            raise typer.Exit(FAILED) from None
        told = state.state()
        left = told["total"] - told["done"]
        typer.echo(f"{left} of {told['total']} documents to look at; choices go to {chosen.path}")
        typer.echo(server.address)
        if browser and _has_desktop():
            webbrowser.open(server.address)
        with server:
            server.serve_forever()
    except KeyboardInterrupt:
        typer.echo(f"{len(chosen.labels)} choices in {chosen.path}")
    finally:
        read.close()
        chosen.close()


def _has_desktop() -> bool:
    """Whether a window can be opened; without one, a browser of text would take the terminal."""
    return sys.platform != "linux" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
