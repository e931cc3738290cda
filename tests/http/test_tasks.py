"""Task files over HTTP, on the embedded model: one that counts, one that does not, and one that is taught here."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx

from pinpoint.decide.task_file import TaskFile
from tests.http.running import Server
from tests.task_files import ELSEWHERE, TAUGHT, check_mismatch, check_taught

OPTIONS = {"target_error": 0.05, "alpha": 0.1, "return_raw": True}
KINDS = {
    "invoice": "Invoice no. {n}, dated 14 March, payable within 30 days. Total due: {n}.50 EUR, VAT included.",
    "complaint": "Parcel {n} has still not arrived and nobody answers the telephone. I want my money back.",
    "contract": "The parties agree that contract {n} ends when either gives notice in writing six months before.",
}

WORDS = [
    front + middle + end for front in ("ka", "lo", "mi", "tu") for middle in "bdfgk" for end in ("ra", "sen", "to")
]


def asked(http: httpx.Client, labels: list[str]) -> dict[str, Any]:
    answer = http.post("/classify", json={"text": "Your meter was read.", "labels": labels, "options": OPTIONS})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["results"][0]["answers"]["category"]
    return found


def test_a_deployed_task_file_gives_confidence_and_certificates(http: httpx.Client) -> None:
    check_taught(asked(http, TAUGHT))


def test_a_file_for_another_revision_gives_null_and_is_said(http: httpx.Client, server: Server) -> None:
    check_mismatch(asked(http, ELSEWHERE))
    health = http.get("/health").json()
    (refused,) = health["tasks"]["refused"]
    assert refused["file"] == "elsewhere.json" and "revision is embedded, taught with old" in refused["reason"]
    assert [one["file"] for one in health["tasks"]["in_force"]] == ["bills.json"]
    assert "task_file=elsewhere.json status=refused" in server.log.read_text()
    assert 'pinpoint_task_files{state="refused"} 1.0' in http.get("/metrics").text


def test_documents_that_are_sent_teach_a_task(http: httpx.Client, tasks: Path) -> None:
    draw = random.Random(3)
    documents = [
        {"text": f"{text.format(n=number)} {' '.join(draw.choices(WORDS, k=20))}", "label": label}
        for number in range(40)
        for label, text in KINDS.items()
    ]
    body = {"name": "mail", "task": {"labels": list(KINDS)}, "documents": documents, "target_errors": [0.1]}
    answer = http.post("/v1/tasks", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    file = TaskFile.load(tasks / told["kept"])
    assert (file.task, file.labels, file.examples + file.held_out) == ("mail", list(KINDS), 120)
    assert told["task_file"]["setup"] == file.setup.model_dump()
    assert len(told["task_file"]["certificates"]) + len(told["task_file"]["refused_certificates"]) == 1
    refused = http.post("/v1/tasks", json=body | {"documents": documents[:9]})
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "too_few_documents"
    alike = [{"text": text.format(n=1), "label": label} for label, text in KINDS.items()] * 20
    refused = http.post("/v1/tasks", json=body | {"documents": alike})
    assert (
        refused.status_code == 400 and "60 labelled documents, of which 3 differ" in refused.json()["error"]["message"]
    )
