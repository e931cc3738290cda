"""Documents from files through the worker: one shape of answer, each refusal alone, and text that is never held up."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from pinpoint.pipeline import files
from pinpoint.serving import answering
from pinpoint.serving import worker as worker_module
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests import file_makers as make
from tests.fakes import FakeEngine

LABELS = ["invoice", "receipt", "contract"]


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


PDF = encoded(make.text_pdf(["Invoice 7", "Total 12.00"]))


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    engine = FakeEngine()
    monkeypatch.setattr(worker_module, "get_scorer", lambda settings: engine)
    made = Worker(Settings(ocr="off"))
    yield made
    made._files.close()


async def answer(worker: Worker, raw: object, job_id: str = "") -> Any:
    return await worker.handle({"id": job_id, "input": raw})


def test_documents_of_all_forms_in_one_job(worker: Worker) -> None:
    documents = [
        {"id": "pdf", "base64": PDF, "mime": "application/pdf"},
        {"id": "text", "text": "Invoice 7"},
        {"id": "broken", "base64": encoded(b"%PDF-1.7 nothing")},
        {"id": "not base64", "base64": "data:application/pdf;base64,AAAA"},
        {"id": "padding", "base64": "QUJD="},
        {"id": "differs", "base64": PDF, "mime": "image/png"},
        {"id": "scan", "base64": encoded(make.scanned_pdf([make.rendered(make.text_pdf(["x"]), dpi=20)]))},
        {"id": "address", "url": "https://169.254.169.254/latest/meta-data/"},
        {"id": "csv", "base64": encoded(b"Item,Price\nTea,1"), "filename": "a.csv"},
        {"id": "mail", "base64": encoded(make.mail(attachments=[("a.txt", "text/plain", b"words")])),
         "attachments": "documents"},
    ]  # fmt: skip
    came = asyncio.run(answer(worker, {"documents": documents, "labels": LABELS}))
    json.dumps(came, allow_nan=False)
    results = {result["id"]: result for result in came["results"]}
    assert list(results) == [*(document["id"] for document in documents), "mail/1"]
    read = results["pdf"]["input"]
    assert {name: read[name] for name in ("pages", "tokens_dropped", "type", "text_source")} == {
        "pages": 2, "tokens_dropped": 0, "type": "pdf", "text_source": ["embedded", "embedded"],
    }  # fmt: skip
    assert read["extractor"].startswith("pypdfium2 ") and read["tokens"] > 0
    assert set(results["text"]["input"]) == {"pages", "tokens", "tokens_dropped", "extractor"}
    assert results["csv"]["input"]["type"] == "csv" and results["mail/1"]["input"]["attachment"] == "a.txt"
    codes = {name: (result["error"]["code"], result["error"]["field"]) for name, result in results.items()
             if result["status"] == "error"}  # fmt: skip
    assert codes == {
        "broken": ("file_damaged", "documents[2].base64"),
        "not base64": ("invalid_base64", "documents[3].base64"),
        "padding": ("invalid_base64", "documents[4].base64"),
        "differs": ("mime_mismatch", "documents[5].base64"),
        "scan": ("needs_ocr", "documents[6].base64"),
        "address": ("url_not_allowed", "documents[7].url"),
    }
    assert came["timing"]["read_ms"] > 0


def test_documents_short_form(worker: Worker) -> None:
    came = asyncio.run(answer(worker, {"base64": PDF, "labels": LABELS}))
    assert came["results"][0]["input"]["type"] == "pdf"
    # Line breaks are what encoders of mail put in.
    lines = base64.encodebytes(make.text_pdf(["Invoice 7"])).decode()
    assert asyncio.run(answer(worker, {"base64": lines, "labels": LABELS}))["results"][0]["status"] == "ok"
    refused = asyncio.run(answer(worker, {"base64": "", "labels": LABELS}))
    assert refused["results"][0]["error"] == {
        "code": "empty_file", "message": "the file has no bytes", "field": "base64",
    }  # fmt: skip


def test_documents_read_as_pages_are_weighed_as_pages(worker: Worker) -> None:
    raw = {"base64": PDF, "labels": LABELS, "options": {"long_document": "pages"}}
    (result,) = asyncio.run(answer(worker, raw))["results"]
    assert [page["page"] for page in result["answers"]["category"]["pages"]] == [0, 1]


def test_documents_the_same_job_again_is_read_once(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[int]()
    with_files_read = files.with_files_read

    async def counting(*told: Any) -> Any:
        read.append(1)
        return await with_files_read(*told)

    monkeypatch.setattr(answering, "with_files_read", counting)

    async def thrice() -> list[Any]:
        raw = {"base64": PDF, "labels": LABELS}
        both = await asyncio.gather(answer(worker, raw, "a"), answer(worker, raw, "a"))
        return [*both, await answer(worker, raw, "a")]

    came = asyncio.run(thrice())
    assert len(read) == 1 and came[0]["results"] == came[1]["results"] == came[2]["results"]


def test_documents_slow_file_delays_no_text_and_no_other_file(worker: Worker) -> None:
    async def both() -> Any:
        await asyncio.gather(*(answer(worker, {"base64": PDF, "labels": LABELS}) for _ in range(2)))
        readers = list(worker._files._read._idle)
        assert len(readers) == 2
        os.kill(readers[-1]._process.pid, signal.SIGSTOP)  # the one that is taken next
        slow = asyncio.create_task(
            answer(worker, {"documents": [{"base64": PDF}, {"base64": PDF}], "labels": LABELS}, "slow")
        )
        await asyncio.sleep(0.2)
        text = await answer(worker, {"text": "Invoice 7", "labels": LABELS})
        file = await answer(worker, {"base64": PDF, "labels": LABELS})
        assert text["results"][0]["status"] == file["results"][0]["status"] == "ok"
        assert not slow.done()
        os.kill(readers[-1]._process.pid, signal.SIGCONT)
        return await slow

    came = asyncio.run(both())
    assert [result["status"] for result in came["results"]] == ["ok", "ok"]


def test_documents_are_in_no_log_and_no_address_is(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    secret = "https://files.example.com/a?X-Amz-Signature=Quetzalcoatlus"
    raw = {"documents": [{"base64": encoded(b"Quetzalcoatlus")}, {"url": secret}], "labels": LABELS}
    with caplog.at_level("DEBUG"):
        came = asyncio.run(answer(worker, raw, "a"))
    assert [result["status"] for result in came["results"]] == ["ok", "error"]
    assert "Quetzalcoatlus" not in caplog.text + json.dumps(came)


def test_documents_base64_has_a_limit_of_its_own(worker: Worker) -> None:
    fits = asyncio.run(answer(worker, {"base64": "A" * 5_000_000, "labels": LABELS}))
    assert fits["results"][0]["error"]["code"] == "unsupported_type"
    beyond = asyncio.run(answer(worker, {"base64": "A" * 28_000_004, "labels": LABELS}))
    assert beyond["error"].startswith("too_large: ") and beyond["error"].endswith("(base64)")
    text = asyncio.run(answer(worker, {"text": "A" * 5_000_000, "labels": LABELS}))
    assert text["error"].startswith("too_large: ")
