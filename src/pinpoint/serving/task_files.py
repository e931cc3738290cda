"""The task files that a worker was given: read once, when the model is loaded, each in force or refused in words.

A file counts for the label set, model, revision, precision, prompt and build that it was taught with and for nothing
else. What is refused is said in the log, in health and in the metrics, and answers to its task are as without it.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pinpoint.api.answer import Answer
from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentResult, Response
from pinpoint.decide.task_file import Setup, TaskFile
from pinpoint.decide.trust import NO_TASK_FILE, TASK_FILE_REFUSED, Standing, Taught, standing
from pinpoint.errors import PinpointError
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.prompting.taxonomy import Task, labels_sha
from pinpoint.prompting.template import answer_ids
from pinpoint.serving.watch.drift import Drift

log = logging.getLogger("pinpoint")

SUFFIX = ".json"
MAX_FILES = 1000
DIGEST_CHARS = 16
MAX_WORDS = 300  # characters of a name or a reason


@dataclass(slots=True)
class _Kept:
    """A file in force and what its answers were like."""

    taught: Taught
    drift: Drift | None


@dataclass(slots=True)
class TaskFiles:
    """Files of a folder; without one there are none.

    Attributes:
        folder: of the files.
        refused: by the name of the file, why.
    """

    folder: Path | None
    refused: dict[str, str] = field(default_factory=dict)
    _in_force: dict[str, _Kept] = field(default_factory=dict)  # by labels_sha
    _refused_labels: set[str] = field(default_factory=set)
    _ambiguous: set[str] = field(default_factory=set)

    def load(self, engine: Engine) -> None:
        """Read the folder; what cannot be used is refused, and the others count."""
        if self.folder is None:
            return
        try:
            paths = sorted(path for path in self.folder.iterdir() if _is_ours(path))
        except OSError as error:
            self._set_aside(self.folder.name, f"the folder cannot be read: {error.strerror}")
            return
        for path in paths[MAX_FILES:]:
            self._set_aside(path.name, f"more than {MAX_FILES} files")
        for path in paths[:MAX_FILES]:
            self._read(path, engine)

    def find(self, task: Task, options: Options) -> Standing:
        """What counts for a task as it is asked, or why nothing does."""
        if not self._in_force and not self._refused_labels:
            return NO_TASK_FILE
        digest = labels_sha(task)
        kept = self._in_force.get(digest)
        if kept is None:
            return TASK_FILE_REFUSED if digest in self._refused_labels else NO_TASK_FILE
        return standing(task, options, kept.taught)

    def in_force(self, digest: str) -> str | None:
        """The name of the file in force for a labels_sha."""
        kept = self._in_force.get(digest)
        return None if kept is None else kept.taught.name

    def seen(self, request: Request, response: Response) -> None:
        """Compare the answers by files in force with their references."""
        by_digest = {kept.taught.digest: kept for kept in self._in_force.values()}
        for result in response.results:
            if isinstance(result, DocumentResult) and by_digest:
                for task in request.tasks:
                    answer = result.answers[task.name]
                    if answer.calibration in by_digest:
                        self._compare(by_digest[answer.calibration], task, answer)

    @property
    def reasons(self) -> dict[str, str]:
        """What health has to say of them, by name."""
        found = {}
        if self.refused:
            name, why = next(iter(self.refused.items()))
            others = f"; and {len(self.refused) - 1} more" if len(self.refused) > 1 else ""
            found["task_files_refused"] = f"{name}: {why}{others}"
        drifting = [kept for kept in self._in_force.values() if kept.drift is not None and kept.drift.drifting]
        if drifting:
            found["task_drift"] = "; ".join(_words(kept) for kept in drifting)
        return found

    def told(self) -> dict[str, Any]:
        """Plain values: the files in force with the drift of their last window, and those refused."""
        return {
            "in_force": [
                {
                    "file": kept.taught.name,
                    "calibration": kept.taught.digest,
                    "labels_sha": labels,
                    "made": kept.taught.file.made.isoformat(),
                    "examples": kept.taught.file.examples + kept.taught.file.held_out,
                    "answers": 0 if kept.drift is None else kept.drift.answers,
                    "drift": {} if kept.drift is None else {
                        name: {"p_value": round(one.p_value, 6), "size": round(one.size, 4), "drifts": one.drifts}
                        for name, one in kept.drift.last.items()
                    },
                }
                for labels, kept in self._in_force.items()
            ],
            "refused": [{"file": name, "reason": why} for name, why in self.refused.items()],
        }  # fmt: skip

    def _read(self, path: Path, engine: Engine) -> None:
        try:
            file = TaskFile.load(path)
        except PinpointError as error:
            self._set_aside(path.name, _told(error))
            return
        labels = file.setup.labels_sha
        try:
            file.check(Setup.of(engine.info(labels), on_card=engine.on_card))
        except PinpointError as error:
            self._set_aside(path.name, _told(error), labels)
            return
        if labels in self._in_force or labels in self._ambiguous:  # which was meant is not for us to guess
            self._ambiguous.add(labels)
            earlier = self._in_force.pop(labels, None)
            for name in [path.name] if earlier is None else [earlier.taught.name, path.name]:
                self._set_aside(
                    name, "conflict: another file is for the same task and set-up; leave one of them", labels
                )
            return
        taught = Taught(file, digest_of(file), path.name)
        self._in_force[labels] = _Kept(
            taught, Drift(file.reference) if file.reference is not None and file.reference.n else None
        )
        log.info(
            "task_file=%s status=in_force labels_sha=%s examples=%d certificates=%d",
            _printable(path.name), labels, file.examples + file.held_out, len(file.certificates),
        )  # fmt: skip

    def _set_aside(self, name: str, why: str, labels: str | None = None) -> None:
        self.refused[name] = _printable(why)
        if labels is not None:
            self._refused_labels.add(labels)
        log.warning("task_file=%s status=refused reason=%s", _printable(name), _printable(why))

    def _compare(self, kept: _Kept, task: Task, answer: Answer) -> None:
        if kept.drift is None:
            return
        if (
            kept.drift.add(answer_ids(task).index(answer.labels[0]), answer.scores[0], answer.label_mass)
            and kept.drift.drifting
        ):
            log.warning("task_file=%s status=drifts %s", _printable(kept.taught.name), _words(kept))


def _is_ours(path: Path) -> bool:
    """Not what is half written, nor what would never end."""
    return path.suffix == SUFFIX and not path.name.startswith(".") and path.is_file()


def digest_of(file: TaskFile) -> str:
    """A short digest of what a file says, which answers by it name."""
    return hashlib.sha256(file.model_dump_json().encode()).hexdigest()[:DIGEST_CHARS]


def _told(error: PinpointError) -> str:
    return f"{error.code}: {error.message}"


def _words(kept: _Kept) -> str:
    shifts = {} if kept.drift is None else kept.drift.drifting
    told = ", ".join(f"{name} {one.size:+.3f} (p={one.p_value:.1g})" for name, one in shifts.items())
    return f"{_printable(kept.taught.name)}: {told}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_WORDS])
