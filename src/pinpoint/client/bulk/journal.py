"""What a run has done, beside its output: `OUT.journal`, a small SQLite database.

    documents   16 bytes of the id's hash, whether its result is in the output, and the pass that saw it last
    jobs        jobs in flight, with the ids of their documents: a run that goes on collects them, and pays once
    facts       what was asked about what; how many bytes of the output are whole

Results are appended to the output and synced to the disk, and only then is their end written here. Whatever happens in
between, a run that goes on cuts the output where the journal ends: what lies behind was not finished, or half a line.
A kill loses nothing that was written here (WAL); a power cut may lose the last moments, of both.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from pathlib import Path

from pinpoint.errors import PinpointError

SUFFIX = ".journal"
VERSION = "1"
LOCK_S = 0.2
_OPEN, _DONE, _FLYING = 0, 1, 2
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (key BLOB PRIMARY KEY, state INTEGER, seen INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (job TEXT PRIMARY KEY, batch TEXT, ids TEXT NOT NULL) WITHOUT ROWID;
"""


class Seen(Enum):
    """What the journal knows of a document that the sources show."""

    NEW = "new"
    DONE = "done"
    FLYING = "flying"  # in a job of an earlier run that is still asked about
    TWICE = "twice"  # the sources have had this id before


@dataclass(frozen=True, slots=True)
class Flight:
    """A job in flight when a run ended, and the documents in it."""

    job: str
    batch: str | None
    ids: tuple[str, ...]


class Journal:
    """One run's memory, open in one process at a time. May be used from several threads.

    Attributes:
        written_bytes: of the output, as far as it is whole.
        begun: whether the output is ours, by this journal: what lies behind its whole part may be cut.
        done: documents whose results are in it.
    """

    def __init__(self, path: Path, plan: Mapping[str, str]) -> None:
        """Open or make it; `plan` is what the run is about, by words for the parts.

        Raises:
            PinpointError: another run's, in use, damaged, or the disk is full.
        """
        self.path = path
        self._lock = threading.Lock()
        self._pass = 0
        self._open = True
        with self._told():
            self._base = sqlite3.connect(path, timeout=LOCK_S, check_same_thread=False, isolation_level=None)
        try:
            with self._told():
                # Exclusive: two runs that write one output would ruin it. It also spares the shared memory of WAL,
                # which network drives do not have.
                self._base.execute("PRAGMA locking_mode=EXCLUSIVE")
                self._base.execute("PRAGMA journal_mode=WAL")
                self._base.execute("PRAGMA synchronous=NORMAL")
                self._base.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.split(";"):
                    self._base.execute(statement)
                self._check_plan({"version": VERSION, **plan})
                self._base.execute("UPDATE documents SET state = ? WHERE state = ?", (_OPEN, _FLYING))
                self._commit()
                self.written_bytes = int(self._fact("written_bytes") or 0)
                self.begun = self._fact("begun") is not None
                self.done = self._count(_DONE)
        except BaseException:
            self._base.close()
            raise

    def begin(self) -> None:
        """The output is there, and ours."""
        with self._lock, self._told():
            self._put("begun", "yes")
            self._commit()
            self.begun = True

    def begin_pass(self) -> None:
        """The sources are read anew from here."""
        with self._lock, self._told():
            self._pass = int(self._fact("pass") or 0) + 1
            self._put("pass", str(self._pass))

    def see(self, name: str) -> Seen:
        """Note that the sources show a document."""
        key = _key(name)
        with self._lock, self._told():
            row = self._base.execute("SELECT state, seen FROM documents WHERE key = ?", (key,)).fetchone()
            if row is None:
                self._base.execute("INSERT INTO documents VALUES (?, ?, ?)", (key, _OPEN, self._pass))
                return Seen.NEW
            state, seen = row
            if seen == self._pass:
                return Seen.TWICE
            self._base.execute("UPDATE documents SET seen = ? WHERE key = ?", (self._pass, key))
            return {_OPEN: Seen.NEW, _DONE: Seen.DONE, _FLYING: Seen.FLYING}[state]

    def flights(self) -> list[Flight]:
        """Jobs that an earlier run left in flight; their documents are not begun again until `landed` or `lost`."""
        with self._lock, self._told():
            rows = self._base.execute("SELECT job, batch, ids FROM jobs").fetchall()
            flights = []
            for job, batch, ids in rows:
                names = tuple(json.loads(ids))
                keys = [(_FLYING, _key(name), _OPEN) for name in names]
                changed = sum(
                    self._base.execute("UPDATE documents SET state = ? WHERE key = ? AND state = ?", one).rowcount
                    for one in keys
                )
                if changed:
                    flights.append(Flight(job, batch, names))
                else:
                    self._base.execute("DELETE FROM jobs WHERE job = ?", (job,))
            self._commit()
            return flights

    def flew(self, job: str, ids: Sequence[str], batch: str | None = None) -> None:
        """A job is in flight."""
        with self._lock, self._told():
            row = (job, batch, json.dumps(ids))
            self._base.execute("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?)", row)
            self._commit()

    def lost(self, flight: Flight) -> None:
        """Nothing more is heard of a job: its documents are begun again."""
        with self._lock, self._told():
            for name in flight.ids:
                args = (_OPEN, _key(name), _FLYING)
                self._base.execute("UPDATE documents SET state = ? WHERE key = ? AND state = ?", args)
            self._base.execute("DELETE FROM jobs WHERE job = ?", (flight.job,))
            self._commit()

    def open_of(self, ids: Sequence[str]) -> set[str]:
        """Those of these documents whose results are not in the output."""
        with self._lock, self._told():
            return {
                name
                for name in ids
                if (row := self._base.execute("SELECT state FROM documents WHERE key = ?", (_key(name),)).fetchone())
                is None
                or row[0] != _DONE
            }

    def landed(self, ids: Sequence[str], jobs: Sequence[str], written_bytes: int) -> None:
        """The output is whole up to here: with the results of these documents; these jobs are over."""
        with self._lock, self._told():
            for name in ids:
                self._base.execute(
                    "INSERT INTO documents VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = excluded.state",
                    (_key(name), _DONE, self._pass),
                )
            for job in jobs:
                self._base.execute("DELETE FROM jobs WHERE job = ?", (job,))
            self._put("written_bytes", str(written_bytes))
            self._commit()
            self.written_bytes = written_bytes
            self.done += len(ids)

    def close(self) -> None:
        """Write what is left and close; once more is nothing."""
        with self._lock, self._told():
            if self._open:
                self._open = False
                if self._base.in_transaction:
                    self._base.execute("COMMIT")
                self._base.close()

    def discard(self) -> None:
        """Close it and take it away."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _commit(self) -> None:
        """End the transaction and begin the next: what is only noted in passing need not be written at once."""
        self._base.execute("COMMIT")
        self._base.execute("BEGIN IMMEDIATE")

    def _check_plan(self, plan: Mapping[str, str]) -> None:
        if self._fact("version") is None:
            for name, value in plan.items():
                self._put(name, value)
            return
        other = [name for name, value in plan.items() if self._fact(name) != value]
        if other:
            raise PinpointError(
                "output_of_another_run",
                f"there are results of another run (other {', '.join(other)}): name another --out, or delete it "
                f"together with {self.path.name}",
                str(self.path).removesuffix(SUFFIX),
            )

    def _fact(self, name: str) -> str | None:
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _put(self, name: str, value: str) -> None:
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def _count(self, state: int) -> int:
        return int(self._base.execute("SELECT count(*) FROM documents WHERE state = ?", (state,)).fetchone()[0])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in words."""
        try:
            yield
        except sqlite3.OperationalError as error:
            said = str(error)
            if "locked" in said:
                raise PinpointError("output_in_use", "another run is writing it", str(self.path)) from None
            if "full" in said:
                raise PinpointError("disk_full", "no room for the journal; make some, and run it again") from None
            raise PinpointError("cannot_write", f"the journal cannot be written: {said}", str(self.path)) from None
        except sqlite3.DatabaseError:
            raise PinpointError(
                "journal_damaged", "it cannot be read: delete it and the output, and begin again", str(self.path)
            ) from None


def _key(name: str) -> bytes:
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
