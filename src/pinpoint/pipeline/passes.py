"""Forward passes for units: a batch in, an outcome for each unit out, whatever the device's memory has to say.

A unit is one question about one part of one document, of any job: what is never split. A batch is laid into one forest,
where equal beginnings are shared, and scored in one pass. Where the device runs out of memory the batch is halved, down
to a unit that fails alone.

A prompt that takes more than a pass has its beginning, the document, read before it, over several passes: a batch may
hold *chunks* of such beginnings beside units. A chunk that runs out of memory alone is halved as well.

Nothing here knows jobs, threads or clocks of the platform; nothing here is a tensor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Protocol

from pinpoint.engine.readings import Memory, ModelInfo
from pinpoint.errors import OutOfMemory
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.prompt import Prompt
from pinpoint.prompting.prompts import PromptBuilder
from pinpoint.prompting.span_tree import Forest

# Of a chunk that is halved because memory ran out; a beginning whose chunks have to be smaller cannot be read.
LEAST_CHUNK_TOKENS = 64


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


# What came of the questions that followed a unit's own, by the caller's numbers.
Followed = Mapping[int, Scores]
# The answer to give a reason for, as the model would write it, from the scores of a unit, and which of the questions
# that followed it answers, None for the unit's own; None where there is nothing to explain.
Chooser = Callable[[Scores, Followed], tuple[int | None, str] | None]
# What to ask next behind the same document, by numbers of its own choice, from all that is known; nothing ends it.
Follow = Callable[[Scores, Followed], Mapping[int, Prompt]]


@dataclass(frozen=True, slots=True)
class Unit:
    """One question about one part of one document.

    Attributes:
        prompt: its spans and its labels.
        document: which document of its job it is about.
        exact_best: how many of its best labels must be exact; None for all (`span_tree.Ask`).
        explained: what to give a reason for, where a reason is asked for.
        follow: what is asked next, where that depends on the answer; its prompt is `open`, so that the document is
            not computed again.
        same_bits: whether its scores have to be the same to the bit in any company; its whole pass is computed so then.
        ahead: how many spans of its prompt are read before it, in chunks; 0 where it fits a pass.
        long: whether its prompt is read as a long one (`Engine.is_long`).
        begun: those spans, being read or read: set by whoever takes it.
        state: whether its `Scores.state` is wanted.
    """

    prompt: Prompt
    document: int = 0
    exact_best: int | None = None
    explained: Chooser | None = None
    follow: Follow | None = None
    same_bits: bool = False
    ahead: int = 0
    long: bool = False
    begun: ReadAhead | None = None
    state: bool = False

    @property
    def asked_tokens(self) -> int:
        """Tokens of its whole prompt and of its labels, shared or not; what follows is not known yet."""
        return self.prompt.length


@dataclass(frozen=True, slots=True, eq=False)
class PassFigures:
    """One forward pass as it was. Times are of `time.perf_counter`, in seconds.

    Attributes:
        began_s: when packing began.
        ended_s: when the last explanation was written.
        memory: what the device held right after.
        decode_s: of this, the time that explanations took.
        asked_tokens: of the whole prompts and labels of its units.
        computed_tokens: that went through the model.
        written_tokens: of explanations.
        out_of_memory: it measured nothing.
        store_bytes: of `memory`, what is kept of this pass and others for later ones.
        held_bytes: of `memory`, beginnings that are read in chunks.
    """

    began_s: float
    ended_s: float
    memory: Memory
    decode_s: float = 0.0
    asked_tokens: int = 0
    computed_tokens: int = 0
    written_tokens: int = 0
    out_of_memory: bool = False
    store_bytes: int = 0
    held_bytes: int = 0

    @property
    def total_ms(self) -> float:
        """How long it took, packing and explanations included."""
        return (self.ended_s - self.began_s) * 1e3


@dataclass(eq=False)
class ReadAhead(Prefill):
    """A beginning that units of one job wait for, and what reading it took.

    Attributes:
        most_tokens: of a chunk, once a larger one ran out of memory.
        failure: why it cannot be read; so nothing behind it is asked.
        figures: of the passes with its chunks, until a unit has them in its outcome, as `computed_tokens`.
        computed_tokens: of those passes, its part.
    """

    most_tokens: int | None = None
    failure: OutOfMemory | None = None
    figures: list[PassFigures] = field(default_factory=list)
    computed_tokens: int = 0

    @property
    def settled(self) -> bool:
        """Whether what waits for it can go on."""
        return not self.left or self.failure is not None

    def serves(self, unit: Unit) -> bool:
        """Whether it is what a unit waits for."""
        prompt = unit.prompt
        return (self.owner, self.long, self.path) == (prompt.owner, unit.long, prompt.path[: unit.ahead])

    def chunk(self, tokens: int) -> int:
        """How many of its next tokens are read where so many are wanted."""
        return min(tokens, self.left, self.most_tokens or self.left)

    def ran_out(self, tokens: int, failure: OutOfMemory) -> None:
        """A chunk of so many tokens took more memory than there is, by itself."""
        self.most_tokens = tokens // 2
        if self.most_tokens < LEAST_CHUNK_TOKENS:
            self.failure, self.kept = failure, None

    def claimed(self) -> tuple[tuple[PassFigures, ...], int]:
        """What reading it took, told once."""
        told = tuple(self.figures), self.computed_tokens
        self.figures, self.computed_tokens = [], 0
        return told


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """The next tokens of a beginning, at most so many."""

    begun: ReadAhead
    tokens: int


@dataclass(frozen=True, slots=True)
class Beginning:
    """A beginning of a prompt that belongs to its caller alone: what a pass had of it.

    Attributes:
        path: tokens of its spans from the root, itself the last.
        tokens: of itself.
        found: whether it was kept from an earlier pass.
        kept: whether it is from now on.
    """

    path: tuple[tuple[int, ...], ...]
    tokens: int
    found: bool
    kept: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a unit.

    Attributes:
        scores: of its labels.
        figures: the pass that it was in.
        asked_tokens: of its whole prompt and its labels, and of those that followed.
        computed_tokens: its part of the pass's, by the tokens that were laid for it; the parts sum to the whole.
        rationale: the reason, where one was asked for and there was something to explain.
        written_tokens: of the rationale.
        beginnings: of its prompt, where they are the caller's own.
        followed: scores of what was asked next.
        before: the passes before it in which its beginning was read, where no unit before it told of them.
    """

    scores: Scores
    figures: PassFigures
    asked_tokens: int
    computed_tokens: int
    rationale: str | None = None
    written_tokens: int = 0
    beginnings: tuple[Beginning, ...] = ()
    followed: Followed = field(default_factory=dict)
    before: tuple[PassFigures, ...] = ()


# None: nobody waited for the unit any more when its turn came; or it was a chunk, of which nothing comes by itself.
Outcome = Measured | OutOfMemory | None


# Told of each pass, with the indices of its units, in the thread that ran it.
Observer = Callable[[Sequence[int], PassFigures], None]


def measure(
    units: Sequence[Unit | Chunk],
    engine: Engine,
    wanted: Callable[[int], bool] = lambda index: True,
    passed: Observer = lambda indices, figures: None,
) -> list[Outcome]:
    """Measure a batch; where the device runs out of memory, its halves, down to a unit that fails alone.

    Args:
        units: the batch, with chunks of what later units wait for; its forest is meant to keep within the engine's
            token budget.
        engine: runs the passes.
        wanted: whether somebody still waits for the unit of this index; asked before each pass.
        passed: told of each pass, those that ran out of memory among them.

    Raises:
        DeviceError: the device failed.
        Exception: whatever else the engine raised; no unit of this batch counts as measured then.
    """
    outcomes: list[Outcome] = [None] * len(units)
    # Halves are taken from the end, so that the first units are measured first.
    todo = [list(range(len(units)))]
    while todo:
        indices = list[int]()
        for index in todo.pop():
            one, begun = units[index], units[index].begun
            if isinstance(one, Unit) and begun is not None and begun.failure is not None:
                outcomes[index] = begun.failure
            elif wanted(index) and not (isinstance(one, Chunk) and one.begun.settled):
                indices.append(index)
        if not indices:
            continue
        began_s, failure = time.perf_counter(), None
        try:
            measured = _run([units[index] for index in indices], engine, lambda at: wanted(indices[at]))  # noqa: B023
        except OutOfMemory as error:
            failure = error.with_traceback(None)
        if failure is None:
            for index, outcome in zip(indices, measured[0], strict=True):
                outcomes[index] = outcome
            passed(indices, measured[1])
            continue
        # Outside the `except`, so that nothing holds the pass that failed.
        engine.release()
        passed(indices, PassFigures(began_s, time.perf_counter(), engine.memory(), out_of_memory=True))
        if len(indices) == 1:
            (index,), alone = indices, units[indices[0]]
            if isinstance(alone, Chunk):
                alone.begun.ran_out(alone.begun.chunk(alone.tokens), failure)
                todo.append(indices)
            else:
                outcomes[index] = failure
        else:
            middle = len(indices) // 2
            todo += [indices[middle:], indices[:middle]]
    return outcomes


def _run(
    batch: Sequence[Unit | Chunk], engine: Engine, wanted: Callable[[int], bool]
) -> tuple[list[Measured | None], PassFigures]:
    began_s = time.perf_counter()
    # On a CPU they are always the same, so that what is kept serves all passes.
    same_bits = engine.on_card and any(isinstance(one, Unit) and one.same_bits for one in batch)
    forest, units, asks = Forest(same_bits=same_bits), list[Unit](), list[int]()
    places = [place for place, one in enumerate(batch) if isinstance(one, Unit)]
    chunks, asked, laid, laid_by_chunks = list[Chunk](), list[int](), list[int](), list[int]()
    for one in batch:
        before = forest.laid_tokens
        if isinstance(one, Chunk):
            chunks.append(one)
            forest.read(one.begun, one.begun.chunk(one.tokens))
            laid_by_chunks.append(forest.laid_tokens - before)
            continue
        units.append(one)
        asked.append(one.asked_tokens)
        asks.append(one.prompt.add_to(forest, one.exact_best, state=one.state))
        if one.begun is not None:
            forest.give(forest.ancestry(forest.asks[asks[-1]].span)[one.ahead - 1], one.begun)
        laid.append(forest.laid_tokens - before)
    with engine.run(forest, explain=any(unit.explained for unit in units)) as done:
        next_asks = _follow(units, asks, forest, done, asked, laid)
        measured_s = time.perf_counter()
        scores = [done.scores[ask] for ask in asks]
        followed = [{number: done.scores[ask] for number, ask in each.items()} for each in next_asks]
        reasons = _reasons(units, scores, followed, asks, next_asks, done, lambda unit: wanted(places[unit]))
        owned = _beginnings(forest, done)
        decode_s = time.perf_counter() - measured_s
        computed = done.computed_tokens
    figures = PassFigures(
        began_s,
        time.perf_counter(),
        engine.memory(),
        decode_s=decode_s,
        asked_tokens=sum(asked),
        computed_tokens=computed,
        written_tokens=sum(tokens for _, tokens in reasons),
        store_bytes=engine.store.bytes,
        held_bytes=engine.held_bytes,
    )
    # Cumulative, so that the roundings cancel.
    all_laid = [*laid, *laid_by_chunks]
    marks = [computed * tokens // max(1, sum(all_laid)) for tokens in accumulate(all_laid, initial=0)]
    parts = [stop - start for start, stop in pairwise(marks)]
    for chunk, part in zip(chunks, parts[len(units) :], strict=True):
        chunk.begun.figures.append(figures)
        chunk.begun.computed_tokens += part
    measured = list[Measured]()
    for index, (unit, ask) in enumerate(zip(units, asks, strict=True)):
        earlier, read = ((), 0) if unit.begun is None else unit.begun.claimed()
        measured.append(
            Measured(
                scores[index], figures, asked[index], parts[index] + read, *reasons[index],
                owned.get(forest.asks[ask].span, ()), followed[index], earlier,
            )
        )  # fmt: skip
    found = iter(measured)
    return [next(found) if isinstance(one, Unit) else None for one in batch], figures


def _reasons(
    units: Sequence[Unit], scores: Sequence[Scores], followed: Sequence[Followed], asks: Sequence[int],
    next_asks: Sequence[Mapping[int, int]], done: Pass, wanted: Callable[[int], bool],
) -> list[tuple[str | None, int]]:  # fmt: skip
    """The rationale of each unit and its tokens, all of the pass written together."""
    places, asked = list[int](), list[tuple[int, str]]()
    for index, unit in enumerate(units):
        chosen = None if unit.explained is None else unit.explained(scores[index], followed[index])
        if chosen is not None:
            number, name = chosen
            places.append(index)
            asked.append((asks[index] if number is None else next_asks[index][number], name))
    reasons: list[tuple[str | None, int]] = [(None, 0)] * len(units)
    for index, one in zip(places, done.explain_all(asked, lambda at: wanted(places[at])), strict=True):
        reasons[index] = one or (None, 0)
    return reasons


def _follow(
    units: Sequence[Unit], asks: Sequence[int], forest: Forest, done: Pass, asked: list[int], laid: list[int]
) -> list[dict[int, int]]:
    """Ask what follows from what is known, until nothing does; returns the asks of each unit, by its own numbers.

    The tokens of what is asked are added to `asked`, and those that are laid to `laid`.
    """
    next_asks = [dict[int, int]() for _ in units]
    waiting = [index for index, unit in enumerate(units) if unit.follow is not None]
    while waiting:
        wanted = list[tuple[int, int, Prompt]]()
        for index in waiting:
            follow = units[index].follow
            known = {number: done.scores[ask] for number, ask in next_asks[index].items()}
            assert follow is not None
            wanted += [(index, *one) for one in follow(done.scores[asks[index]], known).items()]
        for index, number, prompt in wanted:
            before = forest.laid_tokens
            next_asks[index][number] = prompt.add_to(forest)
            asked[index] += prompt.length
            laid[index] += forest.laid_tokens - before
        if wanted:
            done.more()
        waiting = list(dict.fromkeys(index for index, _, _ in wanted))
    return next_asks


def followed_prompts(unit: Unit, one: Measured) -> Iterator[Prompt]:
    """What followed a unit, asked for once more from what is known."""
    known = dict[int, Scores]()
    while unit.follow is not None and (more := unit.follow(one.scores, known)):
        yield from more.values()
        known |= {number: one.followed[number] for number in more}


def _beginnings(forest: Forest, done: Pass) -> dict[int, tuple[Beginning, ...]]:
    """By the span of each ask of a caller with a key of its own, what the pass had of its shared beginnings."""
    made: dict[int, Beginning] = {}
    owned: dict[int, tuple[Beginning, ...]] = {}
    for span in {ask.span for ask in forest.asks if forest.owners[ask.span]}:
        shared = [one for one in forest.ancestry(span) if forest.shared[one]]
        for one in shared:
            if one not in made:
                made[one] = Beginning(forest.path(one), len(forest.tokens[one]), one in done.found, one in done.kept)
        owned[span] = tuple(made[one] for one in shared)
    return owned
