"""Typed questions about one input, against the plain ways: `python bench/decisions.py [--json]`.

    many       56 questions of yes or no on each of 24 documents of 470 tokens, a request for each document
      pinpoint       a request in OpenAI's format, from its JSON to the answer
      rows           the same answers by the best plain way: keys and values of the document once, then a row for each
                     question, and a row for each of its two options
      first tokens   less than that: a row for each question, and only the first token of each option
      alone          each question in a request of its own; some of them, scaled
    growth     one document, with 1 and with 50 questions
    http       the median of a small request over HTTP and by the handler, in turn

Two models: the embedded one, and 4 layers of hidden size 1,024 with random weights.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import typer
import uvicorn
from rich.console import Console
from transformers import DynamicCache

from bench.peers import texts
from bench.plain import padded, plain_attention, score_batch
from bench.report import in_turn, ratio, write
from bench.scoring import random_model
from pinpoint.api.decisions import decisions_answer
from pinpoint.api.request import parse_request
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.pipeline.classify import JobCounts, classify
from pinpoint.prompting.template import NO, YES
from pinpoint.serving.http.app import make_app
from pinpoint.serving.http.gate import Gate
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings

KINDS = ("invoice", "receipt", "contract", "letter", "statement", "report", "notice", "claim")
ABOUT = ("money", "a delivery", "a person", "a house", "a car", "medicine", "a school")
# Rows that are padded together. The fastest of these is taken, on the first document and the embedded model.
ROWS = (8, 28)
# Each takes as long as the others: some stand for all.
ALONE_EVERY = 8


def questions(count: int) -> list[str]:
    """Different questions of about the same length."""
    return [f"Is this {KINDS[n % 8]} about {ABOUT[n // 8 % 7]}, number {n}?" for n in range(count)]


def ask(scorer: Scorer, text: str, asked: Sequence[str]) -> tuple[list[float], JobCounts]:
    """A request in OpenAI's format: probabilities, and what it took."""
    body = {"input": text, "questions": [{"type": "predicate", "instructions": one} for one in asked]}
    request = parse_request(json.loads(json.dumps(body)))
    response, counts = classify(request, scorer)
    assert request.asked is not None
    told: Any = json.loads(json.dumps(decisions_answer(request.asked, response)))
    return [answer["probability"] for answer in told["answers"]], counts


@torch.inference_mode()
def plain(scorer: Scorer, text: str, asked: Sequence[str], rows: int, *, first_tokens: bool) -> list[float]:
    """Probabilities of yes by plain calls of the model, from the same prompts."""
    request = parse_request({"input": text, "questions": [{"type": "predicate", "instructions": a} for a in asked]})
    encoder, model = scorer.prompts.encoder, scorer.loaded.model
    document = scorer.prompts.document(text)
    paths = [scorer.prompts.lay(task, document)[0].path for task in request.tasks]
    # What all begin with, to the last span that they share.
    spans = next(at for at in range(len(paths[0])) if len({path[at] for path in paths}) > 1 or at + 1 == len(paths[0]))
    shared = [token for span in paths[0][:spans] for token in span]
    tails = [[token for span in path[spans:] for token in span] for path in paths]
    labels = [[*encoder.label_tokens(word), encoder.stop] for word in (YES, NO)]
    scores: list[list[float]] = []
    with plain_attention(model):
        prefix = DynamicCache()
        model.base_model(torch.tensor([shared]), past_key_values=prefix, use_cache=True)
        for start in range(0, len(tails), rows):
            batch = tails[start : start + rows]
            if first_tokens:
                scores += _first_tokens(scorer, prefix, len(shared), batch, [label[0] for label in labels])
            else:
                scores += score_batch(scorer, prefix, len(shared), batch, labels)
    return [1 / (1 + torch.tensor(no - yes).exp().item()) for yes, no in scores]


def _first_tokens(
    scorer: Scorer, prefix: DynamicCache, shared: int, tails: list[list[int]], firsts: list[int]
) -> list[list[float]]:
    model = scorer.loaded.model
    cache = DynamicCache()
    for index, layer in enumerate(prefix.layers):
        assert layer.keys is not None and layer.values is not None
        cache.update(layer.keys.repeat(len(tails), 1, 1, 1), layer.values.repeat(len(tails), 1, 1, 1), index)
    ids, seen = padded(tails, scorer.loaded.device)
    hidden = model.base_model(
        ids,
        attention_mask=torch.cat([torch.ones(len(tails), shared, dtype=torch.long), seen], dim=1),
        position_ids=shared + torch.arange(ids.shape[1])[None].expand(len(tails), -1),
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    last = hidden[torch.arange(len(tails)), seen.sum(1) - 1]
    scores: list[list[float]] = torch.log_softmax(model.lm_head(last).float(), dim=-1)[:, firsts].tolist()
    return scores


def many(
    scorer: Scorer, documents: int, tokens: int, count: int, rounds: int, rows: dict[str, int] | None = None
) -> dict[str, Any]:
    """The figures of many questions on many documents; `rows` are found where they are not given."""
    asked = questions(count)
    made = [scorer.prompts.encoder.decode(ids) for ids in texts(scorer, documents, tokens)]
    ours, counts = ask(scorer, made[0], asked)
    if rows is None:
        rows = {"rows": _fastest(scorer, made[0], asked, False), "first tokens": _fastest(scorer, made[0], asked, True)}
    exact = plain(scorer, made[0], asked, rows["rows"], first_tokens=False)
    apart = max(abs(a - b) for a, b in zip(ours, exact, strict=True))
    alone = [ask(scorer, made[0], [one])[1].tokens_computed for one in asked[::ALONE_EVERY]]
    seconds = in_turn(
        {
            "pinpoint": lambda: [ask(scorer, text, asked) for text in made],
            "rows": lambda: [plain(scorer, text, asked, rows["rows"], first_tokens=False) for text in made],
            "first tokens": lambda: [
                plain(scorer, text, asked, rows["first tokens"], first_tokens=True) for text in made
            ],
            "alone": lambda: [ask(scorer, made[0], [one]) for one in asked[::ALONE_EVERY]],
        },
        rounds,
    )
    seconds["alone"] = [documents * count / len(asked[::ALONE_EVERY]) * s for s in seconds["alone"]]
    return {
        "documents": documents,
        "tokens": tokens,
        "questions": count,
        "rows_padded_together": rows,
        "questions_per_s": {way: round(documents * count / median(s), 1) for way, s in seconds.items()},
        "over_pinpoint": {way: round(ratio(seconds[way], seconds["pinpoint"]), 2) for way in list(seconds)[1:]},
        "tokens_computed_a_document": {"pinpoint": counts.tokens_computed, "alone": sum(alone) * ALONE_EVERY},
        "tokens_asked_a_document": counts.tokens_asked,
        "largest_difference_in_probability": apart,
        "seconds": {way: [round(one, 3) for one in s] for way, s in seconds.items()},
    }


def _fastest(scorer: Scorer, text: str, asked: Sequence[str], first_tokens: bool) -> int:
    sides: dict[str, Callable[[], Any]] = {
        str(rows): partial(plain, scorer, text, asked, rows, first_tokens=first_tokens) for rows in ROWS
    }
    seconds = in_turn(sides, 1)
    return int(min(seconds, key=lambda rows: seconds[rows][0]))


def growth(scorer: Scorer, tokens: int, count: int, rounds: int) -> dict[str, Any]:
    """What many questions on one long document take over one."""
    text = scorer.prompts.encoder.decode(texts(scorer, 1, tokens)[0])
    asked = questions(count)
    seconds = in_turn({"one": lambda: ask(scorer, text, asked[:1]), "all": lambda: ask(scorer, text, asked)}, rounds)
    return {
        "tokens": tokens,
        "questions": count,
        "over_one_question": round(ratio(seconds["all"], seconds["one"]), 2),
        "tokens_computed": {"one": ask(scorer, text, asked[:1])[1].tokens_computed,
                            "all": ask(scorer, text, asked)[1].tokens_computed},
        "seconds": {way: [round(one, 3) for one in s] for way, s in seconds.items()},
    }  # fmt: skip


def over_http(rounds: int) -> dict[str, Any]:
    """Milliseconds of one small request, by the handler in its loop, and over a kept connection."""
    settings = Settings(model_name="", device="cpu", log_level="ERROR")
    body = {"model": "pinpoint", "input": "Total due: 99.50 EUR",
            "questions": [{"type": "predicate", "instructions": "Is it paid?"}]}  # fmt: skip
    job = {"id": "", "input": {"openai_route": "/v1/decisions", "openai_input": body}}
    loop, listening = asyncio.new_event_loop(), threading.Event()
    worker, port = Worker(settings), list[int]()

    async def run() -> None:
        app = make_app(worker, settings, Gate("", 64, settings.max_body_bytes))
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.append(server.servers[0].sockets[0].getsockname()[1])
        listening.set()
        await serving

    async def handled() -> float:
        began = time.perf_counter()
        answer = await worker.handle(job)
        json.dumps(answer)
        return (time.perf_counter() - began) * 1e3

    threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True).start()
    listening.wait()
    client = http.client.HTTPConnection("127.0.0.1", port[0])
    sent, headers = json.dumps(body), {"content-type": "application/json"}

    def requested() -> float:
        began = time.perf_counter()
        client.request("POST", "/v1/decisions", sent, headers)
        answer = client.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        return (time.perf_counter() - began) * 1e3

    times: dict[str, list[float]] = {"handler": [], "http": []}
    # Of all threads, the client's among them: what a machine that is shared leaves as it is.
    cpu: dict[str, list[float]] = {"handler": [], "http": []}
    sides = {"handler": lambda: asyncio.run_coroutine_threadsafe(handled(), loop).result(), "http": requested}
    for turn in range(rounds + 10):
        for way, side in sides.items():
            began = time.process_time()
            ms = side()
            if turn >= 10:
                times[way].append(ms)
                cpu[way].append((time.process_time() - began) * 1e3)
    medians = {way: round(median(ms), 2) for way, ms in times.items()}
    cpu_medians = {way: round(median(ms), 2) for way, ms in cpu.items()}
    return {
        "requests": rounds,
        "median_ms": medians,
        "added_ms": round(medians["http"] - medians["handler"], 2),
        "median_cpu_ms": cpu_medians,
        "added_cpu_ms": round(cpu_medians["http"] - cpu_medians["handler"], 2),
    }


def main(
    documents: Annotated[int, typer.Option(help="Of the many, with the embedded model.")] = 24,
    random_documents: Annotated[int, typer.Option(help="The same with the random model.")] = 4,
    rounds: Annotated[int, typer.Option(help="Measured rounds.")] = 3,
    requests: Annotated[int, typer.Option(help="Over HTTP.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/decisions.json.")] = False,
) -> None:
    """Measure questions a second, tokens computed, growth with questions, and what HTTP adds."""
    figures: dict[str, Any] = {"http": over_http(requests)}
    rows = None
    with ExitStack() as stack:
        folder = stack.enter_context(random_model(layers=4, hidden=1024))
        for name, source, count, long in (
            ("embedded", "", documents, 1500),
            ("random 4 × 1024", folder, random_documents, 3000),
        ):
            settings = Settings(model_name=source, device="cpu", compute_dtype="float32", precision="int8")
            scorer = Scorer(load(settings), settings.usual_budget)
            figures[name] = {
                "growth": growth(scorer, long, 50, rounds),
                "many": many(scorer, count, 470, 56, rounds, rows),
            }
            rows = figures[name]["many"]["rows_padded_together"]
            print(name, json.dumps(figures[name]), file=sys.stderr, flush=True)
            del scorer
    Console().print_json(json.dumps(figures))
    if as_json:
        print(f"written to {write('decisions', figures)}")


if __name__ == "__main__":
    typer.run(main)
