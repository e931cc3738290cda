"""A bulk run over workers of the product, one of which is killed: every file has the answer that its text has."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pinpoint.cli import app
from pinpoint.client import Pinpoint
from tests.worker.emulator import API_KEY, ENDPOINT, Platform
from tests.worker.processes import WorkerProcess
from tests.worker.product import LABELS, TEXTS, product_worker


def test_client_bulk_over_the_product_with_a_worker_that_is_killed(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.endpoint, platform.key = ENDPOINT, API_KEY
    monkeypatch.setenv("RUNPOD_ENDPOINT_BASE_URL", platform.base_url)
    monkeypatch.setenv("RUNPOD_API_KEY", API_KEY)
    folder, out = tmp_path / "in", tmp_path / "out.csv"
    folder.mkdir()
    for number in range(24):
        (folder / f"{number:02}.txt").write_text(TEXTS[number % len(TEXTS)].format(n=number))
    (folder / "99.pdf").write_bytes(b"%PDF-1.7 and no more")
    words = ["classify", str(folder), "--labels", ",".join(LABELS[0]), "--endpoint", ENDPOINT, "--out", str(out)]
    slow = {"PLANT_PASS_S": 3}  # so that it is killed with jobs in its hands
    with product_worker(platform, tmp_path, "w1", slow) as first, product_worker(platform, tmp_path, "w2"):
        platform.spawn(_kill_once_it_holds_a_job(platform, first))
        result = CliRunner().invoke(app, [*words, "--job-documents", "3"])
        texts = [TEXTS[number % len(TEXTS)].format(n=number) for number in range(24)]
        with Pinpoint(endpoint=ENDPOINT) as client:
            labels = client.classify(texts, LABELS[0]).labels
    assert result.exit_code == 1 and "file_damaged 1" in result.output, result.output
    rows = {Path(row["id"]).stem: row for row in csv.DictReader(out.read_text().splitlines())}
    assert len(rows) == 25 and rows["99"]["error"].startswith("file_damaged")
    assert platform.ledger.answered_by["w1"] == 0 and platform.ledger.audit().lost == ()
    assert [rows[f"{number:02}"]["label"] for number in range(24)] == labels


async def _kill_once_it_holds_a_job(platform: Platform, worker: WorkerProcess) -> None:
    while not any(job.deliveries and job.deliveries[-1].worker == "w1" for job in platform.ledger.jobs.values()):
        await asyncio.sleep(0.05)
    worker.process.kill()
    await asyncio.sleep(0.2)
    platform.worker_lost("w1")
