"""What a bulk run counts, and what it costs so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RECENT_S = 20.0
MOST_LABELS = 1000  # told apart; a label list is no longer


@dataclass
class Tally:
    """Counts of this run; `before` is what earlier ones had done.

    Attributes:
        done: documents whose results have come, refused ones included.
        tokens: that the model was shown.
        errors: documents by the code of their error, rows that are left out included.
        labels: documents by label, with several questions by `question: label`.
        busy: how often the service said 429.
        worker_s: of all workers together, from what the endpoint says of them.
        complaints: lines about documents that are not in the output.
    """

    before: int = 0
    done: int = 0
    tokens: int = 0
    left_out: int = 0
    busy: int = 0
    worker_s: float = 0.0
    workers: int | None = None
    errors: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    complain: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.began_s = self.clock()
        self._recent = list[tuple[float, int, int]]()
        self._looked_s: float | None = None

    def add(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Count a document's results."""
        self.done += 1
        for result in results:
            if "error" in result:
                self.errors[result["error"]["code"]] += 1
                continue
            self.tokens += int(result["input"]["tokens"])
            parts = result.get("segments") or [result]
            for answers in (part["answers"] for part in parts):
                for name, answer in answers.items():
                    label = answer["label"] or "(none)"
                    shown = label if len(answers) == 1 else f"{name}: {label}"
                    if shown in self.labels or len(self.labels) < MOST_LABELS:
                        self.labels[shown] += 1

    def leave_out(self, name: str, code: str, message: str) -> None:
        """Count a document that gets no line in the output, and say why."""
        self.left_out += 1
        self.errors[code] += 1
        self.complain(f"{code}: {message} ({name})")

    def look_at_workers(self, workers: Mapping[str, Any]) -> None:
        """What the endpoint says of its workers: those that run or start are paid for."""
        now_s = self.clock()
        paid = sum(count for key in ("running", "initializing") if isinstance(count := workers.get(key), int))
        if self._looked_s is not None:
            self.worker_s += (self.workers or 0) * (now_s - self._looked_s)
        self.workers, self._looked_s = paid, now_s

    @property
    def passed_s(self) -> float:
        """Since the run began."""
        return self.clock() - self.began_s

    def rates(self) -> tuple[float, float]:
        """Documents and tokens a second of the last moments; call it now and then."""
        now_s = self.clock()
        self._recent = [one for one in self._recent if now_s - one[0] <= RECENT_S]
        self._recent.append((now_s, self.done, self.tokens))
        first_s, done, tokens = self._recent[0] if len(self._recent) > 1 else (self.began_s, 0, 0)
        span_s = max(now_s - first_s, 1e-9)
        return (self.done - done) / span_s, (self.tokens - tokens) / span_s
