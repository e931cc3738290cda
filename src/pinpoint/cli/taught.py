"""Task files of PINPOINT_TASKS for the commands that answer in this process: loaded, and said where none counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pinpoint.api.request import Options
from pinpoint.prompting.taxonomy import Task

if TYPE_CHECKING:
    from pinpoint.pipeline.engine_protocol import Engine
    from pinpoint.serving.task_files import TaskFiles
    from pinpoint.settings import Settings

# By what `decide.trust.standing` says, which is imported where it is needed, with all that computes.
WHY = {
    "no_task_file": "none of the task files in {folder} is for this question; labels, their order and descriptions, "
    "instructions and the question's name have to be those that were taught, and so whether labels are read first",
    "task_file_refused": "the task file for this question was refused, as said above",
}


def load_taught(settings: Settings, engine: Engine) -> TaskFiles:
    """The task files that count with this engine; those that are refused are told on standard error."""
    from pinpoint.serving.task_files import TaskFiles

    taught = TaskFiles(Path(settings.tasks) if settings.tasks else None)
    taught.load(engine)
    for name, why in taught.refused.items():
        typer.echo(f"note: task file {name} is not used: {why}", err=True)
    return taught


def say_what_counts(taught: TaskFiles, tasks: Sequence[Task], options: Options) -> None:
    """A note on standard error where there are task files, and none of them counts for a question."""
    from pinpoint.decide.trust import Taught

    for task in tasks if taught.folder is not None else ():
        standing = taught.find(task, options)
        if not isinstance(standing, Taught):
            why = WHY.get(standing, "the task file does not count for this question as it is asked: {standing}")
            said = why.format(folder=taught.folder, standing=standing)
            typer.echo(f"note: {said}; `confidence` stays null", err=True)
