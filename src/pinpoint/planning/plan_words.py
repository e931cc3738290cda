"""A memory plan for people: its table, its verdict, and how long prompts are read, each in words."""

from __future__ import annotations

from dataclasses import dataclass

from pinpoint.planning.activations import RECORDED_LENGTHS, Precision, Stage
from pinpoint.planning.cards import GB
from pinpoint.planning.memory_plan import (
    CUDA_CONTEXT_BYTES,
    MAX_ROW_TOKENS,
    ROOT_TOKENS,
    SLACK_PERCENT,
    MemoryPlan,
    with_slack,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One line of a plan."""

    name: str
    bytes: int
    how: str


def terms(made: MemoryPlan) -> tuple[Term, ...]:
    """The table's lines. The last is there before the seven above it, not with them; the larger side counts."""
    shape, tokens = made.shape, made.token_budget or made.prompt_tokens
    widest = max(made.stages, key=lambda stage: stage.peak_bytes(tokens))
    working = made.pass_bytes(tokens)
    return (
        Term("driver", made.driver_bytes, "what the driver keeps of the card's total"),
        Term("CUDA context", CUDA_CONTEXT_BYTES, "kernels and workspaces outside the allocator"),
        Term("weights", made.weight_bytes, f"{shape.parameters / 1e9:.2f} B parameters: {_weights_how(made)}"),
        Term(
            "prefix store",
            made.store_bytes,
            f"PINPOINT_PREFIX_STORE_BYTES, or less for {made.concurrency} jobs x {ROOT_TOKENS:,} tokens of labels",
        ),
        Term(
            "recorded passes",
            made.recorded_bytes,
            f"passes of up to {RECORDED_LENGTHS[-1]:,} tokens, asked of the device in pieces"
            if made.recorded_bytes
            else "none: there is no room for them, or experts have 16-bit states",
        ),
        Term(
            "reasons",
            made.kept_reason_bytes(tokens),
            f"{made.kept_reason_places(tokens):,} tokens x {made.kept_token_bytes / 1024:,.0f} KiB of what is left "
            "over: the cache of recorded steps",
        ),
        Term("scratch", widest.fixed_bytes, _scratch_how(widest, made.precision)),
        Term(
            "activations",
            widest.token_bytes * tokens,
            f"{tokens:,} tokens x {widest.token_bytes / 1e3:.0f} kB, widest in {widest.name}",
        ),
        Term(
            "kept by a pass",
            made.kept_token_bytes * tokens,
            f"{tokens:,} tokens x {made.kept_token_bytes / 1024:,.0f} KiB: keys and values for reasons, long lists "
            "of labels and the store",
        ),
        Term("allocator's slack", with_slack(working) - working, f"{SLACK_PERCENT} % of the three above"),
        Term(
            "or, while loading",
            made.loading_bytes,
            "the largest tensor in 16 bits, and what quantising takes; the seven above come later",
        ),
    )


def verdict(made: MemoryPlan, card: str = "the card") -> str:
    """The answer in one sentence."""
    against = (
        f"{_gb(made.bound_bytes)} GB ({card}: {_gb(made.card_bytes)} GB less a buffer of {_gb(made.buffer_bytes)})"
    )
    needed_bytes = made.planned_bytes
    if made.held_by_max:
        against = f"{_gb(made.bound_bytes - made.driver_bytes)} GB (PINPOINT_MAX_MEMORY_GB)"
        needed_bytes -= made.driver_bytes
    weights = f"{_gb(made.weight_bytes)} GB of weights in {made.precision}"
    if made.fits:
        more = f" (memory allows {made.fitting_tokens:,})" if made.fitting_tokens > MAX_ROW_TOKENS else ""
        return f"fits: {weights} against {against}; token budget {made.token_budget:,}{more}"
    return (
        f"does not fit: {weights} against {against}; loading it and answering one prompt of {made.prompt_tokens:,} "
        f"tokens needs {_gb(needed_bytes)} GB, {_gb(made.missing_bytes)} GB too many"
    )


def reading(made: MemoryPlan, pass_tokens: int) -> str:
    """How long prompts are read where passes take so many tokens, in one sentence."""
    tokens, context = min(pass_tokens, made.token_budget), made.shape.context_tokens
    read = made.read_tokens(pass_tokens)
    most = f"prompts of up to {read:,} tokens are read" + (", the model's context" if read >= context else "")
    if read <= tokens:
        return f"passes of {tokens:,} tokens: {most}"
    needed = made.needed_bytes(tokens, read) - made.needed_bytes(tokens)
    short = "" if read >= context else f", of a context of {context:,}"
    return f"passes of {tokens:,} tokens: {most}{short}, in chunks; that takes {_gb(needed)} GB more than a pass"


def _weights_how(made: MemoryPlan) -> str:
    """How the weights' bytes come about, in a few words."""
    if made.precision == "bf16":
        return "2 bytes each"
    each = {
        "int8": "1 byte each and a float32 scale per output channel",
        "fp8": "1 byte each and a float32 scale per output channel",
        "nf4": "4 bits each, 8 more per 64, 32 more per 16,384",
    }
    return f"{each[made.precision]}; {made.shape.kept_parameters / 1e9:.2f} B of them kept in 16 bits"


def _scratch_how(stage: Stage, precision: Precision) -> str:
    if stage.name == "logits":
        return "a slice of logits in 16 bits and in float32"
    if stage.name == "explanation":
        return "room for an answer and its reason, and what the store kept, once more"
    if precision in ("bf16", "fp8") or not stage.fixed_bytes:
        return "no copy of a weight is made"
    return f"the largest matrix of one product, as a 16-bit copy ({stage.name})"


def _gb(size_bytes: int) -> str:
    return f"{size_bytes / GB:.1f}"
