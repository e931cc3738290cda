"""`python -m pinpoint check`: is a model scored exactly on this machine, and by how much is it off?

Exit code 0 when it is, 1 when it is not or cannot be loaded.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pinpoint.errors import PinpointError
from pinpoint.settings import read_settings

if TYPE_CHECKING:
    from pinpoint.engine.proof_parts import Proof
    from pinpoint.engine.scorer import Scorer

FAILED = 1
PIPED_COLUMNS = 120


def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="A folder, or a name on the Hub; without it MODEL_NAME, or else the embedded model.",
            envvar=["MODEL_NAME", "PINPOINT_MODEL_NAME"],
        ),
    ] = "",
    revision: Annotated[
        str, typer.Option(help="Branch, tag or commit of a name on the Hub.", envvar="MODEL_REVISION")
    ] = "main",
    precision: Annotated[
        Literal["int8", "fp8", "nf4", "bf16", "auto"],
        typer.Option(help="How weights are held.", envvar="PINPOINT_PRECISION"),
    ] = "int8",
    device: Annotated[
        Literal["auto", "cuda", "cpu"],
        typer.Option(help="auto is GPU 0; on a CPU only the embedded model runs untold.", envvar="PINPOINT_DEVICE"),
    ] = "auto",
    compute_dtype: Annotated[
        Literal["auto", "float32", "bfloat16"],
        typer.Option(
            help="What is computed in; auto is bfloat16 on a GPU, float32 on a CPU.", envvar="PINPOINT_COMPUTE_DTYPE"
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Load MODEL as a worker would, and prove that its scores are those of its own forward pass.

    A worker does the same before its first job, and refuses a model that fails. Here you see by how much.

    A small fixed batch is scored the worker's way, packed, and read by transformers' own forward pass of the same
    weights, prompt by prompt. Both go through the layers side by side, each stage given the same numbers, so what is
    left between them is that stage's rounding: some 1e-6 of its size in float32, some 1e-2 in bfloat16. A wrong window,
    sink, position or mask is 1e-1 and more. Prompts are compared with the tokenizer's apply_chat_template.

    First come the weights: some rows of each tensor against what its file has there, and every kind of quantised layer
    against float32 products of what its weights stand for.

    [bold]Examples[/bold]

    The embedded model:

    [cyan]python -m pinpoint check[/cyan]

    A model of your own, on a GPU, and the same in 16 bits without one:

    [cyan]python -m pinpoint check ./my-model[/cyan]

    [cyan]python -m pinpoint check ./my-model --precision bf16 --device cpu[/cyan]

    For a script; "proved" says it, and the exit code:

    [cyan]python -m pinpoint check HuggingFaceTB/SmolLM2-135M-Instruct --device cpu --json[/cyan]

    Exit code 0: it is proved. 1: it is not, or it cannot be loaded; the message has the code. 2: the command is wrong.
    """
    began = time.monotonic()
    try:
        settings = read_settings(
            model_name=model, model_revision=revision, precision=precision, device=device, compute_dtype=compute_dtype
        )
        # Imported here: torch takes its seconds.
        from pinpoint.serving.model import examine

        scorer, found = examine(settings)
    except PinpointError as error:
        if as_json:
            refused = {"code": error.code, "message": error.message, "field": error.field}
            print(json.dumps({"model": model, "proved": False, "error": refused}, ensure_ascii=False))
        else:
            typer.echo(error.wire(), err=True)  # rich would break the line
        raise typer.Exit(FAILED) from None
    summary = summarise(scorer, found, time.monotonic() - began)
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        console = Console()
        _print(console if console.is_terminal else Console(width=PIPED_COLUMNS), summary)
    raise typer.Exit(0 if summary["proved"] else FAILED)


def summarise(scorer: Scorer, found: Proof, seconds: float) -> dict[str, Any]:
    """All that was found, as plain values; `seconds` of everything, imports included."""
    from pinpoint.engine.proof_parts import in_words

    loaded, encoder, compared = scorer.loaded, scorer.prompts.encoder, scorer.compared
    return {
        "model": loaded.name,
        "revision": loaded.revision,
        "family": str(loaded.model.config.model_type),
        "precision": loaded.precision,
        "compute_dtype": found.dtype,
        "device": str(loaded.device),
        "context_tokens": loaded.context_tokens,
        "token_budget": scorer.token_budget,
        "proved": found.wrong is None,
        "error": None
        if found.wrong is None
        else {"code": "model_unproven", "message": in_words(found.wrong, found.dtype), "field": "MODEL_NAME"},
        "parts": [
            {
                "stage": part.stage, "layer": part.layer, "pass": part.company, "apart": part.apart,
                "tolerance": part.tolerance, "holds": part.holds,
            }
            for part in found.parts
        ],
        "not_reached": list(found.unreached),
        "weights": {"tensors": found.tensors, "left_out": found.tensors_left_out, "products": found.products},
        "prompts": {"compared": compared.prompts, "turns": compared.turns, "tokens": compared.tokens},
        "stop": {"token": encoder.tokenizer.convert_ids_to_tokens(encoder.stop), "id": encoder.stop},
        "seconds": {"load": round(loaded.seconds, 2), "proof": round(found.seconds, 2), "all": round(seconds, 2)},
    }  # fmt: skip


def _print(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"[bold]{escape(found['model'])}[/bold] ({escape(found['family'])}): {found['precision']}, computed in "
        f"{found['compute_dtype']} on {found['device']}, context of {found['context_tokens']:,} tokens",
        soft_wrap=True, highlight=False,
    )  # fmt: skip
    numbers = (Column(title, justify="right") for title in ("apart", "allowed"))
    table = Table("stage", *numbers, "farthest in", "", box=None)
    for part in found["parts"]:
        where = part["pass"] if part["apart"] else ""
        layer = f"layer {part['layer']}, " if part["layer"] is not None and part["apart"] else ""
        verdict = "[green]holds[/green]" if part["holds"] else "[red]does not hold[/red]"
        table.add_row(part["stage"], f"{part['apart']:.1e}", f"{part['tolerance']:g}", layer + where, verdict)
    console.print(table)
    prompts, stop, seconds, weights = (found[name] for name in ("prompts", "stop", "seconds", "weights"))
    left_out = f", {weights['left_out']:,} cannot be retraced" if weights["left_out"] else ""
    lines = [
        f"weights: {weights['tensors']:,} stored tensors compared with their files{left_out}; "
        f"{weights['products']:,} products of layers by themselves",
        f"prompts: {prompts['compared']} and {prompts['turns']} with an answer are apply_chat_template's, token for "
        f"token ({prompts['tokens']:,} tokens)",
        f"STOP: {stop['token']} ({stop['id']})",
        *(f"not reached: no prompt of the batch is longer than {limit:,} tokens" for limit in found["not_reached"]),
        f"loaded in {seconds['load']:.1f} s, proved in {seconds['proof']:.2f} s",
    ]
    for line in lines:
        console.print(escape(line), soft_wrap=True, highlight=False)
    if found["proved"]:
        console.print("[bold green]proved: what is scored is what the model computes[/bold green]")
    else:
        console.print(f"[bold red]{escape(found['error']['message'])}[/bold red]", soft_wrap=True, highlight=False)
