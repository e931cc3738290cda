"""What reading files costs beside the libraries alone: `python bench/documents.py`.

    pdf       ten pages of text: in a reading process, and pypdfium2 alone in this one
    ocr       a page of A4 at 200 dpi: in a recognising process, and rapidocr alone in this one (where it is installed)
    latency   a job of plain text, alone and while a hundred files are read by the same worker
    memory    resident memory of the worker's process over thousands of files

Each pair is measured in turn in one run. Targets: pdf at most 1.3 times and 5 ms; ocr at most 1.2 times; latency at
most 1.2 times; memory flat.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import psutil
import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench import report  # noqa: E402
from pinpoint.documents.file_limits import FileLimits  # noqa: E402
from pinpoint.documents.recognise import is_installed, recognise  # noqa: E402
from pinpoint.documents.sandbox import Pool  # noqa: E402
from pinpoint.serving.worker import Worker  # noqa: E402
from pinpoint.settings import Settings  # noqa: E402
from tests import file_makers as make  # noqa: E402

LIMITS = FileLimits()
LABELS = ["invoice", "receipt", "contract"]


def pdf_alone(content: bytes) -> int:
    """Characters of all pages, by the library alone."""
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    chars = sum(len(page.get_textpage().get_text_range()) for page in document)
    document.close()
    return chars


def pdf(rounds: int) -> dict[str, Any]:
    """Ten pages of text, both ways."""
    content = make.text_pdf([make.prose(450, number) for number in range(10)])
    pool = Pool("read", 1, LIMITS)
    with asyncio.Runner() as runner:
        seconds = report.in_turn(
            {
                "reader": lambda: runner.run(pool.call({"mime": "", "filename": ""}, content, 30.0)),
                "alone": lambda: pdf_alone(content),
            },
            rounds,
        )
    pool.close()
    reader_ms, alone_ms = (median(seconds[name]) * 1e3 for name in ("reader", "alone"))
    return {
        "reader_ms": round(reader_ms, 2),
        "pypdfium2_ms": round(alone_ms, 2),
        "over_target_ms": round(reader_ms - 1.3 * alone_ms - 5, 2),
    }


def ocr(rounds: int) -> dict[str, Any]:
    """One page, both ways."""
    if not is_installed():
        return {}
    page = make.rendered(make.text_pdf([make.prose(300)]), dpi=200)
    content = make.picture_bytes(page)
    pool = Pool("recognise", 1, LIMITS)
    with asyncio.Runner() as runner:
        seconds = report.in_turn(
            {
                "reader": lambda: runner.run(pool.call({"type": "png", "page": 0}, content, 300.0)),
                "alone": lambda: recognise(content, "png", 0, LIMITS),
            },
            rounds,
        )
    pool.close()
    return {
        "reader_s": round(median(seconds["reader"]), 3),
        "rapidocr_s": round(median(seconds["alone"]), 3),
        "ratio": round(report.ratio(seconds["reader"], seconds["alone"]), 3),
    }


async def latency(files: int) -> dict[str, Any]:
    """A job of text, alone and beside files."""
    worker = Worker(Settings(ocr="off"))
    content = base64.b64encode(make.text_pdf([make.prose(450, number) for number in range(10)])).decode()

    async def text() -> float:
        began_s = time.perf_counter()
        await worker.handle({"id": "", "input": {"text": make.prose(60), "labels": LABELS}})
        return time.perf_counter() - began_s

    async def file() -> None:
        await worker.handle({"id": "", "input": {"base64": content, "labels": LABELS, "options": {"first_pages": 1}}})

    await text()
    await file()
    alone = [await text() for _ in range(20)]
    reading = asyncio.gather(*(file() for _ in range(files)))
    beside = list[float]()
    while not reading.done():
        beside.append(await text())
    await reading
    worker._files.close()
    return {
        "files": files,
        "text_alone_ms": round(median(alone) * 1e3, 1),
        "text_beside_files_ms": round(median(beside) * 1e3, 1),
        "ratio": round(median(beside) / median(alone), 3),
    }


def memory(files: int) -> dict[str, Any]:
    """Resident memory of this process while files are read."""
    contents = [make.text_pdf([make.prose(200)]), make.docx_file(["x"]), make.xlsx_file({"A": [["x"]]}), make.mail()]
    pool, process = Pool("read", 2, LIMITS), psutil.Process()
    seen = list[int]()
    with asyncio.Runner() as runner:
        for number in range(files):
            runner.run(pool.call({"mime": "", "filename": ""}, contents[number % len(contents)], 30.0))
            if number >= files // 10 and number % 50 == 0:
                seen.append(process.memory_info().rss)
    pool.close()
    return {"files": files, "grown_mb": round((max(seen) - seen[0]) / 1e6, 1), "resident_mb": round(seen[-1] / 1e6, 1)}


def main(
    rounds: Annotated[int, typer.Option(help="Of each side.")] = 20,
    files: Annotated[int, typer.Option(help="For the memory.")] = 5000,
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/documents.json as well.")] = False,
) -> None:
    """Measure, and print the figures."""
    figures: dict[str, Any] = {"pdf": pdf(rounds), "memory": memory(files), "ocr": ocr(max(3, rounds // 4))}
    figures["latency"] = asyncio.run(latency(100))
    print(json.dumps(figures, indent=2))
    if as_json:
        report.write("documents", figures)


if __name__ == "__main__":
    typer.run(main)
