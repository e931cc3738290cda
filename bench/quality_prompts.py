"""The part of docs/quality.md on prompts, of what `bench.prompts report` and `growing` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.markdown import capital, table_header, table_row
from bench.prompt_items import KINDS, MANY
from bench.prompt_report import PREDICATES
from bench.report import RESULTS

HEAD = """## Prompts against each other

Measured by `python -m bench.prompts sweep` and `report`: every prompt on the same texts, in bf16. The texts are parted
by their hash into a half that a prompt may be chosen by and one that is kept out of the choice; *chosen* and *kept* are
the mean of the kinds' accuracy in each. The other figures are of all texts. An answer counts with the end of the turn
behind it; *without the end*: the mean if it need not. Gain: on the first row, 95 % interval of the paired difference,
all texts. *Averaged*, *less*: made of the scores of other rows; there is no label mass then. Version 2,
and 3, of the prompt is "letter, v1 words" for lists of up to five labels, and "v1 document first" for longer ones.

"""
THIRD = """## Wordings for version 3

The same in another sweep, on texts drawn anew: categories instead of labels, yes or no asked by a label, by a question
("Is this document an invoice?") and by a statement ("This document is an invoice."), and what is to be written told
before what differs (*told before*), which many questions about a document then read once. Gain: on "v1 document first"
and "v1 yes", which version 2 asked in. Version 3 asks yes or no as "Yes, told before, fits" does, behind the opening
and with the ending of a choice (of that, *told before, fits, Label:*, 41 questions alone were measured, on a
CPU: all right, where "v1 yes" had 36; `bench/results/prompts_third_few.json`). Choices were left as they were:
categories are as often right as version 2's rule, with a lower NLL on short lists and a higher one on 60 labels; told
before, company documents lost.

"""
GROWING = """## Letters or the labels' text, by how many labels there are

Measured by `python -m bench.prompts sweep` and `growing`: the same texts of four kinds (known, unknown, banking,
generated), each with 2 to 12 labels of one list, asked in both of version 2's forms. Accuracy and NLL are means over
the kinds. Both: the mean of the two forms' log-probabilities. Gain: accuracy of letters less that of the text, with its
95 % interval, paired by text; *chosen* and *kept*: the same in either half.

Version 2 letters lists of up to five labels: on lists of four and five the stronger model is more often right with
letters, in both halves. From six on the text is right as often, with a lower NLL and half the flips. A model that
cannot do the task does not follow letters at all.

"""


def sections(titles: Mapping[str, str]) -> Iterator[str]:
    """Both sections, as far as there are figures."""
    for stem, head in (("prompts", HEAD), ("prompts_third", THIRD)):
        halves = {half: _lines(f"{stem}_{half}") for half in ("all", "choose", "kept")}
        models = [model for model in titles if any(line["model"] == model for line in halves["all"])]
        if models:
            yield head
        for model in models:
            yield from _tables(model, titles[model], halves)
    counts = _lines("label_counts")
    if counts:
        yield GROWING
    for model, title in titles.items():
        lines = [line for line in counts if line["model"] == model]
        if lines:
            yield f"### {capital(title)}: numbers of labels\n\n"
            yield from _counts(lines)


def _tables(model: str, title: str, halves: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """One model's tables, a kind of question each."""
    for kinds, what in (
        (KINDS, "one of a list"),
        (PREDICATES["yes"], "yes or no about a label"),
        (PREDICATES["ask"], "yes or no to a question"),
        (PREDICATES["say"], "yes or no to a statement"),
        ((MANY,), "one of 60"),
    ):
        chosen = {
            half: {line["variant"]: line for line in lines
                   if (line["model"], line["end"], tuple(line["kinds"])) == (model, "turn", tuple(kinds))}
            for half, lines in halves.items()
        }  # fmt: skip
        if chosen["all"]:
            open_ = {
                line["variant"]: line["mean"]
                for line in halves["all"]
                if (line["model"], line["end"], tuple(line["kinds"])) == (model, "none", tuple(kinds))
            }
            yield from _prompts(f"{capital(title)}: {what}", kinds, chosen, open_)


def _lines(name: str) -> list[dict[str, Any]]:
    path = RESULTS / f"{name}.json"
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    return list(found["lines"] if isinstance(found, dict) else found)


def _prompts(
    title: str, kinds: Sequence[str], halves: Mapping[str, Mapping[str, dict[str, Any]]], open_: Mapping[str, float]
) -> Iterator[str]:
    first = next(iter(halves["all"].values()))
    yield f"### {title}, {first['of']} texts\n\n"
    yield from table_header(
        "prompt", *(kind.rpartition(" ")[2] for kind in kinds if kind in first["accuracy"]), "mean", "chosen", "kept",
        "gain", "without the end", "NLL", "label mass", "flips",
    )  # fmt: skip
    for name, line in halves["all"].items():
        low, high = line["gain"]
        yield table_row(
            name, *(f"{line['accuracy'][kind]:.2f}" for kind in kinds if kind in line["accuracy"]),
            f"{line['mean']:.3f}", *(f"{halves[half][name]['mean']:.3f}" for half in ("choose", "kept")),
            f"{low:+.3f} to {high:+.3f}", f"{open_[name]:.3f}" if name in open_ else "", f"{line['nll']:.2f}",
            "" if line["mass"] is None else f"{line['mass']:.3f}",
            "" if line["flips"] is None else f"{line['flips']:.2f}",
        )  # fmt: skip
    yield "\n"


def _counts(lines: Sequence[dict[str, Any]]) -> Iterator[str]:
    halves = {
        half: {line["labels"]: line for line in lines if line["half"] == half} for half in ("all", "choose", "kept")
    }
    yield from table_header("labels", "texts", "letters", "text", "both", "gain", "chosen", "kept", "NLL of letters",
                             "text", "both", "flips of letters", "text", "both")  # fmt: skip
    for labels, line in halves["all"].items():
        gain, low, high = line["gain"]
        yield table_row(
            str(labels), str(line["texts"]), *(f"{value:.3f}" for value in line["accuracy"].values()),
            f"{gain:+.3f} ({low:+.3f} to {high:+.3f})",
            *(f"{halves[half][labels]['gain'][0]:+.3f}" for half in ("choose", "kept")),
            *(f"{value:.2f}" for value in line["nll"].values()), *(f"{value:.2f}" for value in line["flips"].values()),
        )  # fmt: skip
    yield "\n"
