"""The queue between jobs and passes: which units of which jobs go into the next pass. No threads, no clock.

Jobs stand in a ring, each with its units in order. A batch is filled in rounds: in each round every job in the ring
adds its next unit, and goes on until it has added an equal share of the token budget. A job whose next unit does not
fit is left out of the rest of the batch. Jobs that got something go to the back of the ring, who got least first.

What follows from that, and is tested:

* the first job of the ring that does not wait for room always gets its next unit measured, or read on, so a job with n
  others before it waits for at most n passes, however long they are;
* a job that is left waiting with room in the batch does not exist: jobs are left out only where their next unit does
  not fit;
* the units of one job stay in order and together, so that they share their beginnings.

Room in the queue is shared like the passes are: others take of a job's time, while it waits, no more than it asks for
itself. So a job is let in by what is before it up to its own size, each other job counted with at most that; the rest
of a large one waits outside of that count. A job that is small beside the limit finds room however large the others
are, and one that is large waits for few such as itself.

On a processor a pass takes about as long as it has tokens, and whoever asks for few would wait for all that is put in
beside them. So there jobs that are short go in a pass of their own, every other one at most: the others wait for twice
as many passes as without, of which half are short.

Of a document that takes more than half of a pass, the questions that find no room beside it go into the same batch, up
to a second budget: the engine keeps what it read of the document for them, where another pass would read it again.
Where passes are filled to less than they have room for, as on a processor, what goes on with a document that is in the
batch may still take all of the room, for the same reason.

Where a prompt takes more than a pass, its document is read before it, in chunks: a chunk is taken like a unit, as large
as the job's share, so that other jobs' units go in between and beside it. Where scores have to be the same to the bit,
chunks are all of one size, and one that finds no room waits to be the first. What is read is kept until the job's next
unit needs something else. All that is kept at once is bounded: a document that finds no room waits at its place in the
ring for others to be done, and those behind it that need room as well wait for it.

A batch holds jobs of one kind: reasons are written while a pass is open and keep the keys and values of all of it, so
jobs that ask for them get passes of their own, of a few units each. A job that is suspected of ending the process is
measured alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pinpoint.errors import CapacityError
from pinpoint.pipeline.units import LEAST_CHUNK_TOKENS, Chunk, ReadAhead, Unit
from pinpoint.prompting.span_tree import NO_PARENT, Forest

# Of one pass where reasons are asked for. They are written together, in a second or two on a GPU, while everybody else
# waits; and where they are written in several companies, a pass of minutes would look like a hang.
EXPLAINED_UNITS = 32


@dataclass(slots=True, eq=False)
class Lane:
    """The units of one job on their way.

    Attributes:
        units: in order, laid only when their turn comes: all at once, they are many times the job's text.
        count: how many there are.
        asked_tokens: of all of them together.
        explains: whether reasons are asked for.
        alone: measure it in passes of its own.
        job: the job's id, for logs and records.
        taken: how many are in a batch already.
        begun: what its next unit waits for, or needs, of a document that takes more than a pass.
    """

    units: Iterator[Unit]
    count: int
    asked_tokens: int
    explains: bool = False
    alone: bool = False
    job: str = ""
    taken: int = 0
    begun: ReadAhead | None = field(default=None, repr=False)
    _next: Unit | None = field(default=None, repr=False)

    @property
    def left(self) -> int:
        """Units that wait."""
        return self.count - self.taken

    def peek(self) -> Unit:
        """The next unit. One that would fit a pass goes behind what was read for those before it, where it can, unless
        its bits are to be those that it has alone.
        """
        if self._next is None:
            unit = self._next = next(self.units)
            if self.begun is not None and not unit.same_bits:
                behind = replace(unit, ahead=unit.prompt.ahead)
                self._next = behind if self.begun.serves(behind) else unit
        return self._next

    def take(self) -> Unit:
        """The next unit, which is now in a batch."""
        unit, self._next = self.peek(), None
        self.taken += 1
        if unit.ahead:
            unit = replace(unit, begun=self.begun)
        if not self.left:
            self.begun = None  # from here on the batch has it
        return unit


@dataclass(frozen=True, slots=True)
class Taken:
    """What is in a batch: the `index`-th unit of its lane, or a chunk of what that unit waits for."""

    lane: Lane
    index: int
    unit: Unit | Chunk


@dataclass(slots=True)
class _Filling:
    """A batch while it is being filled.

    Attributes:
        row_tokens: what there is room for, where passes are filled to less.
        share: of the token budget, what each lane gets in a round.
        served: tokens that each lane got.
        chunks: the tokens of those that read on.
    """

    budget_tokens: int
    row_tokens: int
    share: int
    forest: Forest = field(default_factory=Forest)
    batch: list[Taken] = field(default_factory=list)
    served: dict[Lane, int] = field(default_factory=dict)
    chunks: dict[Lane, int] = field(default_factory=dict)

    @property
    def laid_tokens(self) -> int:
        """Tokens that the pass computes."""
        return self.forest.laid_tokens + sum(self.chunks.values())

    @property
    def empty(self) -> bool:
        """Whether nothing is in it."""
        return not self.batch and not self.chunks

    def read_on(self, lane: Lane, begun: ReadAhead) -> bool:
        """Add to the lane's chunk, or begin it; whether more of it may find room."""
        had = self.chunks.get(lane, 0)
        if begun.chunk_tokens is None:
            wanted = min(self.share, self.budget_tokens - self.laid_tokens)
        else:  # all of it or nothing, whoever else is there
            wanted = self.row_tokens - self.laid_tokens
        tokens = begun.chunk(had + wanted) - had
        # What is left between others may be too little to be worth a chunk: it waits for the next pass.
        if tokens < 1 or (not had and not self.empty and tokens < min(begun.left, LEAST_CHUNK_TOKENS)):
            return False
        self.chunks[lane] = had + tokens
        self.served[lane] = self.served.get(lane, 0) + tokens
        return begun.chunk(had + tokens + 1) > had + tokens


class FairQueue:
    """A ring of lanes.

    Attributes:
        tokens: asked for by all units that wait.
        failed: jobs whose units could not be laid, and why; they are out of the queue. Whoever takes looks here.
    """

    def __init__(self, max_tokens: int) -> None:
        self.tokens = 0
        self.failed: list[tuple[Lane, Exception]] = []
        self._max_tokens = max_tokens
        self._ring: list[Lane] = []
        self._was_short = False

    def __len__(self) -> int:
        """Jobs that wait."""
        return len(self._ring)

    def put(self, lane: Lane) -> None:
        """Add a job at the back. One that is larger than the whole queue is taken when nothing else waits.

        Raises:
            CapacityError: `overloaded`.
        """
        before = sum(min(other.asked_tokens, lane.asked_tokens) for other in self._ring)
        if before and before + lane.asked_tokens > self._max_tokens:
            raise CapacityError(
                "overloaded",
                f"{before} tokens of other jobs, each counted up to this one's size, would be computed beside its "
                f"{lane.asked_tokens}, and at most {self._max_tokens} may wait; send it again later, add workers, or "
                "raise PINPOINT_MAX_QUEUED_TOKENS",
            )
        if lane.left:
            self._ring.append(lane)
            self.tokens += lane.asked_tokens

    def drop(self, lane: Lane) -> None:
        """Forget the units of a job that wait; nothing where none do."""
        lane.begun = None
        if lane in self._ring:
            self._ring.remove(lane)
            self.tokens -= lane.asked_tokens
            lane.asked_tokens = 0

    def take(self, budget_tokens: int, held_tokens: int = 0, row_tokens: int = 0, short_tokens: int = 0) -> list[Taken]:
        """The units of the next pass, and chunks of what others wait for. Their forest keeps within the budget unless
        it is a single unit, or the questions about a document that takes more than half of it, which may take as much
        again. No pass is under way whose batch was taken before.

        Args:
            budget_tokens: of a pass.
            held_tokens: of all beginnings that are kept at once; a single one may be longer.
            row_tokens: what a pass has room for, where it is filled to less than that.
            short_tokens: jobs of which no more is left go in passes of their own, every other one at most.
        """
        waiting = self._make_room(held_tokens)
        lanes = self._short_first(self._kindred(waiting), short_tokens)
        share = max(1, budget_tokens // max(1, len(lanes)))
        filling = _Filling(budget_tokens, max(budget_tokens, row_tokens), share)
        while lanes:
            lanes = [lane for lane in lanes if self._fill(lane, filling)]
        for lane, tokens in filling.chunks.items():
            assert lane.begun is not None
            filling.batch.append(Taken(lane, lane.taken, Chunk(lane.begun, tokens)))
        served = filling.served
        unserved = [lane for lane in self._ring if lane not in served]
        # Who got least goes first: shares are rounded up to whole units, always in favour of those in front. A job that
        # is out of the queue, because one of its units could not be laid, stays out.
        again = sorted((lane for lane in self._ring if lane in served and lane.left), key=served.__getitem__)
        self._ring = unserved + again
        return filling.batch

    def _make_room(self, held_tokens: int) -> set[Lane]:
        """Let go of what no next unit needs, begin what is needed as far as there is room, and tell who waits for it.

        In the ring's order: once one waits, all behind it that need room do.
        """
        needing = list[tuple[Lane, Unit]]()
        for lane in list(self._ring):
            unit = self._peek(lane)
            if unit is None or not unit.ahead:
                lane.begun = None
            elif lane.begun is None or not lane.begun.serves(unit):
                lane.begun = None
                needing.append((lane, unit))
        held = sum(len(lane.begun.tokens) for lane in self._ring if lane.begun is not None)
        waiting = set[Lane]()
        for lane, unit in needing:
            begun = ReadAhead(
                unit.prompt.path[: unit.ahead], unit.prompt.owner, unit.long, chunk_tokens=unit.chunk_tokens
            )
            if waiting or (held and held + len(begun.tokens) > held_tokens):
                waiting.add(lane)
            else:
                lane.begun = begun
                held += len(begun.tokens)
        return waiting

    def _peek(self, lane: Lane) -> Unit | None:
        """A lane's next unit; None where it cannot be laid, and the job is out of the queue."""
        try:
            return lane.peek()
        except Exception as error:  # whatever it is, it is this job's alone
            self.drop(lane)
            self.failed.append((lane, error))
            return None

    def _kindred(self, waiting: set[Lane]) -> list[Lane]:
        """The first lane that does not wait for room and those that may share a pass with it, in the ring's order."""
        ready = [lane for lane in self._ring if lane not in waiting]
        if not ready or ready[0].alone:
            return ready[:1]
        return [lane for lane in ready if not lane.alone and lane.explains == ready[0].explains]

    def _short_first(self, lanes: list[Lane], short_tokens: int) -> list[Lane]:
        """The lanes that have little left, where others have more and the pass before was not of such alone."""
        short = [lane for lane in lanes if lane.asked_tokens <= short_tokens]
        self._was_short = bool(short) and len(short) < len(lanes) and not self._was_short
        return short if self._was_short else lanes

    def _fill(self, lane: Lane, filling: _Filling) -> bool:
        """Add units of a lane until it has its share; whether there may be room for another of it."""
        forest, batch, before = filling.forest, filling.batch, filling.forest.laid_tokens
        while lane.left:
            unit = self._peek(lane)
            if unit is None:
                return False
            if lane.explains and len(batch) >= EXPLAINED_UNITS:
                return False
            begun = lane.begun if unit.ahead else None
            if unit.ahead:
                if begun is None or not begun.serves(unit):
                    return False  # begun before the next pass
                if not begun.settled:
                    return filling.read_on(lane, begun)
                if begun.failure is None:
                    _give(forest, begun)
            laid = forest.laid_tokens
            if begun is None or begun.failure is None:
                new = unit.prompt.new_tokens(forest, begun)
                tokens, empty = filling.laid_tokens + new, filling.empty
                if tokens > filling.budget_tokens and not empty and tokens > _most_tokens(lane, unit, new, filling):
                    return False
                unit.prompt.add_to(forest, begun=begun)
            batch.append(Taken(lane, lane.taken, lane.take()))
            filling.served[lane] = filling.served.get(lane, 0) + forest.laid_tokens - laid
            self._count_off(lane, unit.asked_tokens)
            if forest.laid_tokens - before >= filling.share:
                return lane.left > 0
        return False

    def _count_off(self, lane: Lane, tokens: int) -> None:
        tokens = min(tokens, lane.asked_tokens) if lane.left else lane.asked_tokens
        lane.asked_tokens -= tokens
        self.tokens -= tokens


def _give(forest: Forest, begun: ReadAhead) -> None:
    """Lay what is read already, which takes nothing of the pass."""
    span = NO_PARENT
    for tokens in begun.path:
        span = forest.add(tokens, span, owner=begun.owner, begun=begun)
    forest.give(span, begun)


def _most_tokens(lane: Lane, unit: Unit, new_tokens: int, filling: _Filling) -> int:
    """Of a batch that a unit is added to: what passes are filled to, or where the unit goes on with a document that is
    there, all of the room. Where a batch has read all but the question of it, and that is more than half of a pass, as
    much again; but where reasons are written, all keys and values of the pass stay, and nothing is added. What is read
    ahead outlives the pass.
    """
    if unit.ahead:
        return filling.budget_tokens
    read = unit.asked_tokens - new_tokens
    budget = filling.row_tokens if read > unit.prompt.shared_tokens else filling.budget_tokens
    return 2 * budget if 2 * read > budget and not lane.explains else budget
