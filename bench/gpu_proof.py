"""The proof at load, over the full-size model: each stage against its tolerance, and how long it takes."""

from __future__ import annotations

from bench.gpu_rows import Row, at_most
from pinpoint.engine.proof import examine
from pinpoint.engine.scorer import Scorer

PART = "proof"
SECONDS = 2.0


def proof(scorer: Scorer) -> list[Row]:
    """Once for the kernels of its small shapes, and once as a worker has it behind its warm-up."""
    examine(scorer)
    found = examine(scorer)
    return [
        at_most(PART, f"seconds for {found.sequences} prompts of {found.tokens} tokens", found.seconds, SECONDS),
        at_most(PART, f"of them for {found.products} products by themselves", found.products_seconds, SECONDS),
        *(
            at_most(
                PART, f"{part.stage}, {part.company}, layer {part.layer}", float(f"{part.apart:.2e}"), part.tolerance
            )
            for part in found.parts
        ),
    ]
