"""Are a document's scores the same to the bit whatever stands beside it? `python bench/bits.py [--device cuda]`.

One document is scored alone, and again in company: first, last and in the middle of others, among other questions and
long lists of labels, its beginning kept from an earlier pass or not, the last layer narrowed to the wanted rows or not.
Of each case the table says whether the scores are equal to the bit, and if they are not, how far they are apart and in
which module the first bit differs, at the document's own rows. Random weights on a GPU; on a CPU the embedded model and
small random ones.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from bench.gpu_model import as_loaded, mixtral_8x7b, need_gpu, random_model
from pinpoint.engine import forest_scorer
from pinpoint.engine.forward import last_layer
from pinpoint.engine.forward.packing import PackedRow
from pinpoint.engine.loading.load import load
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.settings import Settings

STORE_BYTES = 100_000_000
NEIGHBOURS = 200
# Ids of the embedded model's tokenizer that are neither control tokens nor single bytes.
FIRST_WORD, LAST_WORD = 1000, 7999
KINDS = ("invoice", "receipt", "order", "contract", "statement", "report", "letter", "claim")
FIELDS = ("sales", "travel", "energy", "legal", "medical", "office", "food", "rental", "tax", "bank")

console = Console(width=160)


def task_of(name: str, labels: int) -> Task:
    """A task of so many labels of one or two words."""
    names = [*KINDS, *(f"{field} {kind}" for kind in KINDS for field in FIELDS)][:labels]
    return Task(name, tuple(Label(one, one) for one in names))


ASKED, TONE, LONG_LIST = task_of("category", 8), task_of("tone", 3), task_of("topic", 80)


@dataclass(slots=True)
class Trace:
    """What was seen of one document in a pass.

    Attributes:
        log_probs: of its labels.
        outputs: by module, in the order of computing: which of the document's rows, and what came out there.
    """

    log_probs: list[float] = field(default_factory=list)
    outputs: dict[str, tuple[np.ndarray, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """One case against the document alone: equal to the bit, or where first not and by how much."""

    case: str
    same: bool
    apart: float
    module: str = ""


def first_difference(one: Trace, other: Trace) -> str:
    """The first module of which a row of the document differs; empty where none does."""
    for name, (places, states) in one.outputs.items():
        if name not in other.outputs:
            continue
        theirs, others = other.outputs[name]
        _, mine, his = np.intersect1d(places, theirs, return_indices=True)
        if len(mine) and not torch.equal(states[mine], others[his]):
            rows = int((states[mine] != others[his]).reshape(len(mine), -1).any(dim=1).sum())
            return f"{name} ({rows} of {len(mine)} rows)"
    return ""


def traced(scorer: Scorer, forest: Forest, ask: int, modules: bool = True) -> Trace:
    """Score a forest and keep what the modules gave for the rows of one of its asks: its prompt's and its labels'."""
    trace, path, begin = Trace(), list[tuple[int, int, int]](), 0
    for span in forest.ancestry(forest.asks[ask].span):
        path.append((span, begin, len(forest.tokens[span])))
        begin += len(forest.tokens[span])
    span, first, length = path[-1]
    path[-1] = (span, first, length + len(forest.asks[ask].trie.tokens))  # they follow it in the row
    with ExitStack() as stack:
        if modules:
            stack.enter_context(_watching(scorer, trace, path))
        done = stack.enter_context(scorer.run(forest))
        trace.log_probs = list(done.scores[ask].log_probs)
    return trace


@contextmanager
def _watching(scorer: Scorer, trace: Trace, path: list[tuple[int, int, int]]) -> Iterator[None]:
    """Within the block, passes that lay the last span of a path leave in `trace` what each module of the layers made of
    its rows. The path is of spans, where each begins in the prompt, and how many tokens of each are looked at.
    """
    engine: Any = forest_scorer
    plain, handles, laid = engine.score, list[Any](), list[PackedRow]()

    def score(model: Any, row: PackedRow, *args: Any, **options: Any) -> Any:
        laid[:] = [row] if path[-1][0] in row.span_starts else []
        return plain(model, row, *args, **options)

    def look(name: str, states: Any) -> None:
        states = states[0] if isinstance(states, tuple) else states
        if not laid or not isinstance(states, Tensor):
            return
        states, row = (states[0] if states.ndim == 3 else states), laid[0]
        if states.ndim != 2 or len(states) < len(row.rows):
            return
        # The last layer may be given the wanted rows alone.
        at = np.arange(len(row.tokens)) if len(states) >= len(row.tokens) else row.rows
        places, mine = list[int](), list[int]()
        for one, begin, tokens in path:
            start = row.span_starts.get(one, len(row.tokens))  # what is kept is not laid
            found = np.flatnonzero((at >= start) & (at < start + tokens))
            mine += found.tolist()
            places += (at[found] - start + begin).tolist()
        trace.outputs.setdefault(name, (np.array(places), states[torch.tensor(mine, device=states.device)].clone()))

    for number, layer in enumerate(last_layer.layers(scorer.loaded.model) or []):
        for name, module in layer.named_modules():
            where = f"layer {number} {name}".rstrip()
            handles.append(module.register_forward_hook(lambda _, args, out, where=where: look(where, out)))
            if name.endswith("o_proj"):
                seen = f"layer {number} attention"
                handles.append(module.register_forward_pre_hook(lambda _, args, seen=seen: look(seen, args[0])))
    engine.score = score
    try:
        yield
    finally:
        engine.score = plain
        for handle in handles:
            handle.remove()


def documents(count: int, seed: int, longest: int) -> list[list[int]]:
    """Random words of many lengths."""
    rng = random.Random(seed)
    return [[rng.randint(FIRST_WORD, LAST_WORD) for _ in range(rng.randint(3, longest))] for _ in range(count)]


def words(count: int) -> list[int]:
    """A document of so many random words, the same each time."""
    rng = random.Random(count)
    return [rng.randint(FIRST_WORD, LAST_WORD) for _ in range(count)]


def a_forest(scorer: Scorer, asked: list[tuple[Task, list[int]]], same_bits: bool = True) -> Forest:
    """Questions about documents, in their order."""
    forest = Forest(same_bits=same_bits)
    for task, document in asked:
        scorer.prompts.add(forest, task, document)
    return forest


def cases(
    scorer: Scorer, document: list[int], others: list[list[int]]
) -> Iterator[tuple[str, bool, list[tuple[Task, list[int]]], int]]:
    """Each company: its name, whether the beginning is kept before, what is asked, and which of it is the document."""
    mine = (ASKED, document)
    same = [(ASKED, other) for other in others]
    yield "alone again", False, [mine], 0
    yield "alone, warm store", True, [mine], 0
    yield "with one after it", False, [mine, same[0]], 0
    yield "with one before it", False, [same[0], mine], 1
    yield f"first of {len(same)}", False, [mine, *same], 0
    yield f"last of {len(same)}", False, [*same, mine], len(same)
    yield f"among {len(same)}, warm store", True, [*same[::2], mine, *same[1::2]], len(same[::2])
    few = others[:5]
    yield "other questions about it", False, [(TONE, document), mine, (LONG_LIST, document)], 1
    yield "long lists beside it, few documents", False, [*((LONG_LIST, one) for one in few), mine], len(few)
    yield "other questions, warm store", True, [*((TONE, one) for one in others), mine], len(others)
    yield "a list of 80 labels first", False, [(LONG_LIST, [FIRST_WORD] * 3), mine], 1


def compare(
    scorer: Scorer, document: list[int], others: list[list[int]], *, same_bits: bool = True, modules: bool = True
) -> list[Found]:
    """All cases of one document."""
    scorer.store.clear()
    alone = traced(scorer, a_forest(scorer, [(ASKED, document)], same_bits), 0, modules)
    found = list[Found]()
    for name, warm, asked, at in cases(scorer, document, others):
        scorer.store.clear()
        if warm:
            traced(scorer, a_forest(scorer, [(ASKED, others[-1]), (TONE, others[0])], same_bits), 0, False)
        seen = traced(scorer, a_forest(scorer, asked, same_bits), at, modules)
        apart = max(abs(a - b) for a, b in zip(alone.log_probs, seen.log_probs, strict=True))
        same = alone.log_probs == seen.log_probs
        found.append(Found(name, same, apart, first_difference(alone, seen)))
    return found


def on_cpu() -> Iterator[tuple[str, Scorer, int]]:
    """The embedded model, and a small random Mixtral in 8 bits."""
    yield "embedded", Scorer(load(Settings(device="cpu")), 100_000, STORE_BYTES), 400
    config = mixtral_8x7b(2)
    config.update({"hidden_size": 128, "intermediate_size": 352, "num_attention_heads": 4, "num_key_value_heads": 2})
    cpu = torch.device("cpu")
    loaded = as_loaded(random_model(config, cpu, torch.float32), cpu, None, 0.0)
    object.__setattr__(loaded, "compute_dtype", torch.float32)
    yield "random Mixtral", Scorer(loaded, 100_000, STORE_BYTES), 400


def on_cuda(layers: int) -> Iterator[tuple[str, Scorer, int]]:
    """A few layers of Mixtral 8x7B at full width, in 8 bits."""
    cuda = torch.device("cuda", 0)
    loaded = as_loaded(random_model(mixtral_8x7b(layers), cuda), cuda, None, 0.0)
    yield f"Mixtral 8x7B, {layers} layers, int8", Scorer(loaded, 8192, STORE_BYTES), 400


def main(
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    layers: Annotated[int, typer.Option(help="Of the random Mixtral on a GPU.")] = 3,
    neighbours: Annotated[int, typer.Option(help="Documents beside the one.")] = NEIGHBOURS,
    lengths: Annotated[list[int] | None, typer.Option(help="Of the document, in tokens; more than one.")] = None,
    plain: Annotated[bool, typer.Option(help="Without asking for the same bits.")] = False,
) -> None:
    """Print the table; exit code 1 where a bit differs."""
    if device != "cpu":
        need_gpu()
    models: Callable[[], Iterator[tuple[str, Scorer, int]]] = on_cpu if device == "cpu" else lambda: on_cuda(layers)
    differ = False
    for name, scorer, longest in models():
        for length in lengths or [1, 9, 61, 300, 1000]:
            others = documents(neighbours, 1, longest if length > 20 else 40)
            table = Table("case", "same bits", "apart", "first differing module", title=f"{name}: {length} tokens")
            for one in compare(scorer, words(length), others, same_bits=not plain):
                differ |= not one.same
                table.add_row(one.case, "yes" if one.same else "NO", f"{one.apart:.1e}", one.module)
            console.print(table)
    if differ:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
