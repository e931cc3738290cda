"""Sweeps documents × lengths × labels × questions: `python bench/scoring.py [--json]`.

For each job: tokens asked for (what one prompt after another would compute), tokens computed, seconds, and the
ceiling: the matrix products of the computed tokens alone, by torch, in the same dtype, in turn with the jobs (the last
layer's of all rows, which Pinpoint leaves out). Two models: the embedded one, and 4 layers of hidden size 1,024 with
random weights, whose flat scores make every label of a long list count.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, MixtralConfig

from bench.peers import texts
from bench.report import in_turn, ratio, write
from pinpoint.engine.loading.load import embedded_folder, load
from pinpoint.engine.scorer import Scorer
from pinpoint.engine.weights.int8 import Int8Linear, is_int8_experts
from pinpoint.prompting.span_tree import Forest
from pinpoint.prompting.taxonomy import Label, Task
from pinpoint.settings import Settings

Job = dict[str, int]
SWEEP: tuple[Job, ...] = (
    {"documents": 1, "tokens": 300, "labels": 8, "questions": 1},
    {"documents": 8, "tokens": 300, "labels": 8, "questions": 1},
    {"documents": 32, "tokens": 300, "labels": 8, "questions": 1},
    {"documents": 4, "tokens": 1000, "labels": 2, "questions": 1},
    {"documents": 4, "tokens": 1000, "labels": 20, "questions": 1},
    {"documents": 4, "tokens": 1000, "labels": 200, "questions": 1},
    {"documents": 1, "tokens": 1000, "labels": 8, "questions": 1},
    {"documents": 1, "tokens": 1000, "labels": 8, "questions": 8},
)
KINDS = (
    "invoice", "receipt", "order", "contract", "statement", "report", "letter", "claim", "notice", "quote",
)  # fmt: skip
FIELDS = (
    "sales", "travel", "energy", "legal", "medical", "office", "food", "rental", "tax", "bank",
    "school", "software", "vehicle", "building", "customs", "staff", "pension", "media", "garden", "water",
)  # fmt: skip


def task_of(labels: int, number: int = 0) -> Task:
    """A task of `labels` labels of one to three words; `number` makes tasks differ."""
    names = [*KINDS, *(f"{field} {kind}" for kind in KINDS for field in FIELDS)]
    chosen = names[number : number + labels] if number else names[:labels]
    return Task(f"question {number}", tuple(Label(name, name) for name in chosen))


def run(scorer: Scorer, tasks: list[Task], documents: list[list[int]]) -> tuple[int, int]:
    """Score all within the token budget; returns tokens asked for and computed."""
    asked = computed = 0
    forest = Forest()

    def flush() -> None:
        nonlocal asked, computed, forest
        with scorer.run(forest) as done:
            computed += done.computed_tokens
            asked += sum(forest.prompt_tokens(ask.span) + sum(map(len, ask.trie.labels)) for ask in forest.asks)
        forest = Forest()

    for document in documents:
        for task in tasks:
            if (
                forest.asks
                and forest.total_tokens + scorer.prompts.lay(task, document)[0].new_tokens(forest) > scorer.token_budget
            ):
                flush()
            scorer.prompts.add(forest, task, document, exact_best=2)
    flush()
    return asked, computed


def plain_products(scorer: Scorer, tokens: int) -> Callable[[], None]:
    """The plain matrix products that `tokens` tokens need, weights already in the compute dtype."""
    dtype = scorer.loaded.compute_dtype
    sizes: dict[tuple[int, int, int], int] = {}
    for module in scorer.loaded.model.modules():
        if isinstance(module, Int8Linear):
            size = (tokens, module.in_features, module.out_features)
            sizes[size] = sizes.get(size, 0) + 1
        elif is_int8_experts(module):
            chosen = scorer.loaded.model.config.num_experts_per_tok
            for weight in (module.gate_up_proj, module.down_proj):
                experts, outputs, inputs = weight.shape
                size = (max(1, tokens * chosen // experts), inputs, outputs)
                sizes[size] = sizes.get(size, 0) + experts

    made = [
        (torch.randn(rows, inputs, dtype=dtype), torch.randn(outputs, inputs, dtype=dtype), count)
        for (rows, inputs, outputs), count in sizes.items()
    ]

    def run_products() -> None:
        for x, weight, count in made:
            for _ in range(count):
                F.linear(x, weight)

    return run_products


class _Peak(TorchDispatchMode):
    """Largest single tensor that is made inside, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor) and tensor.device.type != "meta":
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return out


@contextmanager
def random_model(layers: int, hidden: int) -> Iterator[str]:
    """A folder with a Mixtral of random weights and the embedded model's tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        config = MixtralConfig(
            vocab_size=8000, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
            num_attention_heads=hidden // 64, num_key_value_heads=hidden // 256, num_local_experts=8,
            num_experts_per_tok=2, max_position_embeddings=32768, sliding_window=None,
        )  # fmt: skip
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
        for file in embedded_folder().iterdir():
            if file.name.startswith(("tokenizer", "chat_template")):
                (Path(folder) / file.name).write_bytes(file.read_bytes())
        yield folder


def sweep(scorer: Scorer, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The figures of every job of `SWEEP` and the ratios asked for; jobs and ceilings all in turn."""
    rows, sides = list[dict[str, Any]](), dict[str, Callable[[], object]]()
    for number, job in enumerate(SWEEP):
        tasks = [task_of(job["labels"], number * 8) for number in range(job["questions"])]
        documents = texts(scorer, job["documents"], job["tokens"])
        asked, computed = run(scorer, tasks, documents)
        rows.append({**job, "tokens_asked": asked, "tokens_computed": computed})
        sides[f"job {number}"] = partial(run, scorer, tasks, documents)
        sides[f"ceiling {number}"] = plain_products(scorer, computed)
    seconds = in_turn(sides, rounds)
    for number, row in enumerate(rows):
        job_s, ceiling_s = seconds[f"job {number}"], seconds[f"ceiling {number}"]
        row |= {
            "seconds": round(median(job_s), 4), "ceiling_seconds": round(median(ceiling_s), 4),
            "share_of_ceiling": round(ratio(ceiling_s, job_s), 3),
        }  # fmt: skip

    def over(more: Job, less: Job) -> float:
        return round(ratio(seconds[f"job {SWEEP.index(more)}"], seconds[f"job {SWEEP.index(less)}"]), 2)

    return rows, {"200_labels_over_2": over(SWEEP[5], SWEEP[3]), "8_questions_over_1": over(SWEEP[7], SWEEP[6])}


def memory(scorer: Scorer) -> list[dict[str, Any]]:
    """Largest tensor of one pass over a row of so many tokens: linear, and never rows × rows."""
    rows = []
    for count in (4, 8, 16):
        forest = Forest()
        for document in texts(scorer, count, 1000):
            scorer.prompts.add(forest, task_of(8), document)
        with _Peak() as peak, scorer.run(forest):
            pass
        rows.append({
            "tokens": forest.total_tokens, "largest_tensor_bytes": peak.bytes, "mask_bytes": forest.total_tokens**2
        })  # fmt: skip
    return rows


def main(
    rounds: Annotated[int, typer.Option(help="Measured rounds of each job.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Also write bench/results/scoring.json.")] = False,
) -> None:
    """Sweep both models and print a table for each."""
    figures: dict[str, Any] = {}
    with random_model(layers=4, hidden=1024) as folder:
        for name, source in (("embedded", ""), ("random 4 × 1024", folder)):
            settings = Settings(model_name=source, device="cpu")
            scorer = Scorer(load(settings), settings.usual_budget, settings.prefix_store_bytes)
            rows, ratios = sweep(scorer, rounds)
            figures[name] = {"jobs": rows, **ratios, "memory": memory(scorer)}
            table = Table(*rows[0], box=None, title=f"{name}: {ratios}")
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
            Console(width=140).print(table)
            Console(width=140).print(figures[name]["memory"])
    if as_json:
        print(json.dumps({name: {k: v for k, v in each.items() if "_over_" in k} for name, each in figures.items()}))
        print(f"written to {write('scoring', figures)}")


if __name__ == "__main__":
    typer.run(main)
