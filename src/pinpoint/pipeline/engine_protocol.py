"""What the pipeline needs of the engine: it sees floats and numbers of tokens, no tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Forest


class Scores(Protocol):
    """Log-probabilities of an ask's labels; those of `bounded` ones are upper bounds."""

    @property
    def log_probs(self) -> list[float]:
        """By label."""

    @property
    def bounded(self) -> frozenset[int]:
        """Labels that were not computed."""

    @property
    def state(self) -> tuple[float, ...]:
        """What they were read from, where that was wanted."""


class Pass(Protocol):
    """An open pass of the engine."""

    @property
    def scores(self) -> Sequence[Scores]:
        """One for each ask."""

    computed_tokens: int
    found: frozenset[int]  # spans that came from what the engine keeps
    kept: frozenset[int]  # and that went there

    def more(self) -> None:
        """Score the asks that the forest was given since, below spans that are open in it."""

    def explain_all(
        self, asked: Sequence[tuple[int, str]], wanted: Callable[[int], bool]
    ) -> list[tuple[str, int] | None]:
        """Rationales for asks and answers and their numbers of tokens; None where one is not `wanted` any more."""


class Store(Protocol):
    """What the engine keeps from one pass to the next."""

    bytes: int


class Engine(Protocol):
    """What serving needs of the engine."""

    prompts: PromptBuilder
    token_budget: int

    @property
    def row_budget(self) -> int:
        """Most tokens of a question beside its document: no more than of a pass, and nothing that is measured."""

    @property
    def read_tokens(self) -> int:
        """Longest prompt with its label that can be read, in chunks where it takes more than a pass."""

    @property
    def held_bytes(self) -> int:
        """Of beginnings that are read in chunks."""

    def is_long(self, prompt_tokens: int) -> bool:
        """Whether a prompt of so many tokens is read in another way than shorter ones, with which it shares nothing."""

    @property
    def store(self) -> Store:
        """Keys and values that outlive their pass."""

    @property
    def context_tokens(self) -> int:
        """Longest prompt with its label."""

    @property
    def on_card(self) -> bool:
        """Whether it computes on a GPU."""

    @property
    def activations(self) -> Mapping[str, Any]:
        """What health tells of 8-bit activations; empty without any."""

    @property
    def start(self) -> Mapping[str, Any]:
        """What health tells of the start: its token budget, and where its seconds went."""

    @property
    def drifted(self) -> bool:
        """Whether memory is lost for good."""

    def run(self, forest: Forest, *, explain: bool = False) -> AbstractContextManager[Pass]:
        """Score the asks of a forest."""

    def release(self) -> None:
        """Give back what a pass that ran out of memory left behind."""

    def memory(self) -> Memory:
        """What the device holds now."""

    def info(self, labels_sha: str) -> ModelInfo:
        """What answers."""
