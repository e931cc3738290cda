"""What the model measures of every label for many texts, and makes of each: what everything taught is made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pinpoint.api.request import parse_request
from pinpoint.errors import PinpointError, RequestError
from pinpoint.prompting.template import answer_ids

if TYPE_CHECKING:
    from pinpoint.pipeline.engine_protocol import Engine

JOB_DOCUMENTS = 64  # of one request: enough to fill passes, few enough for a progress bar to move


@dataclass(frozen=True, slots=True)
class Raw:
    """Of one text: log-probabilities in the order of `template.answer_ids`, and the model's state."""

    log_probs: list[float]
    state: tuple[float, ...]


def measure(
    name: str,
    fields: Mapping[str, Any],
    texts: Sequence[str],
    engine: Engine,
    progress: Callable[[int], object] = lambda count: None,
) -> list[Raw | str]:
    """Of every text what was measured, or the code of its refusal.

    Args:
        name: of the task.
        fields: of the task, as under `tasks` of a request.
        texts: of the documents.
        engine: measures.
        progress: is told how many more are done.

    Raises RequestError where the fault is the question's.
    """
    # The prior and the mask act on answers, and a masked label is not listed among them: both are left out here.
    asked = {key: value for key, value in fields.items() if key not in ("mask", "prior")}
    found = list[Raw | str]()
    for start in range(0, len(texts), JOB_DOCUMENTS):
        part = texts[start : start + JOB_DOCUMENTS]
        found += _of_job(name, asked, part, engine)
        progress(len(part))
    return found


def _of_job(name: str, fields: Mapping[str, Any], texts: Sequence[str], engine: Engine) -> list[Raw | str]:
    """One request; one that is refused because of its documents is halved until what is refused is one document."""
    from pinpoint.api.response import DocumentResult
    from pinpoint.pipeline.classify import classify

    job = {"tasks": {name: fields}, "documents": [{"text": text} for text in texts], "options": {"return_raw": True}}
    try:
        request = parse_request(job)
        request = replace(request, options=replace(request.options, states=True))
        response, _ = classify(request, engine)
    except RequestError as error:
        if not (error.field or "").startswith("documents"):
            raise
        if len(texts) == 1:
            return [error.code]
        middle = len(texts) // 2
        return _of_job(name, fields, texts[:middle], engine) + _of_job(name, fields, texts[middle:], engine)
    ids = answer_ids(request.tasks[0])
    found = list[Raw | str]()
    for result in response.results:
        if not isinstance(result, DocumentResult):
            found.append(result.error.code)
            continue
        answer = result.answers[name]
        if answer.log_probs is None or len(answer.log_probs) != len(ids):
            raise PinpointError("not_supported", "this kind of task cannot be taught yet", "task")
        values = dict(zip(answer.labels, answer.log_probs, strict=True))
        found.append(Raw([values.get(one, -math.inf) for one in ids], answer.state))
    return found
