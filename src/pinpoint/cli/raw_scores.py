"""What the model measures of every label for many texts, and makes of each: what everything taught is made from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.request import parse_request
from pinpoint.errors import RequestError

if TYPE_CHECKING:
    from pinpoint.pipeline.engine_protocol import Engine

JOB_DOCUMENTS = 64  # of one request: enough to fill passes, few enough for a progress bar to move


@dataclass(frozen=True, slots=True)
class Raw:
    """Of one text: what `measured_of` takes of its answer, the model's state, and the label mass."""

    log_probs: list[float]
    state: tuple[float, ...]
    label_mass: float = 1.0


def measure(
    name: str,
    fields: Mapping[str, Any],
    texts: Sequence[str],
    engine: Engine,
    progress: Callable[[int], object] = lambda count: None,
    deployed: Deployed = NOTHING,
) -> list[Raw | str]:
    """Of every text what was measured, or the code of its refusal.

    Args:
        name: of the task.
        fields: of the task, as under `tasks` of a request.
        texts: of the documents.
        engine: measures.
        progress: is told how many more are done.
        deployed: taxonomies that the fields may name.

    Raises RequestError where the fault is the question's.
    """
    found = list[Raw | str]()
    for start in range(0, len(texts), JOB_DOCUMENTS):
        part = texts[start : start + JOB_DOCUMENTS]
        found += _of_job(name, fields, part, engine, deployed)
        progress(len(part))
    return found


def _of_job(
    name: str, fields: Mapping[str, Any], texts: Sequence[str], engine: Engine, deployed: Deployed
) -> list[Raw | str]:
    """One request; one that is refused because of its documents is halved until what is refused is one document."""
    from pinpoint.api.response import DocumentResult
    from pinpoint.evaluate.measured_answers import measured_of
    from pinpoint.pipeline.classify import classify

    job = {"tasks": {name: fields}, "documents": [{"text": text} for text in texts], "options": {"return_raw": True}}
    try:
        request = parse_request(job, deployed=deployed)
        (task,) = request.tasks
        if task.tree is None:
            # The prior and the mask act on answers, and a masked label is not listed among them: both are left out. In
            # a tree they act at each question, on what is measured.
            task = replace(task, mask=frozenset(), prior=None)
        request = replace(request, tasks=(task,), options=replace(request.options, states=True))
        response, _ = classify(request, engine)
    except RequestError as error:
        if not (error.field or "").startswith("documents"):
            raise
        if len(texts) == 1:
            return [error.code]
        middle = len(texts) // 2
        return [
            one for part in (texts[:middle], texts[middle:]) for one in _of_job(name, fields, part, engine, deployed)
        ]
    found = list[Raw | str]()
    for result in response.results:
        if not isinstance(result, DocumentResult):
            found.append(result.error.code)
            continue
        answer = result.answers[name]
        found.append(Raw(measured_of(task, answer), answer.state, answer.label_mass))
    return found
