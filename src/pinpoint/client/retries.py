"""How often something is tried again, and how long is waited before: exponential, with jitter, never before the service
says so (`Retry-After`).

Full jitter: a wait is drawn from nothing to the bound, so that clients which failed together do not come back together.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pinpoint.errors import RequestError

LONGEST_TOLD_S = 300.0  # that a Retry-After is followed


@dataclass(frozen=True, slots=True)
class Retries:
    """When to try again.

    Attributes:
        tries: in all, the first one included.
        first_s: bound of the wait after the first try; it doubles with each further one.
        longest_s: bound of every wait.
    """

    tries: int = 8
    first_s: float = 0.5
    longest_s: float = 30.0

    def __post_init__(self) -> None:
        """Raises RequestError."""
        check_number("tries", self.tries, at_least=1, whole=True)
        check_number("first_s", self.first_s, at_least=0)
        check_number("longest_s", self.longest_s, at_least=0)

    def wait_s(self, failed: int, told_s: float | None = None, chance: random.Random | None = None) -> float:
        """Seconds to wait after `failed` tries, of which the service told the last to come back after `told_s`."""
        bound_s = min(self.longest_s, self.first_s * 2.0 ** min(failed - 1, 30))
        drawn_s = (chance or random).uniform(0.0, bound_s)
        return drawn_s if told_s is None else min(told_s, LONGEST_TOLD_S) + drawn_s


def check_number(
    name: str, value: object, *, at_least: float = 0, above: float | None = None, whole: bool = False
) -> None:
    """Look at a number that a caller gives. Raises RequestError `wrong_type`, `out_of_range`."""
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise RequestError("wrong_type", f"{name} is a {'whole ' if whole else ''}number", name)
    if above is None and not value >= at_least:
        raise RequestError("out_of_range", f"{name} is at least {at_least:g}", name)
    if above is not None and not value > above:
        raise RequestError("out_of_range", f"{name} is more than {above:g}", name)


def retry_after_s(header: str | None, now: datetime | None = None) -> float | None:
    """What a `Retry-After` says, in seconds or as a date; None where it is missing or says nothing."""
    if not header:
        return None
    try:
        return max(0.0, float(header)) if float(header) < float("inf") else None
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
