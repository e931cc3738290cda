"""A question in a file of its own: one task as it stands in a request, in JSON or YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinpoint.api.deployed import NOTHING, Deployed
from pinpoint.api.label_list import typed_labels
from pinpoint.api.request import SHORT_FORM_TASK, parse_request
from pinpoint.errors import PinpointError, RequestError
from pinpoint.prompting.taxonomy import Task


def read_question(path: Path | None, labels: str | None, instructions: str | None) -> tuple[str, dict[str, Any]]:
    """The name of the task and its fields, as under `tasks` of a request.

    Args:
        path: a list of labels; an object with `labels` or `levels`, and perhaps `name`, `type`, `instructions`, `mask`,
            `prior`; or one with `tasks` that holds one task by its name.
        labels: in place of a file, "invoice,receipt,…".
        instructions: in place of the file's.

    Raises PinpointError for a file that is none of it.
    """
    if (path is None) == (labels is None):
        raise PinpointError("missing_field", "name the labels: one of --task FILE and --labels", "task")
    value: Any = typed_labels(labels or "") if path is None else _read(path)
    if isinstance(value, list):
        value = {"labels": value}
    if not isinstance(value, dict):
        raise PinpointError("wrong_type", "a task is an object, or a list of labels", "task")
    name, fields = SHORT_FORM_TASK, value
    if "tasks" in value:
        tasks = value["tasks"]
        if not isinstance(tasks, dict) or len(tasks) != 1:
            raise PinpointError("wrong_type", "`tasks` holds one task by its name; teach them one by one", "task")
        [(name, fields)] = tasks.items()
    elif "name" in value:
        name = value["name"]
        fields = {key: one for key, one in value.items() if key != "name"}
    if not isinstance(name, str) or not isinstance(fields, dict):
        raise PinpointError("wrong_type", "a task is an object, and its name a string", "task")
    return name, dict(fields) | ({} if instructions is None else {"instructions": instructions})


def built(name: str, fields: Mapping[str, Any], deployed: Deployed = NOTHING) -> Task:
    """The task, checked as a request's is; `deployed` are taxonomies that it may name. Raises RequestError."""
    return parse_request({"text": "text", "tasks": {name: fields}}, deployed=deployed).tasks[0]


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PinpointError("unreadable_file", f"cannot be read: {error.strerror}", "task") from None
    except UnicodeDecodeError:
        raise PinpointError("invalid_encoding", "a task is written in UTF-8", "task") from None
    try:
        if path.suffix.lower() in (".yaml", ".yml"):
            import yaml

            try:
                return yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ValueError(str(getattr(error, "problem", "") or "not YAML")) from None
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise RequestError("invalid_request", f"neither JSON nor, by its name, YAML: {what}", "task") from None
