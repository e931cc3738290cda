"""Answers as the commands and the worker write them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("invoice", "receipt", "contract")


def answer(best: float = 0.8, labels: Sequence[str] = LABELS, **more: Any) -> dict[str, Any]:
    """One, with a best label this likely and the rest shared."""
    rest = (1 - best) / (len(labels) - 1)
    scores = [best, *[rest] * (len(labels) - 1)]
    told: dict[str, Any] = {"label": labels[0], "score": best, "labels": list(labels), "scores": scores}
    return {**told, "margin": best - rest, "confidence": None, "decision": "accept", "reasons": [], **more}


def result(identity: str, text: str | None, best: float = 0.8, **more: Any) -> dict[str, Any]:
    """A member of `results`, with its text."""
    told = {"id": identity, "status": "ok", "answers": {"category": answer(best, **more)}}
    return told if text is None else {**told, "text": text}


def write(path: Path, *values: Any) -> Path:
    """JSON lines."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path
