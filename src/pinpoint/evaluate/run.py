"""One run of `evaluate`: a model asked about labelled documents, its answers kept, its report written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pinpoint import __version__
from pinpoint.decide.trust import Taught
from pinpoint.documents.file_reader import FileReader
from pinpoint.errors import PinpointError
from pinpoint.evaluate.answers_file import FIELD, AnswersFile, digest_of, key_of
from pinpoint.evaluate.asking import Answered, Asking, Question, sample
from pinpoint.evaluate.labelled_file import Line
from pinpoint.evaluate.read_files import read_with
from pinpoint.pipeline.classify import Find, no_task_file
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.prompting.taxonomy import labels_sha

REPORT, PAGE = "report.json", "report.html"
NEEDED = ("scipy", "matplotlib", "py3langid")


def check_installed() -> None:
    """Raise PinpointError `missing_extra` where what a report needs is not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise PinpointError(
            "missing_extra", f"a report needs {', '.join(missing)}: pip install -r requirements-evaluate.txt", FIELD
        )


class Job:
    """What is asked, of which documents, and who answers."""

    def __init__(
        self,
        lines: Sequence[Line],
        question: Question,
        engine: Engine,
        reader: FileReader,
        max_file_bytes: int,
        find: Find = no_task_file,
    ) -> None:
        """Begin nothing yet."""
        self.lines, self.question, self._find = lines, question, find
        self._engine, self._reader, self._max_file_bytes = engine, reader, max_file_bytes

    def answers(self, lines: Sequence[Line] | None = None) -> Iterator[list[Answered]]:
        """The answered lines, all or some, job after job; see `Asking.answers`."""
        again = sample(self.lines, self.question.again)
        asking = Asking(self._engine, self.question, read_with(self._reader), self._max_file_bytes, again, self._find)
        try:
            yield from asking.answers(self.lines if lines is None else lines)
        finally:
            self._reader.close()

    def kept_in(self, folder: Path) -> AnswersFile:
        """The answers' file of this run. Raises PinpointError where the folder holds another run."""
        return AnswersFile(folder, self.told())

    def told(self) -> dict[str, Any]:
        """What run.json holds: with the same, the same documents get the same answers."""
        model, question = self._engine.info(""), self.question
        asked = question.request(self.lines[0].labels, [{"text": "text"}])
        standing = self._find(asked.tasks[0], asked.options)
        return {
            "pinpoint": __version__,
            "data": {"documents": len(self.lines), "digest": digest_of(self.lines)},
            "question": {
                "task": question.name,
                **question.fields,
                **({"labels_first": True} if asked.tasks[0].labels_first else {}),
                "options": dict(question.options),
                "labels_sha": labels_sha(asked.tasks),
                "labels": [*dict.fromkeys(label for line in self.lines for label in line.labels)],
            },
            "taught": {"calibration": standing.digest} if isinstance(standing, Taught) else {},
            "again": {"documents": question.again, "wordings": dict(question.wordings)},
            "model": {
                "name": model.name,
                "revision": model.revision,
                "precision": model.precision,
                "prompt_version": model.prompt_version,
            },
        }


def read_report(path: Path) -> dict[str, Any]:
    """An earlier report. Raises PinpointError `unreadable_file` for what is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if all({"key", "right"} <= one.keys() for one in found["details"]):
            return dict(found)
    except OSError as error:
        raise PinpointError("unreadable_file", f"cannot be read: {error.strerror}", "--against") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise PinpointError("unreadable_file", f"is no {REPORT} of `evaluate --out`", "--against")


def write_report(
    folder: Path, answers: Sequence[Answered], job: Job, price: float | None, earlier: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Write report.json and report.html into the folder of a finished run; returns the report."""
    from pinpoint.evaluate.compare import compare
    from pinpoint.evaluate.page import page
    from pinpoint.evaluate.report import build_report

    report = build_report(answers, job.told(), [key_of(line) for line in job.lines], price)
    if earlier is not None:
        report["against"] = {"run": earlier.get("run"), **compare(report["details"], earlier["details"])}
    try:
        (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (folder / PAGE).write_text(page(report), encoding="utf-8")
    except OSError as error:
        raise PinpointError("cannot_write", f"cannot be written: {error.strerror}", FIELD) from None
    return report
