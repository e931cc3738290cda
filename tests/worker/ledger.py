"""What the emulated platform knows: every job, every hand-over, every body received.

The server writes it from its own thread, tests read it from theirs and wait on it: `wait` returns as soon as a change
makes the condition true and fails with a message that names what never happened. `audit` is the sum of it all: what was
handed over must have been answered, once, by the worker that had it.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

WAIT_S = 90.0  # for what has to come at some time, on a machine that others use as well
FINAL = ("COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT")


@dataclass(slots=True)
class Delivery:
    """One hand-over of a job to a worker."""

    worker: str
    at_s: float
    lost_with_worker: bool = False  # the worker died, or the answer was cut: the job was queued again


@dataclass(slots=True)
class Post:
    """One body received at job-done or job-stream, whatever was answered to it."""

    job_id: str
    worker: str
    at_s: float
    body: bytes
    content_type: str
    request_id: str | None
    is_stream: str | None
    stream: bool = False  # came in at job-stream
    status: int | None = None  # answered; None: the connection was reset or left hanging
    recorded: bool = False  # the platform kept it, acknowledged or not

    @property
    def payload(self) -> Any:
        """The body as JSON, by Python's lax reading; None where it is not JSON at all."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def final(self) -> bool:
        """Whether it is a result, not progress and not a chunk."""
        payload = self.payload
        return not self.stream and not (isinstance(payload, dict) and payload.get("status") == "IN_PROGRESS")


@dataclass(slots=True)
class Job:
    """A job and what became of it."""

    id: str
    raw: bytes  # what a taker receives
    status: str = "IN_QUEUE"
    output: Any = None
    error: Any = None
    progress: list[Any] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    answers: list[Post] = field(default_factory=list)  # results recorded, in the order they came
    retries: int = 0
    ended_s: float | None = None
    unanswerable: bool = False  # handed over without an id that an answer could name

    @property
    def acknowledged(self) -> list[Post]:
        """Results that the platform recorded and told the worker so."""
        return [post for post in self.answers if post.status == 200]

    @property
    def view(self) -> dict[str, Any]:
        """What `/status` shows."""
        shown: dict[str, Any] = {"id": self.id, "status": self.status, "retries": self.retries}
        if self.status in FINAL:
            shown.update({"delayTime": 1, "executionTime": 1})
        if self.output is not None:
            shown["output"] = self.output
        elif self.progress and self.status == "IN_PROGRESS":
            shown["output"] = self.progress[-1]
        if self.error is not None:
            shown["error"] = self.error
        return shown


@dataclass(frozen=True, slots=True)
class Take:
    """A poll for jobs: when it came, how many it asked for, and what it was answered."""

    worker: str
    at_s: float
    wanted: int
    in_progress: str
    status: int | None
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life, or of sickness."""

    worker: str
    at_s: float
    query: dict[str, str]
    authorization: str


@dataclass(frozen=True, slots=True)
class Audit:
    """The ledger's sum. A job counts as handed over only when its worker received it and did not die of it."""

    handed_over: int
    answered: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    wrong_owner: tuple[str, ...]
    strays: int

    @property
    def clean(self) -> bool:
        """Everything handed over was answered once, by its owner."""
        return not (self.lost or self.twice or self.wrong_owner or self.strays)


class Ledger:
    """Jobs, takes, pings and posts; `lock` guards them all."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.began_s = time.monotonic()
        self.jobs: dict[str, Job] = {}
        self.takes: list[Take] = []
        self.pings: list[Ping] = []
        self.strays: list[Post] = []  # posts that name no job handed to anyone
        self.stop_pods: list[tuple[str, float]] = []  # workers that asked to be replaced, and when
        self.polls_open: Counter[str] = Counter()
        self.polls_begun: Counter[str] = Counter()
        self.stop_polls: Counter[str] = Counter()
        self.landed: Counter[str] = Counter()  # requests for the page that redirects lead to, by method
        self.answered_by: Counter[str] = Counter()  # results recorded, by worker
        self.calls: Counter[str] = Counter()  # of clients, by their name: run, status, …

    def now_s(self) -> float:
        """Seconds since the platform began."""
        return time.monotonic() - self.began_s

    @contextmanager
    def change(self) -> Iterator[None]:
        """Change the ledger and wake whoever waits for it."""
        with self.lock:
            yield
            self.lock.notify_all()

    def wait(self, condition: Callable[[Ledger], Any], timeout_s: float, what: str) -> Any:
        """The first true value of `condition`, looked at after every change.

        Raises:
            AssertionError: it never came true; the message says what was awaited and what there was instead.
        """
        with self.lock:
            value = self.lock.wait_for(lambda: condition(self), timeout_s)
            if not value:
                raise AssertionError(f"{what}: not within {timeout_s} s; {self.summary()}")
            return value

    def wait_final(self, *job_ids: str, timeout_s: float = WAIT_S) -> list[Job]:
        """The jobs, once all of them have ended, in the order asked for."""
        self.wait(lambda own: all(own.jobs[name].status in FINAL for name in job_ids), timeout_s, "jobs end")
        return [self.jobs[name] for name in job_ids]

    def summary(self) -> str:
        """Statuses, for messages."""
        statuses = Counter(job.status for job in self.jobs.values())
        posts = Counter(str(post.status) for job in self.jobs.values() for post in job.posts)
        return f"jobs {dict(statuses)}, posts by answer {dict(posts)}, takes {len(self.takes)}, pings {len(self.pings)}"

    def audit(self) -> Audit:
        """Lost, answered twice, answered by a stranger."""
        lost, twice, wrong = list[str](), list[str](), list[str]()
        handed = answered = 0
        with self.lock:
            for job in self.jobs.values():
                alive = [delivery for delivery in job.deliveries if not delivery.lost_with_worker]
                owners = {delivery.worker for delivery in job.deliveries}
                wrong.extend(job.id for post in job.posts if post.worker not in owners)
                if not alive or job.unanswerable:
                    continue
                handed += 1
                answered += bool(job.answers)
                if not job.answers and job.status != "CANCELLED":
                    lost.append(job.id)
                # A second answer is owed to a second hand-over; one that was never acknowledged may come again.
                if len(job.acknowledged) > len(alive) + job.retries:
                    twice.append(job.id)
            return Audit(handed, answered, tuple(lost), tuple(twice), tuple(wrong), len(self.strays))
