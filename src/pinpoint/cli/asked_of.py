"""The question that a command asks about labelled documents: labels, a task in a file, or a taxonomy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinpoint.api.deployed import NOTHING, Deployed, Taxonomy
from pinpoint.api.request import SHORT_FORM_TASK, parse_request
from pinpoint.api.taxonomy_files import read_taxonomy
from pinpoint.api.teach import Called, places_of
from pinpoint.cli.question_file import read_question
from pinpoint.errors import PinpointError

if TYPE_CHECKING:
    from pinpoint.evaluate.asking import Question
    from pinpoint.prompting.taxonomy import Label

NO_MORE: Mapping[str, bool] = {}


def read_asked(
    labels: str | None,
    taxonomy: str | None,
    task: Path | None,
    instructions: str | None,
    beside: Mapping[str, bool] = NO_MORE,
) -> tuple[Question, Sequence[str] | str, Called[str] | None]:
    """The question, the labels to choose from, empty where each line has its own, and ids by what else labels may be
    called, as `teach` reads them.

    Args:
        labels: "invoice,receipt,…".
        taxonomy: the file of one, or the name of one that is deployed here.
        task: a file, as `read_question` reads it.
        instructions: in place of those of the file.
        beside: what is said of `labels` (`asked_options.beside_labels`); a file says so itself.

    Raises PinpointError for what cannot be asked, and for tasks that have no one right label.
    """
    from pinpoint.evaluate.asking import Question

    own = {"instructions": instructions} if instructions else {}
    if taxonomy is not None or task is not None or beside:
        name, fields, deployed = read_deployed(task, labels, taxonomy, instructions, beside)
        given = ["--labels" if beside else "--taxonomy" if task is None else "--task"]
    else:
        return Question(fields=own), labels or "", None
    made = parse_request({"text": "text", "tasks": {name: fields}}, deployed=deployed).tasks[0]
    if made.kind != "choice":
        raise PinpointError("not_supported", "documents have labels here: a task of type choice", given[0])
    described = {label.id: _told(label) for label in made.labels if label.id != made.other}
    offered = (*described, made.other) if made.other is not None else tuple(described)
    places = places_of(made)
    written, meant = (
        {called: made.labels[place].id for called, place in some.items()} for some in (places.written, places.meant)
    )
    if made.sets:
        question = Question(name=name, fields=fields, whole=True, deployed=deployed, sets=True)
    elif made.tree is not None or "taxonomy" in fields:
        question = Question(name=name, fields=fields, whole=True, deployed=deployed, other=made.other)
    else:
        fields = {key: value for key, value in fields.items() if key != "labels"}
        question = Question(name=name, fields=fields, described=described, other=made.other)
    return question, offered, Called(written, meant)


def read_deployed(
    task: Path | None,
    labels: str | None,
    taxonomy: str | None,
    instructions: str | None,
    beside: Mapping[str, bool] = NO_MORE,
) -> tuple[str, dict[str, Any], Deployed]:
    """The name of a question, its fields as under `tasks` of a request, and the taxonomies that they may name.

    Args:
        task, labels, taxonomy: one of them, as of `read_asked`.
        instructions: in place of those of the file.
        beside: what is said of `labels`; a file says so itself.

    Raises PinpointError for none or several of them, and for a file that is no question.
    """
    given = [name for name, value in (("--labels", labels), ("--taxonomy", taxonomy), ("--task", task)) if value]
    if len(given) > 1:
        raise PinpointError("conflicting_fields", f"send either this or {given[0]}, not both", given[1])
    if taxonomy is None:
        name, fields = read_question(task, labels, instructions)
        return name, fields | dict(beside), NOTHING
    deployed, known = _deployed(taxonomy)
    return SHORT_FORM_TASK, {"taxonomy": known, **({"instructions": instructions} if instructions else {})}, deployed


def _deployed(taxonomy: str) -> tuple[Deployed, str]:
    """What may be named, and the name."""
    path = Path(taxonomy)
    if path.suffix:
        return Deployed({path.stem: Taxonomy(path.stem, read_taxonomy(path).task)}), path.stem
    from pinpoint.serving.taxonomies import load_taxonomies
    from pinpoint.settings import read_settings

    return load_taxonomies(read_settings().taxonomies), taxonomy


def _told(label: Label) -> dict[str, Any]:
    """A label as a request has it, its id aside."""
    more = {"description": label.description, "examples": list(label.examples)}
    return {"name": label.name} | {key: value for key, value in more.items() if value}
