"""What reading files costs beside the libraries alone: `python bench/documents.py`.

    pdf       ten pages of text: in a reading process, and pypdfium2 alone in this one
    ocr       a page of A4 at 200 dpi: in a recognising process, and rapidocr alone in this one (where it is installed)
    latency   a job of plain text, alone and beside a hundred files that are only read, or answered as well; on a model
              that computes here, and on one that only waits, as a thread does whose passes run on a card
    memory    resident memory of the worker's process over thousands of files

Each pair is measured in turn in one run. Targets: pdf at most 1.3 times and 5 ms; ocr at most 1.2 times; latency beside
reading at most 1.2 times; memory flat. What the files' own passes add is not due to reading, and less on a card.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest.mock import patch

import psutil
import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench import report  # noqa: E402
from pinpoint.documents.file_limits import FileLimits  # noqa: E402
from pinpoint.documents.recognise import is_installed, recognise  # noqa: E402
from pinpoint.documents.sandbox import Pool  # noqa: E402
from pinpoint.documents.text import File  # noqa: E402
from pinpoint.prompting.span_tree import Forest  # noqa: E402
from pinpoint.serving import worker as worker_module  # noqa: E402
from pinpoint.serving.worker import Worker  # noqa: E402
from pinpoint.settings import Settings  # noqa: E402
from tests import file_makers as make  # noqa: E402
from tests.fakes import FakeEngine, FakePass, FakeScores  # noqa: E402

LIMITS = FileLimits()
LABELS = ["invoice", "receipt", "contract"]
WAIT_S, WAIT_TOKEN_S = 0.03, 4e-6  # of a pass on a card, about


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


class Waiting(FakeEngine):
    """A model on a card, as this process sees it: a pass is a thread that waits."""

    token_budget = 16_384

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[FakePass]:
        """Wait as long as a pass of so many tokens takes, and find all labels equally likely."""
        time.sleep(WAIT_S + WAIT_TOKEN_S * forest.laid_tokens)
        scores = [FakeScores([-math.log(len(ask.trie.labels))] * len(ask.trie.labels)) for ask in forest.asks]
        done = FakePass(scores, forest.laid_tokens, explain, [], forest, self, forest_tokens=forest.laid_tokens)
        yield done
        done.closed = True


async def latency(files: int, rounds: int = 3) -> dict[str, Any]:
    """A job of text: alone, beside files that are read, and beside files that are answered as well, in turn."""
    worker = Worker(Settings(ocr="off"))
    contents = [make.text_pdf([make.prose(450, 17 * one + number) for number in range(10)]) for one in range(10)]

    async def text() -> float:
        began_s = time.perf_counter()
        await worker.handle({"id": "", "input": {"text": make.prose(60), "labels": LABELS}})
        return time.perf_counter() - began_s

    async def read(number: int) -> None:
        await worker._files.read(File("", 0, "base64", contents[number % 10]))

    async def answer(number: int) -> None:
        content = base64.b64encode(contents[number % 10]).decode()
        await worker.handle({"id": "", "input": {"base64": content, "labels": LABELS, "options": {"first_pages": 1}}})

    async def beside(one: Callable[[int], Awaitable[None]]) -> list[float]:
        going, seconds = asyncio.gather(*map(one, range(files))), list[float]()
        while not going.done():
            seconds.append(await text())
        await going
        return seconds

    await text()
    await asyncio.gather(read(0), answer(1))
    alone, reading, answering = list[float](), list[float](), list[float]()
    for _ in range(rounds):
        alone += [await text() for _ in range(20)]
        reading += await beside(read)
        answering += await beside(answer)
    worker._files.close()
    return {
        "text_alone_ms": round(median(alone) * 1e3, 1),
        "text_beside_reading_ms": round(median(reading) * 1e3, 1),
        "text_beside_answering_ms": round(median(answering) * 1e3, 1),
        "reading_ratio": round(median(reading) / median(alone), 3),
        "answering_ratio": round(median(answering) / median(alone), 3),
    }


def waited(files: int) -> dict[str, Any]:
    """`latency` with a model that only waits."""
    engine = Waiting()
    with patch.object(worker_module, "get_scorer", lambda settings: engine):
        return asyncio.run(latency(files))


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
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "pdf": lambda: pdf(rounds),
        "ocr": lambda: ocr(max(3, rounds // 4)),
        "latency_on_a_card": lambda: waited(100),
        "latency_here": lambda: asyncio.run(latency(100)),
        "memory": lambda: memory(files),
    }
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        figures[name] = part()
        print(json.dumps({name: figures[name]}, indent=2), flush=True)
    if as_json:
        report.write("documents", figures)


if __name__ == "__main__":
    typer.run(main)
