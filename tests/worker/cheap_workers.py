"""Workers that cost nothing: coroutines in the platform's own loop, which answer by looking at the text.

A document is answered with the first label whose name is in it, else with the first label. What else a worker does is
asked for in the text: `refuse CODE` refuses the document, `fail CODE` the job for this document, `stop CODE` the job
for whatever it is, `die` ends the worker.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from tests.worker.emulator import Platform
from tests.worker.ledger import FINAL, Delivery, Job

ASKED = re.compile(r"\b(refuse|fail|stop|die)\b ?([a-z_]*)")
LOOK_S = 0.05
MODEL = {"name": "cheap", "revision": "1", "precision": "int8", "prompt_version": 1, "labels_sha": "00"}


class CheapWorkers:
    """Workers of a platform.

    Attributes:
        service_s: how long one is busy with a job.
        answered: jobs, by worker.
        span_s: from the first job's start to the last one's end.
    """

    def __init__(self, platform: Platform, names: tuple[str, ...], service_s: float = 0.0) -> None:
        self.platform = platform
        self.service_s = service_s
        self.answered = dict.fromkeys(names, 0)
        self._dead: set[str] = set()
        self._began_s: float | None = None
        self._ended_s = 0.0
        for name in names:
            platform.spawn(self._work(name))

    @property
    def span_s(self) -> float:
        """From the first job's start to the last one's end."""
        return self._ended_s - (self._began_s or 0.0)

    def kill(self, name: str) -> list[str]:
        """End a worker as a lost machine ends: what it holds goes back into the queue."""
        self._dead.add(name)
        return self.platform.worker_lost(name)

    async def _work(self, name: str) -> None:
        ledger = self.platform.ledger
        while not self.platform.closing.is_set() and name not in self._dead:
            with ledger.change():
                jobs = self.platform.pop_queue(1)
                for job in jobs:
                    job.status = "IN_PROGRESS"
                    job.deliveries.append(Delivery(name, ledger.now_s()))
            if not jobs:
                self.platform.queue_changed.clear()
                await self.platform.wait_queue(LOOK_S)
                continue
            self._began_s = ledger.now_s() if self._began_s is None else self._began_s
            await asyncio.sleep(self.service_s)
            self._ended_s = ledger.now_s()
            if name not in self._dead:
                self._settle(name, jobs[0])

    def _settle(self, name: str, job: Job) -> None:
        value = json.loads(job.raw)["input"]
        told = answer(value)
        if told is None:
            self.kill(name)
            return
        with self.platform.ledger.change():
            if job.status in FINAL:
                return
            job.output, job.error = told.get("output"), told.get("error")
            job.status = "FAILED" if job.error else "COMPLETED"
            job.ended_s = self.platform.ledger.now_s()
            job.raw = b""  # so that long runs do not fill the memory
            self.answered[name] += 1


def answer(value: dict[str, Any]) -> dict[str, Any] | None:
    """What a job is answered; None where its worker dies of it."""
    labels = [one if isinstance(one, str) else one["name"] for one in value["labels"]]
    results = []
    for place, document in enumerate(value["documents"]):
        text, name = str(document.get("text", "")), document.get("id", str(place))
        asked = ASKED.search(text)
        if asked and asked[1] == "die":
            return None
        if asked and asked[1] == "fail":
            return {"error": f"{asked[2]}: asked for (documents[{place}].text)"}
        if asked and asked[1] == "stop":
            return {"error": f"{asked[2]}: asked for"}
        if asked:
            told = {"code": asked[2], "message": "asked for", "field": f"documents[{place}]"}
            results.append({"id": name, "status": "error", "error": told})
            continue
        best = next((label for label in labels if label in text), labels[0])
        results.append({
            "id": name, "status": "ok", "answers": {"category": {
                "label": best, "score": 0.9, "labels": [best, *(one for one in labels if one != best)],
                "scores": [0.9, *[round(0.1 / (len(labels) - 1), 6)] * (len(labels) - 1)], "margin": 0.8,
                "label_mass": 0.95, "confidence": None, "decision": "accept", "reasons": []}},
            "input": {"pages": 1, "tokens": len(text.split()), "tokens_dropped": 0, "extractor": "text"},
            "warnings": []})  # fmt: skip
    tokens = sum(len(str(one.get("text", "")).split()) for one in value["documents"])
    usage = {"prompt_tokens": tokens, "cached_tokens": 0, "completion_tokens": 0}
    return {"output": {"results": results, "usage": usage, "model": MODEL}}
