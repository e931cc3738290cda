"""A deployed task file through the platform's queue: it gives confidence and certificates, a mismatch gives null."""

from __future__ import annotations

from pathlib import Path

from tests.task_files import ELSEWHERE, TAUGHT, check_mismatch, check_taught, deployed
from tests.worker.emulator import Platform
from tests.worker.product import product_worker

OPTIONS = {"target_error": 0.05, "alpha": 0.1, "return_raw": True}
KINDS = {"invoice": "Invoice no. {n}. Total due: {n}.50 EUR.", "complaint": "Parcel {n} has still not arrived."}
ENDS_S = 60.0


def test_a_deployed_task_file_a_mismatch_and_a_lesson_over_the_queue(platform: Platform, tmp_path: Path) -> None:
    folder = deployed(tmp_path / "tasks")
    with product_worker(platform, tmp_path, "w1", {"PINPOINT_TASKS": folder}) as worker:
        ids = [
            platform.submit({"text": "Your meter was read.", "labels": labels, "options": OPTIONS})
            for labels in (TAUGHT, ELSEWHERE)
        ]
        documents = [
            {"text": f"{text.format(n=n)} {word * 9}", "label": label}
            for n, word in enumerate(("alpha", "brave", "chalk", "drum", "eagle", "frost", "gold", "house"))
            for label, text in KINDS.items()
        ]
        lesson = platform.submit({"teach": {"task": {"labels": list(KINDS)}, "documents": documents}})
        taught, elsewhere, learned = platform.ledger.wait_final(*ids, lesson, timeout_s=ENDS_S)
        check_taught(taught.answers[0].payload["output"]["results"][0]["answers"]["category"])
        check_mismatch(elsewhere.answers[0].payload["output"]["results"][0]["answers"]["category"])
        output = learned.answers[0].payload["output"]
        assert output["task_file"]["labels"] == list(KINDS) and (folder / output["kept"]).is_file()
        worker.wait_output("task_file=elsewhere.json status=refused", ENDS_S)
        assert platform.ledger.audit().clean
