"""What a tree costs beside a flat list: `python bench/taxonomies.py [--json]`.

Business documents of 1,000 tokens, generated ones of one kind behind one another; the taxonomy that ships (217 labels
in 7 groups); the sides in turn, each from the request to its answer:

    top     a flat question with the 7 groups as its labels: what the tree asks first
    tree    the taxonomy as a job names it
    flat    one flat question with all 217 labels; in tokens alone

Times are ratios of the sides in turn, by the clock and by what the process had of the processor: on a machine that
others use as well, the latter is the one to read. Tokens computed are beside them, since they are the same on any
machine. How many groups a document is asked about hangs on how sure the model is, so the ratio is told by that as well.
"""

from __future__ import annotations

import json
import random
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer

from bench.report import in_turn, ratio, write
from pinpoint.api.request import Options, Request
from pinpoint.api.response import DocumentResult
from pinpoint.api.taxonomy_files import SHIPPED, read_taxonomy
from pinpoint.documents.text import Document
from pinpoint.errors import RequestError
from pinpoint.pipeline.classify import classify
from pinpoint.pipeline.engine_protocol import Engine
from pinpoint.prompting.label_tree import questions_of
from pinpoint.prompting.taxonomy import Task
from pinpoint.serving.model import get_scorer
from pinpoint.settings import read_settings
from training import documents

SEED = 11
GROUP = 31  # labels of each


def main(
    count: Annotated[int, typer.Option(help="Documents in a job.")] = 12,
    tokens: Annotated[int, typer.Option(help="Of each, as the model counts them.")] = 1000,
    rounds: Annotated[int, typer.Option(help="Of the sides in turn.")] = 3,
    model: Annotated[str, typer.Option(help="A folder, or a name on the Hub; the embedded model if none.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/taxonomies.json as well.")] = False,
) -> None:
    """Ask a tree and flat lists about the same documents."""
    torch.set_num_threads(1)
    engine = get_scorer(read_settings(model_name=model))
    tree = read_taxonomy(SHIPPED / "business-documents.yaml").task
    top = next(questions_of(tree))
    flat = Task(tree.name, tree.labels, instructions=tree.instructions)
    texts = made(engine, count, tokens)
    figures: dict[str, Any] = {"model": engine.info("").name, "documents": count, "tokens": tokens, "rounds": rounds}
    computed, processor = dict[str, int](), dict[str, list[float]]()

    def side(name: str, task: Task) -> None:
        began = time.process_time()
        computed[name] = asked(engine, texts, task)[1]
        processor.setdefault(name, []).append(time.process_time() - began)

    seconds = in_turn({"top": partial(side, "top", top), "tree": partial(side, "tree", tree)}, rounds)
    with suppress(RequestError):  # a list that leaves no room for a document, in a short context
        side("flat", flat)
    figures["seconds"] = {name: round(median(took), 3) for name, took in seconds.items()}
    figures["tree_over_top"] = round(ratio(seconds["tree"], seconds["top"]), 3)
    # The first of each is the one that warms up.
    figures["processor_seconds"] = {name: round(median(processor[name][1:]), 3) for name in seconds}
    figures["tree_over_top_on_the_processor"] = round(ratio(processor["tree"][1:], processor["top"][1:]), 3)
    figures["tokens_computed"] = computed
    figures["tree_over_top_in_tokens"] = round(computed["tree"] / computed["top"], 3)
    figures["flat_over_top_in_tokens"] = round(computed["flat"] / computed["top"], 3) if "flat" in computed else None
    figures["by_unseen_mass"] = [
        {"unseen_mass": unseen, **_groups(engine, texts, tree, computed["top"], unseen)} for unseen in (0.02, 0.05, 0.1)
    ]
    # What one more group adds is the same for every document.
    encoded = engine.prompts.questions(tree)
    below = [one.row_tokens - one.opening_tokens + engine.prompts.ending_tokens for one in encoded[1:]]
    figures["tokens_over_top_by_groups_asked"] = {
        str(groups): round(1 + groups * mean(below) * count / computed["top"], 3) for groups in (1, 2, 3, 7)
    }
    print(json.dumps(figures, indent=2))
    if as_json:
        write("taxonomies", figures)


def made(engine: Engine, count: int, tokens: int) -> list[str]:
    """Documents that long: generated ones of one kind behind one another, cut to it."""
    rng, found = random.Random(SEED), list[str]()
    kinds = list(documents.KINDS)
    while len(found) < count:
        kind, text = rng.choice(kinds), ""
        while len(ids := engine.prompts.document(text)) < tokens:
            text += documents.generate(rng, kind)[1] + "\n\n"
        found.append(engine.prompts.encoder.decode(ids[:tokens]))
    return found


def asked(engine: Engine, texts: list[str], task: Task, **options: Any) -> tuple[list[DocumentResult], int]:
    """The answers about all documents in one job, and the tokens that went through the model."""
    found = tuple(Document(str(number), number, (text,), "text") for number, text in enumerate(texts))
    response, counts = classify(Request(found, (task,), Options(**options)), engine)
    return [one for one in response.results if isinstance(one, DocumentResult)], counts.tokens_computed


def _groups_asked(result: DocumentResult) -> int:
    return 7 - result.answers["category"].bounded_labels // GROUP


def _groups(engine: Engine, texts: list[str], tree: Task, top_tokens: int, unseen: float) -> dict[str, Any]:
    results, tokens = asked(engine, texts, tree, unseen_mass=unseen)
    return {
        "groups_asked": round(mean(map(_groups_asked, results)), 2),
        "backed_off": sum(result.answers["category"].backed_off for result in results),
        "tokens_over_top": round(tokens / top_tokens, 3),
    }


if __name__ == "__main__":
    typer.run(main)
