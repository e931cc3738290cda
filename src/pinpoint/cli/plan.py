"""`python -m pinpoint plan`: does a model fit on a card, and if not, what does?

Arithmetic only: no GPU, no network, no torch. Exit code 0 when it fits, 1 when it does not, 2 when the question is
wrong.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from pinpoint.errors import PinpointError
from pinpoint.planning.activations import Activations
from pinpoint.planning.cards import CARDS, GB, GIB, Card, check_fp8, computes, find_card
from pinpoint.planning.known_models import find_shape
from pinpoint.planning.memory_plan import STORE_BYTES, MemoryPlan, choose_precision
from pinpoint.planning.memory_plan import plan as plan_memory
from pinpoint.planning.plan_words import reading, terms, verdict
from pinpoint.planning.shape import ModelShape, check_precision
from pinpoint.planning.stored import check_stored, with_activations
from pinpoint.planning.what_fits import Alternative, alternatives
from pinpoint.settings import USUAL_BUDGET_TOKENS

DEFAULT_MODEL = "mistralai/Mixtral-8x7B-Instruct-v0.1"
DOES_NOT_FIT, BAD_USAGE = 1, 2
# Tables are for people; into a pipe they keep one width whatever the terminal was.
PIPED_COLUMNS = 120
_WHERE = {"precision": "on {card}", "model": "smaller models on {card}", "card": "this model in {precision} on"}


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is not a size; give a number of GB")
    return value


def plan(
    model: Annotated[
        str,
        typer.Option(
            help="A known model, a folder with a config.json, or a name that is cached here.",
            envvar=["MODEL_NAME", "PINPOINT_MODEL_NAME"],
        ),
    ] = DEFAULT_MODEL,
    gpu: Annotated[
        str | None,
        typer.Option(help='A card ("RTX 4090"), a RunPod pool ("ADA_24"), or a size ("48GB"). Without it: every card.'),
    ] = None,
    precision: Annotated[
        Literal["int8", "fp8", "nf4", "bf16", "auto"],
        typer.Option(
            envvar="PINPOINT_PRECISION",
            help="How weights are held; auto is the highest of bf16, int8 and nf4 that fits. fp8 is for Ada, Hopper "
            "and Blackwell cards.",
        ),
    ] = "int8",
    activations: Annotated[
        Literal["compute", "bf16", "int8"],
        typer.Option(
            envvar="PINPOINT_ACTIVATIONS",
            help="What the inputs of products with int8 weights are held in; bf16 is another word for compute.",
        ),
    ] = "compute",
    buffer_gb: Annotated[
        float,
        typer.Option(min=0, callback=_finite, envvar="PINPOINT_BUFFER_GB", help="GB (10⁹ bytes) that must stay free."),
    ] = 3.0,
    max_memory_gb: Annotated[
        float | None,
        typer.Option(
            min=0, callback=_finite, envvar="PINPOINT_MAX_MEMORY_GB", help="GB that the worker may take at most."
        ),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option(
            min=1, max=1000, envvar="PINPOINT_MAX_CONCURRENCY", help="Jobs in flight, each with labels of its own."
        ),
    ] = 4,
    prefix_store_bytes: Annotated[
        int,
        typer.Option(
            min=0, envvar="PINPOINT_PREFIX_STORE_BYTES", help="Most that shared prompt beginnings may hold, bytes."
        ),
    ] = STORE_BYTES,
    token_budget: Annotated[
        int,
        typer.Option(
            min=256, envvar="PINPOINT_TOKEN_BUDGET", help="Most tokens of a pass; longer documents are read in chunks."
        ),
    ] = USUAL_BUDGET_TOKENS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every figure in bytes.")] = False,
) -> None:
    """Say whether a model fits on a card, term by term; and if it does not, what does.

    [bold]Examples[/bold]

    The usual question, and its answer is no:

    [cyan]python -m pinpoint plan --model mistralai/Mixtral-8x7B-Instruct-v0.1 --gpu "RTX 4090"[/cyan]

    The two knobs of a 24 GB card, and the best precision that they leave room for:

    [cyan]python -m pinpoint plan --model Qwen2.5-14B-Instruct --gpu 24GB --max-memory-gb 21 --precision auto[/cyan]

    A model of your own: a folder that holds its config.json. Without --gpu, every card is listed:

    [cyan]python -m pinpoint plan --model ./my-model --precision nf4[/cyan]

    Exit code 0: it fits. 1: it does not. 2: the question is wrong.
    """
    held: Activations = "int8" if activations == "int8" else "compute"
    try:
        shape = find_shape(model)
        card = None if gpu is None else find_card(gpu)
        check_stored(shape.stored, precision, shape.name)
        precision = with_activations(precision, shape.stored, held)
        check_precision(shape, precision)
        if card is not None:
            check_fp8(precision, card.capability, card.name)
    except PinpointError as error:
        Console(stderr=True).print(f"[red]pinpoint plan:[/red] {escape(error.message)}", soft_wrap=True)
        raise typer.Exit(BAD_USAGE) from None

    def made(for_card: Card) -> MemoryPlan:
        sizes = (
            for_card.total_bytes,
            round(buffer_gb * GB),
            None if max_memory_gb is None else round(max_memory_gb * GB),
        )
        more: dict[str, Any] = {"driver_bytes": for_card.driver_bytes, "store_bytes": prefix_store_bytes}
        more["activations"] = held
        if precision == "auto":
            return choose_precision(shape, *sizes, concurrency, **more)
        return plan_memory(shape, precision, *sizes, concurrency, **more)

    if card is None:
        plans = [(each, made(each)) for each in CARDS if computes(each, precision)]
        if as_json:
            typer.echo(
                _dumps(
                    {"model": shape.name, "cards": [_plan_json(each, one, None, token_budget) for each, one in plans]}
                )
            )
        else:
            _print_cards(_console(), shape, plans)
        raise typer.Exit(0 if any(one.fits for _, one in plans) else DOES_NOT_FIT)
    asked = made(card)
    fitting = alternatives(asked)
    if as_json:
        typer.echo(_dumps(_plan_json(card, asked, fitting, token_budget)))
    else:
        _print_plan(_console(), card, asked, fitting, token_budget, chosen=precision == "auto")
    raise typer.Exit(0 if asked.fits else DOES_NOT_FIT)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_COLUMNS)


def _print_plan(
    console: Console, card: Card, asked: MemoryPlan, fitting: list[Alternative], pass_tokens: int, *, chosen: bool
) -> None:
    console.print(
        f"[bold]{escape(asked.shape.name)}[/bold] in {asked.precision} on {escape(card.name)}", soft_wrap=True
    )
    if chosen:
        console.print(f"precision auto: {_why(asked)}", soft_wrap=True)
    table = Table("term", _right("GB"), _right("GiB"), "how it is computed")
    for term in terms(asked):
        table.add_row(term.name, _gb(term.bytes), _gib(term.bytes), term.how)
    table.add_section()
    table.add_row(
        "needed",
        _gb(asked.planned_bytes),
        _gib(asked.planned_bytes),
        "driver, context, weights, and the larger of the rest",
    )
    table.add_row("allowed", _gb(asked.bound_bytes), _gib(asked.bound_bytes), _bound_how(asked))
    console.print(table)
    colour = "green" if asked.fits else "red"
    console.print(f"[bold {colour}]{escape(verdict(asked, card.name))}[/bold {colour}]", soft_wrap=True)
    if asked.fits:
        console.print(reading(asked, pass_tokens), soft_wrap=True)
    if not fitting:
        console.print("Nothing that is known here fits in its place.")
        return
    table = Table("what fits", "", "precision", _right("weights GB"), _right("token budget"))
    previous = None
    for one in fitting:
        table.add_row(
            "" if one.kind == previous else _WHERE[one.kind].format(card=card.name, precision=asked.precision),
            f"{one.name} ({one.pool})" if one.pool else one.name,
            one.plan.precision,
            _gb(one.plan.weight_bytes),
            f"{one.plan.token_budget:,}",
        )
        previous = one.kind
    console.print(table)


def _print_cards(console: Console, shape: ModelShape, plans: list[tuple[Card, MemoryPlan]]) -> None:
    console.print(f"[bold]{escape(shape.name)}[/bold]: {shape.parameters / 1e9:.2f} B parameters", soft_wrap=True)
    table = Table(
        "card", "RunPod pool", "precision", *map(_right, ("weights GB", "allowed GB", "missing GB", "token budget"))
    )
    for card, one in plans:
        table.add_row(
            card.name, card.pool, one.precision, _gb(one.weight_bytes), _gb(one.bound_bytes),
            "" if one.fits else _gb(one.missing_bytes),
            f"{one.token_budget:,}" if one.fits else "[red]does not fit[/red]",
        )  # fmt: skip
    console.print(table)


def _why(asked: MemoryPlan) -> str:
    if not asked.fits:
        return f"none fits; {asked.precision}, the smallest, is shown"
    return f"{asked.precision} is the highest that fits"


def _bound_how(asked: MemoryPlan) -> str:
    if asked.held_by_max:
        return "PINPOINT_MAX_MEMORY_GB or --max-memory-gb, and the driver's share"
    return f"the card's {_gb(asked.card_bytes)} GB less the buffer of {_gb(asked.buffer_bytes)} GB"


def _plan_json(card: Card, asked: MemoryPlan, fitting: list[Alternative] | None, pass_tokens: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": asked.shape.name,
        "parameters": asked.shape.parameters,
        "precision": asked.precision,
        "card": {"name": card.name, "pool": card.pool, "total_bytes": card.total_bytes, "cuda_bytes": card.cuda_bytes},
        "buffer_bytes": asked.buffer_bytes,
        "max_bytes": asked.max_bytes,
        "concurrency": asked.concurrency,
        "prefix_store_bytes": asked.store_bytes,
        "bound_bytes": asked.bound_bytes,
        "planned_bytes": asked.planned_bytes,
        "terms": {term.name: {"bytes": term.bytes, "how": term.how} for term in terms(asked)},
        "fits": asked.fits,
        "missing_bytes": asked.missing_bytes,
        "token_budget": asked.token_budget,
        "pass_tokens": min(pass_tokens, asked.token_budget),
        "read_tokens": asked.read_tokens(pass_tokens),
        "verdict": verdict(asked, card.name),
    }
    if fitting is not None:
        found["what_fits"] = [
            {
                "kind": one.kind, "name": one.name, "pool": one.pool, "precision": one.plan.precision,
                "weight_bytes": one.plan.weight_bytes, "token_budget": one.plan.token_budget,
            }
            for one in fitting
        ]  # fmt: skip
    return found


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _right(title: str) -> Column:
    return Column(title, justify="right")


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / GB:.1f}"


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f}"
