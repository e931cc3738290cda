"""How well packets are cut: `python bench/packets.py`.

A packet is two to eight generated business documents of one to six pages behind one another, each document's lines
dealt out to its pages. Others are two to six documents of one kind, half of those packets from one sender, where the
labels of the pages say nothing of where a document begins. With `--files`, a third sort has real documents among the
generated ones. Told are precision, recall and F1 of boundaries, the share
of packets that are cut exactly as they were put together, the share of documents with the right label, and what
splitting costs beside reading the same pages without it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench import report  # noqa: E402
from pinpoint.api.request import parse_request  # noqa: E402
from pinpoint.api.response import DocumentResult  # noqa: E402
from pinpoint.engine.scorer import Scorer  # noqa: E402
from pinpoint.pipeline.classify import classify  # noqa: E402
from pinpoint.serving.model import get_scorer  # noqa: E402
from pinpoint.settings import read_settings  # noqa: E402
from tests import file_makers as make  # noqa: E402
from training import documents  # noqa: E402
from training.documents.case import Case  # noqa: E402

SEED = 977  # no training step draws from it, and the weights of `decide/segments.py` are from another one
PAGE_LINES = 5  # at least, of a page that another follows


def packets(count: int) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """Pages, the pages that begin a document, and the documents' labels."""
    rng = random.Random(SEED)
    for _ in range(count):
        pages, starts, labels = list[str](), list[int](), list[str]()
        for _ in range(rng.randint(2, 8)):
            kind, text = documents.generate(rng)
            starts.append(len(pages))
            labels.append(kind.names[0])
            pages += dealt(rng, text)
        yield pages, starts, labels


def alike(count: int) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """The same of packets whose documents are all of one kind."""
    rng = random.Random(SEED + 1)
    for _ in range(count):
        pages, starts, labels = list[str](), list[int](), list[str]()
        kind, case, one_sender = rng.choice(documents.KINDS), Case(rng), rng.random() < 0.5
        for _ in range(rng.randint(2, 6)):
            starts.append(len(pages))
            labels.append(kind.names[0])
            text = documents.write(kind, case.sibling() if one_sender else Case(rng))
            pages += dealt(rng, documents.add_noise(text, rng))
        yield pages, starts, labels


def mixed(count: int, real: Sequence[tuple[list[str], str]]) -> Iterator[tuple[list[str], list[int], list[str]]]:
    """The same of packets of two to six documents of which six in ten are real ones: (pages, label) each."""
    rng = random.Random(SEED + 2)
    for _ in range(count):
        pages, starts, labels = list[str](), list[int](), list[str]()
        for _ in range(rng.randint(2, 6)):
            starts.append(len(pages))
            if rng.random() < 0.6:
                own, label = rng.choice(real)
                pages += own
            else:
                kind, text = documents.generate(rng)
                own, label = dealt(rng, text), kind.names[0]
                pages += own
            labels.append(label)
        if len(pages) > 1:
            yield pages, starts, labels


def read_files(folder: Path) -> list[tuple[list[str], str]]:
    """The pages of each file of a folder that can be read, and its label.

    `labels.jsonl` in the folder gives `file` and `label`, a line each. Instead of a folder, a file of JSON
    with what was read of one: `file`, `pages` and `label` of each.
    """
    if folder.is_file():
        return [(one["pages"], one.get("label", "")) for one in json.loads(folder.read_text(encoding="utf-8"))]
    # What reads files brings libraries that a machine may not have on which nothing is read.
    from pinpoint.documents.text import Document, is_blank
    from pinpoint.pipeline.files import with_files_read
    from pinpoint.serving.files import file_reader

    listed = folder / "labels.jsonl"
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    labels = {row["file"]: row["label"] for row in map(json.loads, lines)}
    paths = [
        path for path in sorted(folder.iterdir()) if path.is_file() and path.name not in ("README.md", listed.name)
    ]
    files = [
        {"id": path.name, "base64": base64.b64encode(path.read_bytes()).decode("ascii"), "filename": path.name}
        for path in paths
    ]
    reader = file_reader(read_settings())
    try:
        request = asyncio.run(with_files_read(parse_request({"documents": files, "labels": ["a", "b"]}), reader))
    finally:
        reader.close()
    read = list[tuple[list[str], str]]()
    for document in request.documents:
        if isinstance(document, Document) and any(not is_blank(page) for page in document.pages):
            read.append(([page for page in document.pages if not is_blank(page)], labels.get(document.id, "")))
    return read


def dealt(rng: random.Random, text: str) -> list[str]:
    """A document's lines on one to six pages."""
    lines = text.split("\n")
    most = max(1, min(6, len(lines) // PAGE_LINES))
    count = rng.randint(1, most)
    size = -(-len(lines) // count)
    return ["\n".join(lines[start : start + size]) for start in range(0, len(lines), size)]


def main(
    count: Annotated[int, typer.Option(help="Packets.")] = 30,
    rounds: Annotated[int, typer.Option(help="Of 50 full pages, for the cost.")] = 3,
    files: Annotated[
        Path | None, typer.Option(help="A folder of real files, or what was read of one as JSON.", exists=True)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/packets.json as well.")] = False,
) -> None:
    """Cut generated packets and say how well."""
    engine = get_scorer(read_settings())
    kinds = [kind.names[0] for kind in documents.KINDS]
    figures = _cut(engine, packets(count), kinds)
    figures["of_one_kind"] = _cut(engine, alike(count), kinds)
    if files is not None:
        figures["with_real_files"] = _cut(engine, mixed(count, read_files(files)), kinds)
    figures["split_over_50_full_pages"] = round(_cost(engine, kinds[:8], rounds), 3)
    print(json.dumps(figures, indent=2))
    if as_json:
        report.write("packets", figures)


def _cut(engine: Scorer, made: Iterator[tuple[list[str], list[int], list[str]]], kinds: list[str]) -> dict[str, Any]:
    """How well packets are cut."""
    found = right = wanted = exact = labelled = total = pages_in_all = count = 0
    split_s = plain_s = 0.0
    rng = random.Random(SEED)
    for pages, starts, labels in made:
        others = [kind for kind in kinds if kind not in labels]
        offered = [*filter(None, dict.fromkeys(labels)), *rng.sample(others, min(4, len(others)))]
        result, took_s = _answered(engine, pages, offered, split=True)
        split_s += took_s
        plain_s += _answered(engine, pages, offered, split=False)[1]
        cut = [segment.pages[0] for segment in result.segments]
        count += 1
        wanted += len(starts) - 1
        found += len(cut) - 1
        right += len(set(cut[1:]) & set(starts[1:]))
        exact += cut == starts
        total += len(starts)
        pages_in_all += len(pages)
        said = {segment.pages[0]: segment.answers["category"].label for segment in result.segments}
        labelled += sum(said.get(start) == label for start, label in zip(starts, labels, strict=True))
    precision, recall = right / max(1, found), right / max(1, wanted)
    return {
        "packets": count,
        "pages": pages_in_all,
        "documents": total,
        "boundary_precision": round(precision, 4),
        "boundary_recall": round(recall, 4),
        "boundary_f1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "exact_packets": round(exact / count, 4),
        "right_labels": round(labelled / total, 4),
        "split_over_pages": round(split_s / plain_s, 3),
    }


def _cost(engine: Scorer, labels: list[str], rounds: int) -> float:
    """What splitting a packet of 50 full pages takes, as a multiple of reading them."""
    pages = [make.prose(380, number) for number in range(50)]
    seconds = report.in_turn(
        {
            "split": lambda: _answered(engine, pages, labels, split=True),
            "pages": lambda: _answered(engine, pages, labels, split=False),
        },
        rounds,
    )
    return report.ratio(seconds["split"], seconds["pages"])


def _answered(engine: Scorer, pages: list[str], labels: list[str], *, split: bool) -> tuple[DocumentResult, float]:
    options = {"split": True} if split else {"long_document": "pages"}
    began_s = time.perf_counter()
    response, _ = classify(parse_request({"pages": pages, "labels": labels, "options": options}), engine)
    took_s = time.perf_counter() - began_s
    (result,) = response.results
    assert isinstance(result, DocumentResult), result
    return result, took_s


if __name__ == "__main__":
    typer.run(main)
