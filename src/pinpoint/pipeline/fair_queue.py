"""The queue between jobs and passes: which units of which jobs go into the next pass. No threads, no clock.

Jobs stand in a ring, each with its units in order. A batch is filled in rounds: in each round every job in the ring
adds its next unit, and goes on until it has added an equal share of the token budget. A job whose next unit does not
fit is left out of the rest of the batch. Jobs that got something go to the back of the ring, who got least first.

What follows from that, and is tested:

* the first job of the ring always gets its next unit measured, so a job with n others before it waits for at most n
  passes, however long they are;
* a job that is left waiting with room in the batch does not exist: jobs are left out only where their next unit does
  not fit;
* the units of one job stay in order and together, so that they share their beginnings.

Room in the queue is shared like the passes are: others take of a job's time, while it waits, no more than it asks for
itself. So a job is let in by what is before it up to its own size, each other job counted with at most that; the rest
of a large one waits outside of that count. A job that is small beside the limit finds room however large the others
are, and one that is large waits for few such as itself.

Of a document that takes more than half of a pass, the questions that find no room beside it go into the same batch, up
to a second budget: the engine keeps what it read of the document for them, where another pass would read it again.

A batch holds jobs of one kind: reasons are written while a pass is open and keep the keys and values of all of it, so
jobs that ask for them get passes of their own, of a few units each. A job that is suspected of ending the process is
measured alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pinpoint.errors import CapacityError
from pinpoint.pipeline.passes import Unit
from pinpoint.prompting.span_tree import Forest

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
    """

    units: Iterator[Unit]
    count: int
    asked_tokens: int
    explains: bool = False
    alone: bool = False
    job: str = ""
    taken: int = 0
    _next: Unit | None = field(default=None, repr=False)

    @property
    def left(self) -> int:
        """Units that wait."""
        return self.count - self.taken

    def peek(self) -> Unit:
        """The next unit."""
        if self._next is None:
            self._next = next(self.units)
        return self._next

    def take(self) -> Unit:
        """The next unit, which is now in a batch."""
        unit, self._next = self.peek(), None
        self.taken += 1
        return unit


@dataclass(frozen=True, slots=True)
class Taken:
    """A unit in a batch: the `index`-th of its lane."""

    lane: Lane
    index: int
    unit: Unit


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
        if lane in self._ring:
            self._ring.remove(lane)
            self.tokens -= lane.asked_tokens
            lane.asked_tokens = 0

    def take(self, budget_tokens: int) -> list[Taken]:
        """The units of the next pass. Their forest keeps within the budget unless it is a single unit, or the questions
        about a document that takes more than half of it, which may take as much again.
        """
        batch, served = list[Taken](), dict[Lane, int]()
        filling = self._kindred()
        share = budget_tokens // max(1, len(filling))
        forest = Forest()
        while filling:
            filling = [lane for lane in filling if self._fill(lane, forest, batch, served, share, budget_tokens)]
        unserved = [lane for lane in self._ring if lane not in served]
        # Who got least goes first: shares are rounded up to whole units, always in favour of those in front.
        again = sorted((lane for lane in served if lane.left), key=served.__getitem__)
        self._ring = unserved + again
        return batch

    def _kindred(self) -> list[Lane]:
        """The first lane and those that may share a pass with it, in the ring's order."""
        if not self._ring or self._ring[0].alone:
            return self._ring[:1]
        return [lane for lane in self._ring if not lane.alone and lane.explains == self._ring[0].explains]

    def _fill(
        self, lane: Lane, forest: Forest, batch: list[Taken], served: dict[Lane, int], share: int, budget_tokens: int
    ) -> bool:
        """Add units of a lane until it has its share; whether there may be room for another of it."""
        before = forest.total_tokens
        while lane.left:
            try:
                unit = lane.peek()
            except Exception as error:  # whatever it is, it is this job's alone
                self.drop(lane)
                self.failed.append((lane, error))
                return False
            if lane.explains and len(batch) >= EXPLAINED_UNITS:
                return False
            laid, new = forest.total_tokens, unit.prompt.new_tokens(forest)
            if batch and laid + new > budget_tokens * (2 if _is_read(lane, unit, new, budget_tokens) else 1):
                return False
            unit.prompt.add_to(forest)
            batch.append(Taken(lane, lane.taken, lane.take()))
            served[lane] = served.get(lane, 0) + forest.total_tokens - laid
            self._count_off(lane, unit.asked_tokens)
            if forest.total_tokens - before >= share:
                return lane.left > 0
        return False

    def _count_off(self, lane: Lane, tokens: int) -> None:
        tokens = min(tokens, lane.asked_tokens) if lane.left else lane.asked_tokens
        lane.asked_tokens -= tokens
        self.tokens -= tokens


def _is_read(lane: Lane, unit: Unit, new_tokens: int, budget_tokens: int) -> bool:
    """Whether a batch has read all but the question of a unit, and that is more than half of a pass. Where reasons are
    written, all keys and values of the pass stay, and nothing is added.
    """
    return not lane.explains and 2 * (unit.asked_tokens - new_tokens) > budget_tokens
