"""What a bulk run shows while it runs: a few lines that change on a terminal, a line now and then in a log."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from pinpoint.client.bulk.batch_run import BatchRun
    from pinpoint.client.bulk.run import Run
    from pinpoint.client.bulk.tally import Tally

SHOWN = 8  # labels, errors
LOG_S = 30.0
PER_SECOND = 4


class View:
    """Shows a run; use it with `with`. At its end it prints the sum."""

    def __init__(self, console: Console, tally: Tally, run: Run | BatchRun, price: float | None) -> None:
        """`price` is $ a second of one worker."""
        self._console = console
        self._tally = tally
        self._run = run
        self._price = price
        self._live = Live(console=console, refresh_per_second=PER_SECOND, transient=True, get_renderable=self._lines)
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> View:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._thread = threading.Thread(target=self._log, name="view", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ends.set()
        if self._thread is None:
            self._live.stop()
        else:
            self._thread.join()
        self._console.print(self._lines(whole=True))

    def _log(self) -> None:
        while not self._ends.wait(LOG_S):
            self._console.print(self._documents(whole=False), markup=False)

    def _lines(self, whole: bool = False) -> Group:
        tally = self._tally
        lines = [self._documents(whole), self._jobs()]
        if tally.workers is not None:
            lines.append(self._cost())
        if tally.labels:
            lines.append(f"labels     {_most(tally.labels)}")
        if tally.errors:
            lines.append(f"errors     {_most(tally.errors)}")
        return Group(*(Text(line, overflow="ellipsis", no_wrap=True) for line in lines))

    def _documents(self, whole: bool) -> str:
        tally = self._tally
        documents, tokens = tally.rates()
        if whole:
            passed_s = max(tally.passed_s, 1e-9)
            documents, tokens = tally.done / passed_s, tally.tokens / passed_s
        before = f" + {tally.before:,} of earlier runs" if tally.before else ""
        rates = f"{documents:,.1f}/s · {tokens:,.0f} tokens/s"
        return f"documents  {tally.done:,}{before} · {rates} · {_clock(tally.passed_s)}"

    def _jobs(self) -> str:
        counts, tally = self._run.counts, self._tally
        told = [f"jobs       {counts.jobs:,} done", f"{self._run.in_flight} of {self._run.window:.0f} in flight"]
        told += [f"{counts.again} again"] if counts.again else []
        told += [f"{counts.halved} halved"] if counts.halved else []
        told += [f"{tally.busy} times 429"] if tally.busy else []
        return " · ".join(told)

    def _cost(self) -> str:
        tally = self._tally
        told = f"workers    {tally.workers} running or starting · {_clock(tally.worker_s)} of theirs"
        return told if self._price is None else f"{told} · about ${tally.worker_s * self._price:,.2f}"


def _most(counts: Counter[str]) -> str:
    counts = counts.copy()  # by one call of C: the run counts on in its own thread while this one shows
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(SHOWN))
    return told if len(counts) <= SHOWN else f"{told}, {len(counts) - SHOWN} more"


def _clock(seconds: float) -> str:
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
