"""Recording CUDA graphs, on a device that only says what it was asked; tests/gpu/test_recorded.py has a real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
import torch

from pinpoint.engine.forward import graphs
from pinpoint.engine.forward.steps import RecordedSteps, record_graph


class Generator:
    """Of a device: a name for its state, which a graph that begins takes."""

    def __init__(self, device: str = "") -> None:
        self.state: object = object()

    def graphsafe_get_state(self) -> Generator:
        other = Generator()
        other.state = self.state
        return other

    def graphsafe_set_state(self, other: Generator) -> None:
        self.state = other.state


class Card:
    """What is recorded on it, and by which rules.

    Attributes:
        busy: states of generators whose graph has not ended in order.
        taking: pools that the allocator takes of for a graph.
        lost: whether what was recorded so far can only end with an error.
    """

    def __init__(self) -> None:
        self.generator, self.busy, self.taking = Generator(), set[object](), list[object]()
        self.lost, self.mode, self.ended = False, 0, list[Graph]()

    def wait(self) -> None:
        """As a product's result is read."""
        if self.mode == 2:
            raise RuntimeError("called a synchronizing CUDA operation")
        self.wait_unseen()

    def wait_unseen(self) -> None:
        self.lost = bool(self.taking)
        if self.lost:
            raise RuntimeError("operation not permitted when stream is capturing")

    def draw(self) -> None:
        assert self.generator.state not in self.busy, "Offset increment outside graph capture"


class Graph:
    def __init__(self, card: Card) -> None:
        self.card = card

    def capture_begin(self, pool: object, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local" and not self.card.taking
        self.state, self.pool = self.card.generator.state, pool
        self.card.busy.add(self.state)
        self.card.taking.append(pool)

    def capture_end(self) -> None:
        if self.card.lost:
            self.card.lost = False
            raise RuntimeError("operation failed due to a previous error during capture")
        assert self.card.taking.pop() == self.pool
        self.card.busy.discard(self.state)
        self.card.ended.append(self)

    def replay(self) -> None:
        assert self.state not in self.card.busy, "Offset increment outside graph capture"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    made = Card()

    @contextmanager
    def stream(_: object) -> Iterator[None]:
        yield

    def set_mode(mode: int) -> None:
        made.mode = mode

    for name, value in {
        "CUDAGraph": lambda: Graph(made), "default_generators": [made.generator], "current_device": lambda: 0,
        "graph_pool_handle": object, "get_sync_debug_mode": lambda: made.mode, "set_sync_debug_mode": set_mode,
        "stream": stream, "synchronize": lambda: None, "empty_cache": lambda: None,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch, "Generator", Generator)
    monkeypatch.setattr(torch, "zeros", lambda *_, zeros=torch.zeros, **__: zeros(1))
    monkeypatch.setattr(graphs, "_kept_generator", cache(graphs._kept_generator.__wrapped__))
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", lambda _, pool: made.taking.remove(pool), raising=False)
    monkeypatch.setattr(graphs, "_stream", lambda _: None)
    return made


def record(card: Card, fails: Any = None) -> list[Any]:
    """Three pieces; `fails` is called within the second."""
    tape, pieces = graphs.Tape(), list[Any]()
    with tape.running():
        pieces.append(tape.cut())
        if fails is not None:
            fails()
        pieces.append(tape.cut())
        pieces.append(tape.end())
    assert {piece.pool for piece in pieces} == {tape.pool}
    return pieces


def test_pieces_are_ended_one_after_the_other(card: Card) -> None:
    own = card.generator.state
    assert record(card) == card.ended
    assert len(card.ended) == 3 and card.mode == 0 and not card.taking
    assert card.generator.state is own and all(piece.state is not own for piece in card.ended)


@pytest.mark.parametrize("how", ["wait", "wait_unseen"])
def test_a_recording_that_fails_harms_nobody(card: Card, how: str) -> None:
    before = record(card)
    with pytest.raises(RuntimeError, match="synchronizing" if how == "wait" else "not permitted"):  # not what follows
        record(card, getattr(card, how))
    assert card.mode == 0 and not card.taking
    card.draw()
    for piece in [*before, *record(card)]:
        piece.replay()


def test_what_is_recorded_draws_no_numbers_of_the_process(card: Card) -> None:
    record(card, card.draw)
    card.draw()


def test_a_step_is_one_graph_and_names_its_pool(card: Card) -> None:
    called = list[int]()
    replay, pool = record_graph(lambda: called.append(card.mode), None)
    again = record_graph(lambda: None, pool)[1]
    kept, first, second = card.ended
    assert called == [2] and again is pool
    assert first.pool is second.pool is pool is not kept.pool
    assert replay == first.replay
    # The state takes memory with its first graph and gives it back with its last, and this one is never given back.
    assert first.state is second.state is kept.state is not card.generator.state


@pytest.mark.parametrize("how", ["wait", "wait_unseen"])
def test_after_a_step_that_cannot_be_recorded_others_can(card: Card, how: str) -> None:
    record_graph(lambda: None, None)
    with pytest.raises(RuntimeError, match=r"synchronizing|not permitted"):
        record_graph(getattr(card, how), None)
    record_graph(lambda: None, None)
    assert (card.ended[0].state is card.ended[-1].state) == (how == "wait")
    card.ended[-1].replay()
    card.draw()


def test_steps_of_a_generator_that_may_be_broken_are_not_used(card: Card) -> None:
    steps = RecordedSteps(64, record_graph)
    assert steps.record((1, 32), lambda: None) is not None and steps.known((1, 32)) is not None
    assert steps.record((2, 32), card.wait_unseen) is None
    assert steps.failed and steps.known((1, 32)) is None
