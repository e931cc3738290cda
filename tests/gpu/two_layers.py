"""Two full-size layers on the card with 8-bit states, for the tests of whole passes."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from bench.gpu_model import plan_and_make
from bench.gpu_passes import to_e4m3
from pinpoint.engine import gpu
from pinpoint.engine.loading.activations import set_activations
from pinpoint.engine.scorer import Scorer
from pinpoint.prompting.span_tree import Forest
from pinpoint.settings import Settings

STATES: dict[str, Callable[[Any], object]] = {"int8": lambda model: set_activations(model, "int8"), "e4m3": to_e4m3}


def two_layers(states: str) -> Iterator[Scorer]:
    """A scorer of them, its memory given back behind it; `states` is one of `STATES`."""
    made = Scorer(plan_and_make(2, Settings(device="cuda")), 8192)
    STATES[states](made.loaded.model)
    yield made
    del made
    gpu.release()
    torch.cuda.set_per_process_memory_fraction(1.0)


def scores(scorer: Scorer, forest: Forest) -> list[list[float]]:
    """Log-probabilities of each ask of a pass."""
    with scorer.run(forest) as done:
        return [one.log_probs for one in done.scores]
