"""What the engine says of itself in every answer: its memory, and which model answered. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass


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
