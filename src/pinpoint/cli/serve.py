"""`python -m pinpoint serve`: answer requests over HTTP, on a laptop or behind RunPod's load balancer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pinpoint.errors import PinpointError
from pinpoint.settings import read_settings


def serve(
    host: Annotated[
        str, typer.Option(help="What to listen on; without a key (PINPOINT_API_KEY) only this machine, if not given.")
    ] = "",
    port: Annotated[
        int | None, typer.Option(help="Where to listen; PORT if not given, else 8000.", min=0, max=65_535)
    ] = None,
) -> None:
    """Answer requests over HTTP: /v1/decisions, /v1/systemone, /v1/models, /classify.

    Example: python -m pinpoint serve --port 8000
    """
    from pinpoint.serving.http.server import serve as run
    from pinpoint.serving.start import configure_logging

    try:
        settings = read_settings()
        given = {name: value for name, value in (("host", host or None), ("port", port)) if value is not None}
        settings = settings.model_copy(update=given)
        configure_logging(settings)
        run(settings)
    except PinpointError as error:
        print(error.wire(), file=sys.stderr)
        raise typer.Exit(1) from None
