"""A response in the shape that its request came in."""

from __future__ import annotations

from typing import Any

from pinpoint.api.adapters import zero_shot_answer
from pinpoint.api.decisions import decisions_answer
from pinpoint.api.request import Request
from pinpoint.api.response import Response
from pinpoint.api.systemone import systemone_answer


def answer_in_shape(request: Request, response: Response) -> Any:
    """Return the answer as plain values, fresh ones. Raises what the only document of a decision was refused with."""
    if request.shape == "zero_shot":
        return zero_shot_answer(request.sequences, response.results, request.single)
    if request.asked is None:
        return response.to_wire()
    return (decisions_answer if request.shape == "decisions" else systemone_answer)(request.asked, response)
