"""Teaching in a process of its own, beside a worker that serves: no fit holds up a forward pass or a neighbour.

    standard input: pickle of what was measured  →  standard output: JSON of the task file, or of an error

Both ends are this package's: the worker starts it with nothing but the pipes, and takes JSON back.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import sys
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pinpoint.api.schema import BACK_OFF
from pinpoint.errors import PinpointError

if TYPE_CHECKING:
    from pinpoint.api.teach import Right
    from pinpoint.decide.task_file import Setup
    from pinpoint.prompting.taxonomy import Task

NICENESS = 10


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is handed over.

    Attributes:
        task: with its mask and prior.
        setup: what measured.
        log_probs: of each document, of each label of the task.
        right: positions of the right labels; of sets, of all of each document's.
        texts: of the documents, to find those that are nearly the same.
        target_errors, confidence_level, alphas: of the promises that are asked for.
        notes: about how the documents were measured.
        states: of each document, what the model made of it; empty where it was not measured.
        masses: of each document, its label mass.
        back_off: of a tree's requests that certificates are for.
    """

    task: Task
    setup: Setup
    log_probs: list[list[float]]
    right: list[Right]
    texts: list[str]
    target_errors: tuple[float, ...]
    confidence_level: float
    alphas: tuple[float, ...]
    notes: tuple[str, ...]
    states: list[tuple[float, ...]] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)
    back_off: float = BACK_OFF


def main() -> None:
    """Teach what stands on standard input."""
    os.nice(NICENESS)
    lesson = pickle.loads(sys.stdin.buffer.read())
    try:
        told = taught(lesson)
    except PinpointError as error:
        told = {"error": [error.code, error.message, error.field]}
    except Exception as error:  # of which nothing but the place may be told
        frames = traceback.extract_tb(error.__traceback__)
        told = {"fault": f"type={type(error).__name__} at={frames[-1].filename}:{frames[-1].lineno}"}
    sys.stdout.write(json.dumps(told, allow_nan=False))


def taught(lesson: Lesson) -> dict[str, Any]:
    """The task file, what was offered and not put on, and sentences with counts. Raises RequestError."""
    import numpy as np

    from pinpoint.evaluate.parts import groups_of
    from pinpoint.evaluate.promises import Promises
    from pinpoint.evaluate.task_parts import Measured, as_states
    from pinpoint.evaluate.teaching import teach

    log_probs = np.array(lesson.log_probs, dtype=np.float64).reshape(len(lesson.right), -1)
    promises = Promises(lesson.target_errors, lesson.confidence_level, lesson.alphas, back_off=lesson.back_off)
    masses = np.array(lesson.masses, dtype=np.float64) if lesson.masses else None
    measured = Measured(
        log_probs, lesson.right, groups_of(lesson.texts), states=as_states(lesson.states), masses=masses
    )
    found = teach(lesson.task, lesson.setup, measured, promises, notes=lesson.notes)
    return {
        "task_file": json.loads(found.file.model_dump_json()),
        "offered": [_finite(asdict(one)) for one in found.offered],
        "notes": list(found.notes),
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(one, float) and not math.isfinite(one) else one for name, one in values.items()}
