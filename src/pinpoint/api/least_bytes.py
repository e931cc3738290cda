"""What an answer takes at least, told from the request: work whose answer could never be sent is not begun."""

from __future__ import annotations

import json

from pinpoint.api.request import Request
from pinpoint.api.response import response_too_large
from pinpoint.prompting.taxonomy import Task

SEPARATOR_BYTES = 2  # ", "
SCORE_BYTES = 3  # "0.0"


def check_least_bytes(request: Request, documents: int, max_bytes: int) -> None:
    """Raise CapacityError `response_too_large` where the answers to so many documents have more bytes in any case."""
    least = documents * sum(_answer_bytes(task, request.options.top_k) for task in request.tasks)
    if request.shape == "pinpoint":
        least += documents * sum(map(_item_bytes, request.warnings))
    if least > max_bytes:
        raise response_too_large(f"at least {least}", max_bytes)


def _answer_bytes(task: Task, top_k: int | None) -> int:
    """Bytes of the shortest labels that may be shown, and of a score for each, in two lists."""
    shown = sorted(_item_bytes(label.id) for label in task.labels if label.id not in task.mask)[:top_k]
    return sum(shown) + len(shown) * (SCORE_BYTES + SEPARATOR_BYTES) - 2 * SEPARATOR_BYTES


def _item_bytes(text: str) -> int:
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")) + SEPARATOR_BYTES
