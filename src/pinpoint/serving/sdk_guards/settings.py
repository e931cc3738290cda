"""What an operator can set of the guards, as a protocol, so that any settings object with these fields will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class GuardSettings(Protocol):
    """The fields that `install` reads."""

    @property
    def late_take_s(self) -> float:
        """How long the poll that is open when SIGTERM comes may still bring jobs."""

    @property
    def post_attempt_s(self) -> float:
        """How long one attempt to post a result may take."""

    @property
    def post_deadline_s(self) -> float:
        """How long a result is tried before its slot is given back."""

    @property
    def kept_results_bytes(self) -> float:
        """Results kept beyond that deadline, all together."""

    @property
    def hang_s(self) -> float:
        """How long a forward pass or the event loop may make no progress; 0 watches nothing."""

    @property
    def last_result_s(self) -> float:
        """How long the last result waits for the others when the worker is to be replaced."""


@dataclass(frozen=True, slots=True)
class GuardDefaults:
    """Defaults, each with its reason."""

    # A platform stops giving jobs to a worker it ends; what crosses SIGTERM on the wire arrives within moments. Longer
    # only takes work that SIGKILL may cut: containers are commonly given 10 s.
    late_take_s: float = 2.0
    # 20 MB at 10 Mbit/s take 16 s; the SDK itself would wait 600 s.
    post_attempt_s: float = 60.0
    # Results are kept 30 min by the platform (FACTS section 5), and the default execution time-out is 10 min.
    post_deadline_s: float = 600.0
    kept_results_bytes: float = 64e6
    # The longest honest forward pass is a full token budget on a CPU, about a minute; five is a hang.
    hang_s: float = 300.0
    last_result_s: float = 30.0
