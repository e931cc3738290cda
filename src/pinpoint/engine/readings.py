"""What others may know of the engine: its memory, which model answered, how long a state is. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

# Of what a model made of a document, where that is wanted (`forward/states.py`).
STATE_FLOATS = 128


@dataclass(frozen=True, slots=True)
class Memory:
    """Device memory after the job, without a GPU the process's; `baseline` is what the model alone holds."""

    allocated_bytes: int
    reserved_bytes: int
    free_bytes: int
    baseline_bytes: int


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What answered; with the same five values the same document gets the same answer."""

    name: str
    revision: str
    precision: str
    prompt_version: int
    labels_sha: str
