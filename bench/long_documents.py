"""Many questions about a document longer than a pass: `python bench/long_documents.py [--json]`.

    each     as much of the document as fits a pass, read again for every two questions: jobs of their own, which is as
             few as there can be
    cut      as much of the document as fits a pass beside the questions
    chunks   all of it, in chunks of a pass
    alone    all of it in one pass, if that takes so many tokens

One model with random weights (`bench/scoring.py`). On a GPU: `--model` for a real one, with the worker's own settings.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer

from bench.decisions import questions
from bench.gpu_model import need_gpu
from bench.peers import texts
from bench.report import write
from bench.scoring import random_model
from pinpoint.api.request import parse_request
from pinpoint.api.response import DocumentResult
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import classify
from pinpoint.settings import Settings


@contextmanager
def scorer_of(model: str, layers: int, hidden: int, budget: int) -> Iterator[Scorer]:
    """A loaded model, real or random, with passes of so many tokens."""
    if model:
        need_gpu()
        loaded = load(Settings(model_name=model))
        yield Scorer(loaded, min(budget, loaded.plan.token_budget) if loaded.plan else budget)
        return
    with random_model(layers, hidden) as folder:
        yield Scorer(load(Settings(model_name=folder, device="cpu")), budget)


def main(
    tokens: Annotated[int, typer.Option(help="Of the document.")] = 20_000,
    count: Annotated[int, typer.Option(help="Questions of yes or no.")] = 50,
    budget: Annotated[int, typer.Option(help="Tokens of a pass.")] = 4096,
    model: Annotated[str, typer.Option(help="A real model, on a GPU.")] = "",
    layers: Annotated[int, typer.Option(help="Of the random model.")] = 2,
    hidden: Annotated[int, typer.Option(help="Of the random model.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Keep it in bench/results.")] = False,
) -> None:
    """Tokens computed and seconds of each way."""
    found = list[dict[str, Any]]()
    with scorer_of(model, layers, hidden, budget) as scorer:
        text = scorer.prompts.encoder.decode(texts(scorer, 1, tokens)[0])
        labels = [f"{question} " for question in questions(count)]
        together, each = [labels], [labels[at : at + 2] for at in range(0, count, 2)]
        whole = scorer.read_tokens
        # A pass of the whole document and its questions is more than its context.
        for way, jobs, passes, read in (
            ("each", each, budget, budget), ("cut", together, budget, budget), ("chunks", together, budget, whole),
            ("alone", together, 2 * whole, whole),
        ):  # fmt: skip
            if way == "alone" and scorer.on_card:
                continue  # no part of the plan
            scorer.token_budget, scorer.read_tokens = passes, read
            row: dict[str, Any] = {"way": way, "tokens_computed": 0, "passes": 0}
            began, worked = time.perf_counter(), time.process_time()
            for asked in jobs:
                request = parse_request({"text": text, "tasks": {"asked": {"labels": asked, "multi_label": True}}})
                response, counts = classify(request, scorer)
                row["tokens_computed"] += counts.tokens_computed
                row["passes"] += counts.batches
            row["seconds"] = round(time.perf_counter() - began, 2)
            row["cpu_seconds"] = round(time.process_time() - worked, 2)  # say more where others work, too
            (result,) = response.results
            assert isinstance(result, DocumentResult)
            row |= {"tokens_read": result.input.tokens, "tokens_dropped": result.input.tokens_dropped}
            found.append(row)
            print(json.dumps(row), flush=True)
    if as_json:
        torch_threads = torch.get_num_threads()
        write("long_documents", {"ways": found, "budget": budget, "questions": count, "threads": torch_threads})


if __name__ == "__main__":
    typer.run(main)
