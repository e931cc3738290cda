"""The names that the model answers to, and the list of them that satisfies the clients of both decision formats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pinpoint.api.limits import visible
from pinpoint.errors import RequestError

ANY_MODEL = "pinpoint"  # whatever model is loaded


def model_names(loaded: str, aliases: str) -> tuple[str, ...]:
    """Return the names: the model's own, `pinpoint`, and those in a setting, between commas."""
    given = (name.strip() for name in aliases.split(","))
    return tuple(dict.fromkeys(name for name in (loaded, ANY_MODEL, *given) if name))


def check_model(asked: str | None, names: Sequence[str]) -> None:
    """Raise RequestError `unknown_model_name` for a name that is none of them."""
    if asked is not None and asked not in names:
        known = ", ".join(map(visible, names))
        raise RequestError("unknown_model_name", f"there is no model of this name here; there is {known}", "model")


def models_body(names: Sequence[str], began_s: float) -> dict[str, object]:
    """Return the models as a list in OpenAI's shape and in TypeSafe's; `began_s` is when this worker began, Unix time.

    When a model was released is not known: its date is that of the worker's start.
    """
    day = datetime.fromtimestamp(began_s, UTC).date().isoformat()
    return {
        "object": "list",
        "data": [
            {"id": name, "object": "model", "created": int(began_s), "owned_by": "pinpoint"} for name in names
        ],
        "models": [
            {"name": name, "description": _described(name, names[0]), "release_date": day} for name in names
        ],
    }  # fmt: skip


def _described(name: str, loaded: str) -> str:
    return "The model that is loaded." if name == loaded else f"Another name of {loaded}."
