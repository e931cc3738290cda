"""Faults of the platform, switched on by the test.

Scripted faults say what happens to the next posts of a job or the next takes; random ones follow from the seed and
from what they hit (kind, job, number of the attempt), never from the order in which threads got there, so that a
printed seed brings the same faults back.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class PostFault(Enum):
    """What happens to one result post."""

    NONE = "none"
    ERROR_500 = "500"
    BUSY_429 = "429"
    REFUSED_400 = "400"
    GONE_400 = "gone 400"  # with words that name the job as gone
    LARGE_400 = "large 400"  # for a body of more than `large_bytes`
    MOVED_301 = "301"  # to a page that says 200 to anybody and keeps nothing
    FOUND_302 = "302"
    OTHER_303 = "303"
    ELSEWHERE_307 = "307"  # to another address of the same kind, which keeps it
    ELSEWHERE_308 = "308"
    STRANGER_307 = "stranger 307"  # to the page, on another host
    UNKNOWN_401 = "401"
    FORBIDDEN_403 = "403"
    MISSING_404 = "404"
    CONFLICT_409 = "409"
    LARGE_413 = "413"
    HANGS_AFTER = "hangs after 200"  # kept, and the head of a 200 says so; its body never comes
    GARBLED_AFTER = "garbled after 200"  # … its body is no gzip, as it claims to be
    CUT_AFTER = "cut after 200"  # … half of its body comes, then a reset
    RESET = "reset"  # the connection is reset before the platform kept anything
    RESET_AFTER = "reset_after"  # … after it kept the result: the worker cannot know
    NEVER = "never"  # no answer until the worker gives up

    @property
    def status(self) -> int | None:
        """The HTTP status it answers with, where it answers."""
        last = self.value.rpartition(" ")[2]
        return int(last) if last.isdigit() else None


class TakeFault(Enum):
    """What happens to one take."""

    NONE = "none"
    ERROR_500 = "500"
    BUSY_429 = "429"
    FLASHBOOT_400 = "400"
    SLOW = "slow"  # the body arrives in two halves, `slow_s` apart
    CUT = "cut"  # half of the body, then a reset; the platform notices and queues the jobs again
    STALL = "stall"  # half of the body, then nothing until the worker hangs up; likewise
    # Answered at once, whatever is in the queue: a storm where the worker asks again at once.
    NONE_204 = "204"
    NULL = "null"
    EMPTY_LIST = "[]"
    ERROR_BODY = '{"error": "no worker of this name"}'
    EMPTY_BODY = ""

    @property
    def at_once(self) -> bool:
        """Whether it is answered without a look at the queue."""
        return self in AT_ONCE


AT_ONCE = (
    TakeFault.FLASHBOOT_400,
    TakeFault.NONE_204,
    TakeFault.NULL,
    TakeFault.EMPTY_LIST,
    TakeFault.ERROR_BODY,
    TakeFault.EMPTY_BODY,
)
# What a post can suffer and still be delivered by a worker that tries again.
TRANSIENT = (
    PostFault.ERROR_500,
    PostFault.BUSY_429,
    PostFault.REFUSED_400,
    PostFault.MOVED_301,
    PostFault.FOUND_302,
    PostFault.OTHER_303,
    PostFault.ELSEWHERE_307,
    PostFault.ELSEWHERE_308,
    PostFault.STRANGER_307,
    PostFault.UNKNOWN_401,
    PostFault.FORBIDDEN_403,
    PostFault.MISSING_404,
    PostFault.CONFLICT_409,
    PostFault.LARGE_413,
    PostFault.RESET,
    PostFault.NEVER,
)
# What was accepted all the same.
ACCEPTED = (PostFault.HANGS_AFTER, PostFault.GARBLED_AFTER, PostFault.CUT_AFTER)


@dataclass
class Faults:
    """The faults in force. Scripts first, then chance; nothing by default."""

    seed: int = 0
    post_chance: float = 0.0  # of each attempt at a post
    post_kinds: tuple[PostFault, ...] = TRANSIENT
    post_attempts_spared: int = 3  # from this attempt on chance spares a job's posts, so that every run ends
    take_chance: float = 0.0
    take_kinds: tuple[TakeFault, ...] = (TakeFault.ERROR_500, TakeFault.SLOW, TakeFault.CUT)
    slow_s: float = 0.1
    ping_s: float = 0.0  # that a ping's answer takes
    large_bytes: int = 500
    stop_ids: tuple[str, ...] = ()  # answered to every stop poll, at once
    down: PostFault | None = None  # what befalls every post, as long as it is set
    hits: Counter[str] = field(default_factory=Counter)  # faults that have happened, as `post 429` or `take cut`
    calls: deque[int | str] = field(
        default_factory=deque
    )  # of the next calls of clients: a status, "reset", "lost", "pass"
    retry_after: str = "0"  # that comes with a 429 to a client
    stop_pod_kills: bool = False  # a post with stopPod ends the worker's process at once, as a pod reset does
    _posts: dict[str, deque[PostFault]] = field(default_factory=lambda: defaultdict(deque))
    _always: dict[str, PostFault] = field(default_factory=dict)
    _takes: deque[TakeFault] = field(default_factory=deque)
    _attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    closing: asyncio.Event | None = None  # set when the platform stops: hanging answers end then

    def script_posts(self, job_id: str, *kinds: PostFault) -> None:
        """Fate of the next posts of a job, one each."""
        self._posts[job_id].extend(kinds)

    def always(self, job_id: str, kind: PostFault) -> None:
        """Fate of every post of a job."""
        self._always[job_id] = kind

    def script_takes(self, kinds: Iterable[TakeFault]) -> None:
        """Fate of the next takes, one each."""
        self._takes.extend(kinds)

    def post(self, job_id: str) -> PostFault:
        """Fate of the post that has just come in."""
        fate = self._post(job_id)
        if fate is not PostFault.NONE:
            self.hits[f"post {fate.value}"] += 1
        return fate

    def take(self, number: int) -> TakeFault:
        """Fate of the take that has just come in."""
        if self._takes:
            return self._takes.popleft()
        chance = random.Random(f"{self.seed}/take/{number}")
        return chance.choice(self.take_kinds) if chance.random() < self.take_chance else TakeFault.NONE

    def _post(self, job_id: str) -> PostFault:
        self._attempts[job_id] += 1
        attempt = self._attempts[job_id]
        if self.down is not None:
            return self.down
        if self._posts[job_id]:
            return self._posts[job_id].popleft()
        if job_id in self._always:
            return self._always[job_id]
        chance = random.Random(f"{self.seed}/post/{job_id}/{attempt}")
        if attempt > self.post_attempts_spared or chance.random() >= self.post_chance:
            return PostFault.NONE
        return chance.choice(self.post_kinds)
