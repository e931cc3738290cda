"""Prompts against each other on real models: `python -m bench.prompts items|sweep|report …`.

`items` writes what is measured on; `sweep` scores every variant of `prompt_variants` on every item with the worker's
own packed passes and appends what it measured to a file, going on where it was stopped; `report` makes tables of such
files. The variants of one document share what they have in common, the document above all.

Each line of a sweep holds, for each label in the item's order, the log-probability of its tokens and of each of
`ENDS` after them, so that what ends an answer is chosen afterwards.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench import prompt_items
from bench.prompt_growing import growing
from bench.prompt_items import MANY, Item
from bench.prompt_report import report
from bench.prompt_variants import VARIANTS, Variant
from pinpoint.engine.forward import attention
from pinpoint.engine.forward.packing import pack
from pinpoint.engine.forward.scoring import score
from pinpoint.prompting.encoder import PromptEncoder
from pinpoint.prompting.label_trie import LabelTrie
from pinpoint.prompting.span_tree import NO_PARENT, Forest
from pinpoint.prompting.template import Piece

ENDS = ("turn", "line", "quote")
# Stands in for a document of which nothing is known: what a model says of it is what it says of the labels alone.
CONTENT_FREE = "N/A"

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(report)
app.command()(growing)


@app.command()
def items(
    out: Annotated[Path, typer.Argument(help="File to write.")],
    data: Annotated[Path, typer.Option(help="Folder of company-documents and support-intents.")] = Path(
        "../shared/data"
    ),
    count: Annotated[int, typer.Option(help="Of each kind, at most.")] = 60,
    growing_lists: Annotated[
        bool, typer.Option("--growing", help="Texts with lists of more and more labels instead.")
    ] = False,
) -> None:  # fmt: skip
    """Write what is measured on."""
    made = prompt_items.growing(data, count) if growing_lists else prompt_items.items(data, count)
    prompt_items.write(made, out)
    print(Counter(item.kind for item in made))


@app.command()
def sweep(
    model: Annotated[Path, typer.Option(help="Folder of a model.")],
    items_file: Annotated[Path, typer.Option("--items", help="What `items` wrote.")],
    out: Annotated[Path, typer.Option(help="File to append to.")],
    variant: Annotated[list[str] | None, typer.Option(help="Only these, by name.")] = None,
    half: Annotated[str, typer.Option(help="choose, kept or all.")] = "all",
    content_free: Annotated[bool, typer.Option(help="Also a document of which nothing is known.")] = False,
    device: Annotated[str, typer.Option()] = "cuda" if torch.cuda.is_available() else "cpu",
    budget: Annotated[int, typer.Option(help="Tokens of a pass.")] = 0,
    minutes: Annotated[float, typer.Option(help="Stop after so many.")] = 1e9,
) -> None:
    """Measure variants on items."""
    attention.register()
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        model, dtype=dtype, attn_implementation=attention.SPANS, device_map={"": device}
    ).eval()
    encoder = PromptEncoder(AutoTokenizer.from_pretrained(model))
    made = [item for item in prompt_items.read(items_file) if half == "all" or item.chosen_by == (half == "choose")]
    if content_free:
        made += _content_free(made)
    done = _done(out)
    variants = [v for v in VARIANTS if variant is None or v.name in variant]
    wanted = ((item, v) for item in made for v in variants if v.suits(item) and (item.id, v.name) not in done)
    budget = budget or (16_384 if device == "cuda" else 2_048)
    began, tokens, lines = time.monotonic(), 0, 0
    with out.open("a", encoding="utf-8") as file:
        for batch in _batches(encoder, wanted, budget):
            forest = Forest()
            order = _lay(forest, [(prompt, trie, place) for place, (_, _, prompt, trie) in enumerate(batch)])
            row = pack(forest)
            scores = dict(zip(order, score(loaded, row), strict=True))
            for place, (item, v, _, _) in enumerate(batch):
                width = len(ENDS) + 1
                flat = [round(value, 4) for value in scores[place]]
                values = [flat[i : i + width] for i in range(0, len(flat), width)]
                line = {"model": model.name, "id": item.id, "kind": item.kind, "choose": item.chosen_by,
                        "variant": v.name, "answer": item.answer, "labels": list(item.labels),
                        "values": values[::-1] if v.reverse else values}  # fmt: skip
                file.write(json.dumps(line) + "\n")
            file.flush()
            tokens, lines = tokens + len(row.tokens), lines + len(batch)
            if time.monotonic() - began > 60 * minutes:
                break
    seconds = time.monotonic() - began
    print(f"{lines} prompts, {tokens} tokens in {seconds:.0f} s: {tokens / seconds:.0f} tokens/s on {device}")


Prompt = tuple[Item, Variant, tuple[int, ...], LabelTrie]


def _batches(encoder: PromptEncoder, wanted: Iterator[tuple[Item, Variant]], budget: int) -> Iterator[list[Prompt]]:
    """Prompts that go through the model together; tokens are counted as if variants shared a document and no more."""
    batch: list[Prompt] = []
    used, last = 0, ""
    for item, v in wanted:
        prompt, trie = _encode(encoder, item, v)
        document = len(encoder.text(item.text, trusted=False))
        new = len(prompt) + len(trie.tokens) - (document if item.id == last else 0)
        if batch and used + new > budget:
            yield batch
            batch, used, new = [], 0, len(prompt) + len(trie.tokens)
        batch.append((item, v, prompt, trie))
        used, last = used + new, item.id
    if batch:
        yield batch


def _encode(encoder: PromptEncoder, item: Item, v: Variant) -> tuple[tuple[int, ...], LabelTrie]:
    labels = item.labels[::-1] if v.reverse else item.labels
    closing = [Piece(encoder.frame.closing, True)]
    prompt = [*encoder.opening(), *encoder.pieces([*v.pieces(item.text, labels, item.asked), *closing])]
    gap = encoder.frame.gap
    if v.answer:
        prompt += encoder.text(gap + v.answer, trusted=False)
        gap = ""
    answers = [encoder.text(gap + answer, trusted=False) for answer in v.answers(labels)]
    ends = [encoder.stop, encoder.text("\n", trusted=False)[0], encoder.text('"', trusted=False)[0]]
    return tuple(prompt), _trie(answers, ends)


def _trie(answers: Sequence[Sequence[int]], ends: Sequence[int]) -> LabelTrie:
    """For each answer: the path of its tokens, then one path for each of `ends` after them."""
    tokens: list[int] = []
    parents: list[int] = []
    nodes: dict[tuple[int, int], int] = {}
    lookups: dict[tuple[int, int], int] = {}
    paths: dict[int, list[tuple[int, ...]]] = {}
    for index in sorted(range(len(answers)), key=lambda i: tuple(answers[i])):
        row, path = -1, []
        for token in answers[index]:
            path.append(lookups.setdefault((row, token), len(lookups)))
            node = nodes.setdefault((row, token), len(tokens))
            if node == len(tokens):
                tokens.append(token)
                parents.append(row)
            row = node
        paths[index] = [tuple(path), *((lookups.setdefault((row, end), len(lookups)),) for end in ends)]
    flat = tuple(path for index in range(len(answers)) for path in paths[index])
    return LabelTrie(tuple(map(tuple, answers)), ends[0], tuple(tokens), tuple(parents), tuple(lookups), flat)


def _lay(
    forest: Forest, prompts: Sequence[tuple[tuple[int, ...], LabelTrie, int]], parent: int = NO_PARENT
) -> list[int]:
    """Lay prompts so that whatever beginnings they share are computed once; returns whose each ask is, in order."""
    order: list[int] = []
    groups: dict[int, list[tuple[tuple[int, ...], LabelTrie, int]]] = {}
    for prompt in prompts:
        groups.setdefault(prompt[0][0], []).append(prompt)
    for group in groups.values():
        low, high = min(tokens for tokens, _, _ in group), max(tokens for tokens, _, _ in group)
        shared = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
        span = forest.add(low[:shared], parent)
        for tokens, trie, place in group:
            if len(tokens) == shared:
                forest.ask(span, trie)
                order.append(place)
        order += _lay(forest, [(t[shared:], trie, place) for t, trie, place in group if len(t) > shared], span)
    return order


def _content_free(made: Sequence[Item]) -> list[Item]:
    """One item for each list of labels, its document empty."""
    lists = {(item.kind, item.labels): item for item in made if not item.asked and item.kind != MANY}
    return [
        Item(f"free:{item.id}", f"free {kind}", CONTENT_FREE, labels, item.answer)
        for (kind, labels), item in lists.items()
    ]


def _done(out: Path) -> set[tuple[str, str]]:
    if not out.exists():
        return set()
    with out.open(encoding="utf-8") as lines:
        return {(row["id"], row["variant"]) for row in map(json.loads, lines)}


if __name__ == "__main__":
    app()
