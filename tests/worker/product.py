"""Jobs for the product's own handler, good and bad, and a worker that runs it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.worker.emulator import Platform
from tests.worker.processes import WorkerProcess

HANDLER = Path(__file__).resolve().parent / "handlers" / "product.py"

# A few label sets, as an endpoint has: their beginnings fill the prefix store once and stay.
LABELS: tuple[tuple[str, ...], ...] = (
    ("invoice", "receipt", "purchase order", "contract"),
    ("urgent", "not urgent"),
    ("gas bill", "gas bill reminder", "electricity bill", "water bill", "something else"),
    ("complaint", "praise", "question", "error", "refresh_worker"),
)
TEXTS = (
    "Invoice no. {n}, dated 14 March, payable within 30 days. Total due: {n}.50 EUR, VAT included.",
    "Dear sirs, parcel {n} has still not arrived and nobody answers the telephone. I want my money back.",
    "Receipt {n}: 3 filing cabinets, paid by card. Keep it for the warranty.",
    "Your meter was read: {n} units. The standing charge and the units used are below. Please pay by the 30th.",
    "The parties agree that contract {n} ends when either gives notice in writing six months before.",
    "Purchase order {n} for office chairs and desks, deliver to the back door, ask for the manager.",
)

BAD: tuple[Any, ...] = (
    None,
    [],
    "classify this",
    {},
    {"text": "a", "lables": ["x", "y"]},
    {"text": None, "labels": ["x", "y"]},
    {"text": "\u200b\u200d", "labels": ["x", "y"]},
    {"text": "a", "labels": ["x"]},
    {"text": "a", "labels": ["finance", "\ufb01nance"]},
    {"text": "a", "labels": ["x", "y\ud800"]},
    {"text": "a", "labels": ["x", "y"], "options": {"top_k": 0}},
    {"text": "a", "labels": ["x", "y"], "options": {"threshold": float("nan")}},
    {"text": "a", "tasks": {"q": {"labels": ["x", "y"], "mask": ["x", "y"]}}},
    {"documents": [{"id": "1", "text": "a"}, {"text": "b"}], "labels": ["x", "y"]},
    {"text": "a" * 4_100_000, "labels": ["x", "y"]},
    {"text": "a", "labels": [f"label {n}" for n in range(10_000)]},
)


def good_job(chance: random.Random, tag: str) -> dict[str, Any]:
    """A job whose answer names `tag` as the document's id, so that it is known whose answer it is."""

    def text() -> str:
        return chance.choice(TEXTS).format(n=chance.randint(1, 10**6))

    labels = list(chance.choice(LABELS))
    shape = chance.random()
    if shape < 0.85:
        return {"documents": [{"id": tag, "text": text()}], "labels": labels}
    if shape < 0.92:
        documents = [{"id": f"{tag}/{n}", "text": text()} for n in range(chance.randint(2, 6))]
        return {"documents": documents, "labels": labels, "multi_label": chance.random() < 0.5}
    if shape < 0.97:  # two tasks, and one document that fails alone
        return {
            "documents": [{"id": tag, "text": text()}, {"id": f"{tag}/bad", "text": "a lone \ud800"}],
            "tasks": {"a": {"labels": labels}, "b": {"labels": list(LABELS[1])}},
        }
    return {"documents": [{"id": tag, "text": text()}], "labels": labels, "options": {"explain": True}}


def owner(output: Any) -> set[str]:
    """The tags of the documents in an answer."""
    return {str(result["id"]).partition("/")[0] for result in output["results"]}


def product_worker(
    platform: Platform, folder: Path, name: str, env: Mapping[str, object | None] | None = None, **options: Any
) -> WorkerProcess:
    """A worker with the embedded model; `env` are its settings and what is planted in it, None unsets."""
    told: dict[str, str | None] = {
        "MODEL_NAME": None,
        "MODEL_REVISION": None,
        "PINPOINT_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        **{key: None if value is None else str(value) for key, value in (env or {}).items()},
    }
    return WorkerProcess(platform, folder, name, env=told, **{"script": HANDLER, **options})
