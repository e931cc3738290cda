"""What goes into a pass and what comes of it: units, chunks of what is read before them, and what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from pinpoint.engine.readings import Memory
from pinpoint.errors import OutOfMemory
from pinpoint.pipeline.engine_protocol import Scores
from pinpoint.prompting.prefill import Prefill
from pinpoint.prompting.prompt import Prompt

# Of a chunk that is halved because memory ran out; a beginning whose chunks have to be smaller cannot be read.
LEAST_CHUNK_TOKENS = 64

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
        chunk_tokens: of every chunk but the last, where they have to end alike in any company; None where each takes
            what its pass has room for.
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
    chunk_tokens: int | None = None
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
        chunk_tokens: of every chunk but the last, where that is settled (`Unit.chunk_tokens`); such a chunk is computed
            for the same bits.
        most_tokens: of a chunk, once a larger one ran out of memory.
        failure: why it cannot be read; so nothing behind it is asked.
        figures: of the passes with its chunks, until a unit has them in its outcome, as `computed_tokens`.
        computed_tokens: of those passes, its part.
    """

    chunk_tokens: int | None = None
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
        """How many of its next tokens are read where so many are wanted: none where they are to be more."""
        most = min(self.left, self.most_tokens or self.left, self.chunk_tokens or self.left)
        return most if tokens >= most else 0 if self.chunk_tokens else tokens

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


def followed_prompts(unit: Unit, one: Measured) -> Iterator[Prompt]:
    """What followed a unit, asked for once more from what is known."""
    known = dict[int, Scores]()
    while unit.follow is not None and (more := unit.follow(one.scores, known)):
        yield from more.values()
        known |= {number: one.followed[number] for number in more}
