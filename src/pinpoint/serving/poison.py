"""Jobs that ended their worker, remembered on a volume that outlives it.

A job that crashes the process is handed to the next worker, and the next. So before each pass a marker is written for
each job in it, and afterwards removed. A marker whose worker gives no sign of life (`sign_of_life`) is of a pass that
never ended: a death. From then on the job's passes hold nothing but itself, so that its former neighbours clear
themselves, and after two deaths it is refused. The marker of a worker that lives is no evidence: a platform may hand
one job to several.

Only the passes are marked, not the time before and between: a job that merely waited when another one killed the
worker is not suspected. A worker that the platform ends in the middle of a pass leaves markers too; it takes two such
accidents with the same job to wrong it. So does one that is frozen in a pass, on a volume whose locks do not reach
other hosts; when it goes on and ends the pass, it takes the suspicion back.

    <digest of the job's id>/<worker>         a pass of this worker with this job runs, or was cut
    <digest of the job's id>/<worker>.dead    it was cut
    <worker>.life                             its sign of life

What nobody has touched for a day is removed. All file work has a deadline (`file_work`): a volume that hangs or cannot
be written is told of once, and nothing is remembered. One that is full is tried again later.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pinpoint.errors import CapacityError
from pinpoint.serving.file_work import DEADLINE_S, FileWork, Hung
from pinpoint.serving.sign_of_life import SUFFIX, SignOfLife, look

log = logging.getLogger("pinpoint")

DEATHS = 2
RUNPOD_VOLUME = Path("/runpod-volume")  # where RunPod mounts a network volume
FOLDER = "pinpoint-jobs"
DEAD = ".dead"
BEAT_S = 2.0
LOOK_S = 1.0
LOOKS = 10  # at a file that has five beats in that time while its worker lives
EXPIRES_S = 86_400.0  # a platform's queue forgets a job within a day
SWEEP_S = 3600.0
SWEEP_AT_ONCE_S = 1.0  # of a folder with very many files the rest is left for the next time
FULL_S = 60.0  # between tries on a full volume
END_S = 1.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_OURS = re.compile(r"[0-9a-f]{64}(\.\d+\.part)?")  # folders of jobs; as files, of an earlier version


def state_folder(state_dir: str, volume: Path = RUNPOD_VOLUME) -> Path | None:
    """Where markers are kept: the folder that is set, else on RunPod's volume, else nowhere."""
    if state_dir:
        return Path(state_dir) / FOLDER
    try:
        mounted = FileWork(lambda: None, BEAT_S, DEADLINE_S).now(volume.is_mount)
    except (Hung, OSError) as error:
        log.warning(_WARNING, type(error).__name__)
        return None
    return volume / FOLDER if mounted else None


class PoisonMemory:
    """Markers in a folder; without one, nothing is remembered. Any thread, as long as no job is in two passes."""

    def __init__(
        self, folder: Path | None, deadline_s: float = DEADLINE_S, look_s: float = LOOK_S, beat_s: float = BEAT_S
    ) -> None:
        self._folder = folder
        self._look_s = look_s
        self._standing: set[str] = set()
        self._full_until_s = 0.0
        self._told_full = False
        self._swept_s: float | None = None
        if folder is None:
            return
        self._life = SignOfLife(folder)
        self._work = FileWork(lambda: self._tend(folder), beat_s, deadline_s)
        atexit.register(self.end)

    @property
    def remembers(self) -> bool:
        """Whether there is a folder to write to."""
        return self._folder is not None

    async def deaths(self, job_id: str) -> int:
        """How many passes with this job never ended. Of a worker elsewhere it may take seconds to know."""
        folder = self._folder
        if folder is None or not job_id:
            return 0
        job = folder / _digest(job_id)
        try:
            dead, unknown = await self._work.soon(lambda: self._judge(folder, job))
            for _ in range(LOOKS):
                if not unknown:
                    break
                await asyncio.sleep(self._look_s)
                held = dict(unknown)
                unknown = await self._work.soon(lambda: _unchanged(folder, held))  # noqa: B023
            if unknown:
                cut = list(unknown)
                dead += await self._work.soon(lambda: sum(_bury(job, owner) for owner in cut))
        except (Hung, OSError) as error:
            self._give_up(error)
            return 0
        return dead

    async def check(self, job_id: str) -> int:
        """How many deaths this job is suspected of.

        Raises:
            CapacityError: `poison_job`; too many.
        """
        deaths = await self.deaths(job_id)
        if deaths >= DEATHS:
            raise CapacityError(
                "poison_job",
                f"{deaths} workers ended while they computed this job, so it is not tried again; send it under a new "
                "id if you know better",
                "id",
            )
        return deaths

    @contextmanager
    def running(self, job_ids: Sequence[str]) -> Iterator[None]:
        """A pass with these jobs runs."""
        jobs = self._mark([_digest(job_id) for job_id in dict.fromkeys(job_ids) if job_id])
        try:
            yield
        finally:
            # Whatever it raised: the process lives. Nobody waits for it, and a volume that hung may come back.
            if jobs:
                self._work.later(lambda: self._unmark(jobs))

    async def clear(self, job_id: str) -> None:
        """The job was answered: whatever it was suspected of, it is no danger."""
        folder = self._folder
        if folder is None or not job_id:
            return
        with contextlib.suppress(Hung, OSError):
            await self._work.soon(lambda: shutil.rmtree(folder / _digest(job_id), ignore_errors=True))

    def settle(self) -> None:
        """Wait until all that was asked for is done.

        Raises:
            Hung: not within the deadline.
        """
        self._work.now(lambda: None)

    def end(self) -> None:
        """At the end of the process: leave nothing that would be taken for a death."""
        if self._folder is not None:
            self._folder, self._work.deadline_s = None, END_S
            with contextlib.suppress(Hung, OSError):
                self._work.now(self._life.end)

    # In the thread of the file work, but for `_mark` itself

    def _mark(self, digests: list[str]) -> list[Path]:
        folder = self._folder
        if folder is None or not digests or time.monotonic() < self._full_until_s:
            return []
        jobs = [folder / digest for digest in digests]
        try:
            self._work.now(lambda: self._write(folder, jobs))
        except OSError as error:
            if error.errno not in FULL:
                self._give_up(error)
                return jobs
            self._full_until_s = time.monotonic() + FULL_S
            if not self._told_full:
                self._told_full = True
                log.warning("the volume is full: %s", _WARNING % type(error).__name__)
        except Hung as error:
            self._give_up(error)
        return jobs

    def _write(self, folder: Path, jobs: list[Path]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._write_all(jobs)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self._sweep(folder)  # what has expired may be what fills it
            self._write_all(jobs)

    def _write_all(self, jobs: list[Path]) -> None:
        self._life.show()
        for job in jobs:
            for last in (False, True):
                job.mkdir(exist_ok=True)
                try:
                    (job / self._life.owner).touch()
                    break
                except FileNotFoundError:  # another worker has just removed the empty folder
                    if last:
                        raise
            self._standing.add(job.name)

    def _unmark(self, jobs: list[Path]) -> None:
        for job in jobs:
            self._standing.discard(job.name)
            with contextlib.suppress(OSError):
                (job / self._life.owner).unlink(missing_ok=True)
                (job / (self._life.owner + DEAD)).unlink(missing_ok=True)
                job.rmdir()

    def _judge(self, folder: Path, job: Path) -> tuple[int, dict[str, bytes]]:
        """Deaths that are certain, and what the files of workers hold of whom it is not known."""
        dead, unknown = 0, dict[str, bytes]()
        try:
            names = os.listdir(job)
        except FileNotFoundError:
            return 0, {}
        for name in names:
            if name.endswith(DEAD):
                dead += 1
            elif name != self._life.owner:
                verdict, told = look(folder, name)
                if verdict == "dead":
                    dead += _bury(job, name)
                elif verdict == "unknown":
                    unknown[name] = told
        return dead, unknown

    def _tend(self, folder: Path) -> None:
        """Now and then: a beat while markers stand, and a look for what has expired."""
        with contextlib.suppress(OSError):
            if self._standing:
                self._life.beat()
            if self._swept_s is None or time.monotonic() - self._swept_s > SWEEP_S:
                self._sweep(folder)

    def _sweep(self, folder: Path) -> None:
        """Remove what nobody has touched for a day; by the volume's own clock, and without needing room on it."""
        self._swept_s = time.monotonic()
        os.utime(folder)
        now_s = os.stat(folder).st_mtime
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.monotonic() - self._swept_s > SWEEP_AT_ONCE_S:
                    return
                old = now_s - entry.stat(follow_symlinks=False).st_mtime > EXPIRES_S
                if not old or not (_OURS.fullmatch(entry.name) or entry.name.endswith(SUFFIX)):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif not entry.name.endswith(SUFFIX) or look(folder, entry.name.removesuffix(SUFFIX))[0] != "alive":
                    os.unlink(entry.path)

    def _give_up(self, error: Exception) -> None:
        if self._folder is not None:
            self._folder = None
            log.warning(_WARNING, type(error).__name__)


_WARNING = "jobs that end their worker are not remembered: %s"


def _digest(job_id: str) -> str:
    return hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()


def _unchanged(folder: Path, held: dict[str, bytes]) -> dict[str, bytes]:
    """Of these workers those that have still given no sign of life."""
    still = {}
    for owner, told in held.items():
        verdict, now = look(folder, owner)
        if verdict == "dead" or (verdict == "unknown" and now == told):
            still[owner] = told
    return still


def _bury(job: Path, owner: str) -> int:
    """Make a marker a death, so that nobody has to find out again; 0 where its worker has just removed it."""
    try:
        os.rename(job / owner, job / (owner + DEAD))
    except FileNotFoundError:
        return 0
    return 1
