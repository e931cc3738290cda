"""Task files for tests: what teaching might have found, for whatever engine answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from pinpoint.api.request import parse_request
from pinpoint.decide.task_file import Certificate, Fitted, PredictionSets, Reference, Setup, TaskFile
from pinpoint.engine.readings import ModelInfo
from pinpoint.prompting.taxonomy import Task, labels_sha

TEMPERATURE = 2.0
# Asked of workers in processes of their own: the first is taught, the second with a revision that is not theirs.
TAUGHT, ELSEWHERE = ["gas bill", "water bill", "parking ticket"], ["gas bill", "water bill", "telephone bill"]


class Answers(Protocol):
    """What a set-up is read from."""

    @property
    def on_card(self) -> bool:
        """Whether it computes on a GPU."""

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""


@dataclass(frozen=True)
class Embedded:
    """The set-up of the embedded model on a CPU."""

    on_card: bool = False
    revision: str = "embedded"

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""
        return ModelInfo("pinpoint-embedded", self.revision, "int8", 1, labels_sha)


def task_of(task: dict[str, Any], name: str = "category") -> Task:
    """A task as a request makes it."""
    return parse_request({"text": "x", "tasks": {name: task}}).tasks[0]


def task_file(engine: Answers, task: Task, **changes: Any) -> TaskFile:
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


def deployed(folder: Path) -> Path:
    """A folder with both files."""
    task_file(Embedded(), task_of({"labels": TAUGHT})).save(folder / "bills.json")
    task_file(Embedded(revision="old"), task_of({"labels": ELSEWHERE})).save(folder / "elsewhere.json")
    return folder


def check_taught(answer: dict[str, Any]) -> None:
    """An answer to the taught task, asked for at most 5 % wrong and sets at 0.1."""
    assert answer["confidence"] == answer["score"] and len(answer["calibration"]) == 16
    assert answer["certified"] == (answer["confidence"] >= 0.5)
    assert answer["certified_why"] == (None if answer["certified"] else "below_certified_threshold")
    assert answer["certificate"] == {"target_error": 0.05, "confidence_level": 0.9, "threshold": 0.5}
    assert answer["prediction_set"][0] == answer["labels"][0]
    # Half the temperature's reciprocal: what was measured, at half its differences.
    first, second, *_ = answer["log_probs"]
    assert abs(math.log(answer["scores"][0] / answer["scores"][1]) - (first - second) / TEMPERATURE) < 1e-3


def check_mismatch(answer: dict[str, Any]) -> None:
    """An answer to the task whose file is for another revision."""
    assert (answer["confidence"], answer["certified"], answer["certified_why"]) == (None, False, "task_file_refused")
    assert answer["decision"] == "review" and answer["prediction_set"] is None and "calibration" not in answer
