"""From results that have come to a whole output: kept, appended, synced, and only then noted in the journal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from pinpoint.client.bulk.items import Item
from pinpoint.client.bulk.journal import Journal, Seen
from pinpoint.client.bulk.output import Output, Wire
from pinpoint.client.bulk.reading import started
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.documents import Document
from pinpoint.client.jobs import HOPELESS, refused
from pinpoint.errors import DocumentError, PinpointError

AHEAD = 8  # documents of a store that are loaded while others are: their waits, not their bytes, are what it costs
Keep = Callable[[str, list[Wire]], object]


class Writer:
    """Results between their coming and their being noted.

    Attributes:
        kept: how many documents wait to be written.
        over: jobs that have ended, to be noted with them.
    """

    def __init__(self, output: Output, journal: Journal, tally: Tally) -> None:
        self.over = list[str]()
        self._kept = list[tuple[str, list[Wire]]]()
        self._output = output
        self._journal = journal
        self._tally = tally
        self._lock = asyncio.Lock()

    @property
    def kept(self) -> int:
        """Documents that wait."""
        return len(self._kept)

    def keep(self, name: str, results: list[Wire]) -> None:
        """Take a document's results."""
        self._kept.append((name, results))
        self._tally.add(results)

    async def write(self) -> None:
        """Write what is kept. Raises PinpointError; the output is whole all the same."""
        async with self._lock:
            kept, over, self._kept, self.over = self._kept, self.over, [], []
            if kept or over:
                await asyncio.to_thread(self._commit, kept, over)

    def _commit(self, kept: Sequence[tuple[str, list[Wire]]], over: Sequence[str]) -> None:
        if kept:
            self._output.write([one for _, results in kept for one in results])
        self._journal.landed([name for name, _ in kept], over, self._output.size_bytes)


def to_begin(items: Iterator[Item], journal: Journal, tally: Tally, keep: Keep, *, again: bool) -> Iterator[Document]:
    """What the sources show and the output has not; what cannot be read is kept as refused.

    `again` where the same run has been through the sources before: what it leaves out has been counted then.

    Raises:
        PinpointError: of a source; or nothing can be read of a store any more, for which no document is refused.
    """
    loading = deque[tuple[Item, Callable[[], Document]]]()
    doubted = list[tuple[str, DocumentError]]()  # of a store, one after the other: is it they, or the store?
    good: Item | None = None

    def settle() -> None:
        for name, error in doubted:
            keep(name, refused(Document(name, b""), error).results)
        doubted.clear()

    def loaded(but: int) -> Iterator[Document]:
        nonlocal good
        while len(loading) > but:
            item, load = loading.popleft()
            try:
                document = load()
            except DocumentError as error:
                doubted.append((item.id, error))
                if not item.far or error.code != "unreadable_file":
                    settle()
                elif len(doubted) > HOPELESS:
                    if good is None or not _can_be_read(good):
                        told = (
                            f"{len(doubted)} files of the store in a row cannot be read, the last one: {error.message}"
                        )
                        loading.clear()
                        raise PinpointError("unreadable_file", told, item.id) from None
                    settle()
                continue
            settle()
            good = item if item.far else good
            yield document

    try:
        for item in items:
            seen = journal.see(item.id)
            if seen is Seen.TWICE and not item.file and not again:
                tally.leave_out(item.id, "duplicate_id", "another document before it has this id; left out")
            if seen is Seen.NEW:
                loading.append((item, started(item.load) if item.far else item.load))
                yield from loaded(but=AHEAD if item.far else 0)
    except PinpointError:  # of a source: what it has shown before is answered all the same
        yield from loaded(but=0)
        raise
    yield from loaded(but=0)
    settle()


def _can_be_read(item: Item) -> bool:
    try:
        item.load()
    except DocumentError:
        return False
    return True
