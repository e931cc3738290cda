"""Teaching over the wire: labelled documents are measured like any others, the fits run in a process of their own.

    documents ── passes shared with other jobs ── log-probabilities ── a process beside the worker ── task file

It is answered, and kept in PINPOINT_TASKS where that can be written: in force from the next start of a worker. A file
that was just taught changes no answer of a worker that runs: the same task would be answered in two ways, by the worker
that taught it and by its neighbours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import pickle
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from pinpoint.api.request import Request
from pinpoint.api.response import DocumentFailure, Response
from pinpoint.api.teach import Right
from pinpoint.decide.task_file import Setup, TaskFile
from pinpoint.documents.text import Document
from pinpoint.errors import PinpointError, RequestError
from pinpoint.evaluate.apart import Lesson
from pinpoint.evaluate.measured_answers import measured_of
from pinpoint.evaluate.task_parts import check_counts
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.prompting.taxonomy import labels_sha
from pinpoint.prompting.template import answer_ids
from pinpoint.serving.failures import internal_error

log = logging.getLogger("pinpoint")

LIBRARIES = ("scipy",)
WRITE_S = 5.0  # that a volume may take
_START = "import sys; sys.path[:0] = {path!r}; from pinpoint.evaluate.apart import main; main()"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_NOT_A_NAME = re.compile("[^a-z0-9]+")


class _Refused(NamedTuple):
    """An error that the process tells."""

    code: str
    message: str
    field: str | None


def check_lesson(request: Request) -> None:
    """Refuse what cannot be taught before any of it is measured.

    Raises:
        RequestError: `not_supported` where the libraries are not installed; too few documents, or one class only.
    """
    if request.lesson is None:
        return
    lacking = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if lacking:
        raise RequestError(
            "not_supported",
            f"teaching needs {', '.join(lacking)}, which this worker has not: pip install -r requirements-evaluate.txt",
            "teach",
        )
    check_counts(answer_ids(request.lesson.task), request.lesson.right)


class School:
    """Teaches one lesson after the other. Belongs to one event loop.

    Attributes:
        folder: where task files are kept; None for nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._one = asyncio.Semaphore(1)

    async def teach(
        self, request: Request, response: Response, engine: Engine, in_force: Callable[[str], str | None]
    ) -> dict[str, Any]:
        """The answer to a request that teaches, as plain values, but for its timing.

        Args:
            request: with a lesson.
            response: what was measured of its documents.
            engine: what measured.
            in_force: the name of the file that counts for a task, by its labels_sha.

        Raises:
            RequestError: too few documents could be read, or one class only.
            InternalError: the process failed.
        """
        assert request.lesson is not None
        lesson = await asyncio.to_thread(_lesson, request, response, engine)
        async with self._one:
            told = json.loads(await _apart(await asyncio.to_thread(pickle.dumps, lesson)))
        if "fault" in told:
            log.error("teaching failed %s", told["fault"])
            raise internal_error()
        if "error" in told:
            refused = _Refused(*told["error"])
            raise RequestError(refused.code, refused.message, refused.field)
        file = TaskFile.model_validate_json(json.dumps(told["task_file"]))
        async with self._one:  # two lessons for one task
            kept, why = await self._keep(file, request.lesson.replaces, in_force(file.setup.labels_sha))
        failures = [one.to_wire() for one in response.results if isinstance(one, DocumentFailure)]
        wire = response.to_wire()
        return {
            **told,
            "kept": kept,
            "not_kept": why,
            "failed": failures,
            **{name: wire[name] for name in ("usage", "memory", "model")},
        }

    async def _keep(self, file: TaskFile, replaces: bool, in_force: str | None) -> tuple[str | None, str | None]:
        """The name of the file that was written, or why none was."""
        if self.folder is None:
            return None, "the worker has no PINPOINT_TASKS"
        name = file_name(file)
        path = self.folder / name
        if in_force not in (None, name):
            return None, f"{in_force} is for this task; remove it first"
        try:
            async with asyncio.timeout(WRITE_S):
                if not replaces and await asyncio.to_thread(path.exists):
                    return None, f"{name} is there; send `replace`"
                await asyncio.to_thread(file.save, path)
        except TimeoutError:
            return None, "the folder does not answer"
        except PinpointError as error:
            return None, error.message
        except OSError as error:
            return None, f"the folder cannot be read: {error.strerror}"
        log.info("task_file=%s status=taught examples=%d", name, file.examples + file.held_out)
        return name, None


def file_name(file: TaskFile) -> str:
    """What a task's file is called: letters and digits of its name, and its labels_sha."""
    plain = _NOT_A_NAME.sub("-", file.task.casefold()).strip("-")[:40]
    return f"{plain or 'task'}-{file.setup.labels_sha}.json"


def _lesson(request: Request, response: Response, engine: Engine) -> Lesson:
    """What is handed to the process: documents that could be read, in the task's order of labels."""
    lesson = request.lesson
    assert lesson is not None
    task = lesson.task
    ids = answer_ids(task)
    log_probs, right, texts, masses = list[list[float]](), list[Right](), list[str](), list[float]()
    states = list[tuple[float, ...]]()
    refused = Counter[str]()
    for document, result, label in zip(request.documents, response.results, lesson.right, strict=True):
        if isinstance(result, DocumentFailure) or not isinstance(document, Document):
            refused[result.error.code if isinstance(result, DocumentFailure) else "internal"] += 1
            continue
        answer = result.answers[task.name]
        log_probs.append(measured_of(task, answer))
        masses.append(answer.label_mass)
        states.append(answer.state)
        right.append(label)
        texts.append("\n\n".join(document.pages))
    check_counts(ids, right)
    notes = tuple(f"{count} documents were refused as {code} and are left out" for code, count in refused.items())
    return Lesson(
        task,
        Setup.of(engine.info(labels_sha(task)), on_card=engine.on_card),
        log_probs,
        right,
        texts,
        lesson.target_errors,
        lesson.confidence_level,
        lesson.alphas,
        notes,
        states,
        masses,
        lesson.back_off,
    )


async def _apart(content: bytes) -> bytes:
    """What the process says; it is ended with whoever waits for it."""
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _START.format(path=[path for path in sys.path if path]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
        env=environment | {"LANG": "C.UTF-8", **dict.fromkeys(_THREADS, "1")},
    )  # fmt: skip
    try:
        said, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        log.error("teaching failed returncode=%s", process.returncode)
        raise internal_error()
    return said
