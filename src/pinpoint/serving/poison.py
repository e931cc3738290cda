"""Jobs that ended their worker, remembered on a volume that outlives it.

A job that crashes the process is handed to the next worker, and the next. So before each pass a marker is written for
each job in it, and afterwards removed. What finds a marker of itself was in a pass that never ended: a death. From then
on its passes hold nothing but itself, so that its former neighbours clear themselves, and after two deaths it is
refused.

Only the passes are marked, not the time before and between: a job that merely waited when another one killed the
worker is not suspected. A worker that the platform ends in the middle of a pass leaves markers too; it takes two such
accidents with the same job to wrong it.

One file a job, of a few bytes, named by a digest of the job's id. A volume that cannot be written is told of once, and
nothing is remembered.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pinpoint.errors import CapacityError

log = logging.getLogger("pinpoint")

DEATHS = 2
RUNPOD_VOLUME = Path("/runpod-volume")  # where RunPod mounts a network volume
FOLDER = "pinpoint-jobs"


def state_folder(state_dir: str, volume: Path = RUNPOD_VOLUME) -> Path | None:
    """Where markers are kept: the folder that is set, else on RunPod's volume, else nowhere."""
    if state_dir:
        return Path(state_dir) / FOLDER
    return volume / FOLDER if volume.is_mount() else None


class PoisonMemory:
    """Markers in a folder; without one, nothing is remembered. Any thread, as long as no job is in two passes."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def remembers(self) -> bool:
        """Whether there is a folder to write to."""
        return self._folder is not None

    def deaths(self, job_id: str) -> int:
        """How many passes with this job never ended."""
        if self._folder is None or not job_id:
            return 0
        try:
            return int(self._marker(self._folder, job_id).read_text("ascii"))
        except FileNotFoundError:
            return 0
        except ValueError:  # written by nobody of ours: no evidence
            return 0
        except OSError as error:
            self._give_up(error)
            return 0

    def check(self, job_id: str) -> int:
        """How many deaths this job is suspected of.

        Raises:
            CapacityError: `poison_job`; too many.
        """
        deaths = self.deaths(job_id)
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
        named = [job_id for job_id in dict.fromkeys(job_ids) if job_id] if self._folder is not None else []
        before = {job_id: self.deaths(job_id) for job_id in named}
        for job_id, deaths in before.items():
            self._write(job_id, deaths + 1)
        try:
            yield
        finally:
            # Whatever it raised: the process lives.
            for job_id, deaths in before.items():
                self._write(job_id, deaths)

    def clear(self, job_id: str) -> None:
        """The job was answered: whatever it was suspected of, it is no danger."""
        if job_id:
            self._write(job_id, 0)

    def _write(self, job_id: str, deaths: int) -> None:
        if self._folder is None:
            return
        marker = self._marker(self._folder, job_id)
        try:
            if not deaths:
                marker.unlink(missing_ok=True)
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            # In whole or not at all: a process may end at any time, which is what this is about.
            part = marker.with_suffix(f".{os.getpid()}.part")
            part.write_text(str(deaths), "ascii")
            part.replace(marker)
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("jobs that end their worker are not remembered: %s", type(error).__name__)
        self._folder = None

    @staticmethod
    def _marker(folder: Path, job_id: str) -> Path:
        return folder / hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()
