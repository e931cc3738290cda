"""Task files for tests: what teaching might have found, for whatever engine answers."""

from __future__ import annotations

from datetime import date
from typing import Any

from pinpoint.api.request import parse_request
from pinpoint.decide.task_file import Certificate, Fitted, PredictionSets, Reference, Setup, TaskFile
from pinpoint.pipeline.passes import Engine
from pinpoint.prompting.taxonomy import Task, labels_sha

TEMPERATURE = 2.0


def task_of(task: dict[str, Any], name: str = "category") -> Task:
    """A task as a request makes it."""
    return parse_request({"text": "x", "tasks": {name: task}}).tasks[0]


def task_file(engine: Engine, task: Task, **changes: Any) -> TaskFile:
    """A file for a task on an engine: scores at half their differences, one promise, one kind of set."""
    names = ["yes", "no"] if task.kind == "yes_no" else [label.name for label in task.labels]
    file = TaskFile(
        setup=Setup.of(engine.info(labels_sha(task)), on_card=engine.on_card),
        task=task.name,
        kind=task.kind,
        labels=names,
        mask=sorted(place for place, label in enumerate(task.labels) if label.id in task.mask),
        prior=None if task.prior is None else [task.prior.get(label.id, 1.0) for label in task.labels],
        other=next((place for place, label in enumerate(task.labels) if label.id == task.other), None),
        made=date(2026, 11, 28),
        examples=120,
        held_out=80,
        fitted=Fitted(temperature=TEMPERATURE),
        certificates=[
            Certificate(
                target_error=0.05, confidence_level=0.9, threshold=0.5,
                n_held_out=80, n_accepted=60, n_wrong=0, bound=0.0377,
            )
        ],
        prediction_sets=[PredictionSets(alpha=0.1, n_held_out=80, least_probability=0.2, mean_size=1.5)],
        reference=Reference(
            n=200,
            label_distribution=[1 / len(names)] * len(names),
            mean_label_mass=0.5,
            confidence_histogram=[0.1] * 10,
        ),
    )  # fmt: skip
    # Validated anew, as a file that is read would be.
    return TaskFile.model_validate_json(file.model_copy(update=changes).model_dump_json())
