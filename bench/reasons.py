"""Reasons written one at a time and together: `python bench/reasons.py [--json] [--device cuda] [--layers 32]`.

One pass over 1, 4, 16 and 32 documents of some 300 tokens and 8 labels stays open; their reasons are written one ask
after the other, and all in one go, in turn. Told are tokens a second of both, and whether the reasons are the same. On
a CPU it is the embedded model, on a GPU Mixtral 8x7B of random weights at full size. Neither stops at the end of a turn
here: the embedded model has nothing to say, and a random one says it at random.

In `bench/gpu.py`: `yield "reasons", lambda: reasons.rows(reasons.measure(with_store(scorer, STORE_BYTES)))`.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from bench import report  # noqa: E402
from bench.gpu_rows import Row, at_least  # noqa: E402
from pinpoint.engine.scorer import Scorer  # noqa: E402
from pinpoint.prompting.span_tree import Forest  # noqa: E402
from pinpoint.prompting.taxonomy import Label, Task  # noqa: E402
from pinpoint.settings import Settings  # noqa: E402
from training import documents  # noqa: E402

SEED, COUNTS, LABELS, DOCUMENT_TOKENS = 14, (1, 4, 16, 32), 8, 300
TARGET_COUNT, TARGET_RATIO = 16, 5.0
NEVER = -1  # no token's id


def forest_of(scorer: Scorer, count: int, document_tokens: int) -> tuple[Forest, list[tuple[int, str]]]:
    """One question about so many documents, and for each an answer to be explained."""
    rng, forest, names = random.Random(SEED), Forest(), [kind.names[0] for kind in documents.KINDS[:LABELS]]
    task = Task("category", tuple(Label(name, name) for name in names))
    for _ in range(count):
        text = ""
        while len(tokens := scorer.prompts.document(text)) < document_tokens:
            text += documents.generate(rng)[1] + "\n\n"
        length = rng.randint(document_tokens * 2 // 3, document_tokens)
        scorer.prompts.add(forest, task, tokens[:length])
    return forest, [(ask, rng.choice(names)) for ask in range(count)]


def measure(
    scorer: Scorer, counts: Sequence[int] = COUNTS, rounds: int = 3, document_tokens: int = DOCUMENT_TOKENS
) -> dict[str, Any]:
    """Medians of both ways in turn, by how many reasons there are."""
    by_count, encoder = dict[str, Any](), scorer.prompts.encoder
    stop, encoder.stop = encoder.stop, NEVER
    for count in counts:
        forest, asked = forest_of(scorer, count, document_tokens)
        with scorer.run(forest, explain=True) as done:
            alone, together = [done.explain(*one) for one in asked], done.explain_all(asked)
            tokens = sum(length for _, length in alone)
            seconds = report.in_turn(
                {
                    "alone": lambda asked=asked, done=done: [done.explain(*one) for one in asked],  # type: ignore[misc]
                    "together": lambda asked=asked, done=done: done.explain_all(asked),  # type: ignore[misc]
                },
                rounds,
            )
        by_count[str(count)] = {
            "tokens_written": tokens,
            "forest_tokens": forest.total_tokens,
            "alike": sum(one == other for one, other in zip(alone, together, strict=True)),
            **{f"{side}_tokens_per_s": round(tokens / median(took), 1) for side, took in seconds.items()},
            **{f"{side}_s": [round(one, 4) for one in took] for side, took in seconds.items()},
            "together_over_alone": round(report.ratio(seconds["alone"], seconds["together"]), 2),
        }
    encoder.stop = stop
    first = by_count[str(counts[0])]["alone_tokens_per_s"]
    for one in by_count.values():
        one["together_over_one_at_a_time"] = round(one["together_tokens_per_s"] / first, 2)
    return {"document_tokens": document_tokens, "labels": LABELS, "rounds": rounds, "by_count": by_count}


def rows(figures: dict[str, Any], part: str = "reasons") -> list[Row]:
    """The same for the table of `bench/gpu.py`."""
    found = list[Row]()
    for count, one in figures["by_count"].items():
        found.append(Row(part, f"{count} reasons one after the other, tokens/s", one["alone_tokens_per_s"]))
        found.append(Row(part, f"{count} reasons together, tokens/s", one["together_tokens_per_s"]))
        found.append(Row(part, f"of {count} reasons, alike both ways", one["alike"]))
        name = f"{count} reasons together over one after the other"
        ratio = one["together_over_alone"]
        wanted = int(count) == TARGET_COUNT
        found.append(at_least(part, name, ratio, TARGET_RATIO) if wanted else Row(part, name, ratio))
    return found


def main(
    device: Annotated[str, typer.Option(help="cpu: the embedded model; cuda: a random Mixtral 8x7B.")] = "cpu",
    layers: Annotated[int, typer.Option(help="Of the random model; 32 is Mixtral 8x7B.")] = 32,
    rounds: Annotated[int, typer.Option(help="Of each, both ways in turn.")] = 3,
    document_tokens: Annotated[int, typer.Option(help="Most tokens of a document.")] = DOCUMENT_TOKENS,
    as_json: Annotated[bool, typer.Option("--json", help="Write bench/results/reasons.json as well.")] = False,
) -> None:
    """Measure and print; exit code 1 on a GPU where 16 together are not 5 times as fast."""
    began = time.monotonic()
    if device == "cuda":
        from bench.gpu_model import need_gpu, plan_and_make

        need_gpu()
        loaded = plan_and_make(layers, Settings(device="cuda"))
        scorer = Scorer(loaded, min(8192, loaded.plan.token_budget if loaded.plan else 8192), 256_000_000)
    else:
        from pinpoint.engine.loading.load import load

        scorer = Scorer(load(Settings(device="cpu")), 8192)
    figures = measure(scorer, rounds=rounds, document_tokens=document_tokens)
    figures |= {"model": scorer.loaded.name, "device": device, "layers": scorer.loaded.model.config.num_hidden_layers}
    figures["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(figures, indent=2))
    if as_json:
        print(f"wrote {report.write('reasons' if device == 'cpu' else 'gpu_reasons', figures)}")
    if device == "cuda" and any(row.ok is False for row in rows(figures)):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
