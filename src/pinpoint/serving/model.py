"""The engine singleton: loaded on first use, exactly once, whoever asks first."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pinpoint.checkpoints.read_ahead import ReadAhead
from pinpoint.checkpoints.read_ahead import begin as read_ahead_of
from pinpoint.engine.kernels_ahead import Asked, leave, note
from pinpoint.engine.readings import Laps, process_age_s
from pinpoint.pipeline.room import refuse_without_room, told
from pinpoint.serving.watch.host import free_host_bytes
from pinpoint.settings import Settings

if TYPE_CHECKING:
    from pinpoint.engine.proof_parts import Proof
    from pinpoint.engine.scorer import Scorer

log = logging.getLogger("pinpoint")

_lock = threading.Lock()
_scorer: Scorer | None = None
_ahead: ReadAhead | None = None
_asked: Asked | None = None


def read_ahead(settings: Settings) -> None:
    """Begin to read the weights that `get_scorer` will load, before anything heavy is imported; once."""
    global _ahead
    if _ahead is None and _scorer is None:
        _ahead = read_ahead_of(settings.model_name, settings.model_revision, free_host_bytes())


def get_scorer(settings: Settings) -> Scorer:
    """The one scorer of this process. A failed load is not remembered: the next call tries again.

    Raises:
        ModelError: the model cannot be loaded, or is not proved to be scored exactly.
        CapacityError: it does not fit.
    """
    global _scorer
    with _lock:
        if _scorer is None:
            laps = Laps()
            read_ahead(settings)
            try:
                scorer = make_scorer(settings, laps)
            finally:
                _end_of_reading()
            # Imported here, so that a bad setting or a refusal answers before torch takes its seconds.
            from pinpoint.engine.proof import prove

            prove(scorer)
            laps.lap("proof")
            if _asked is not None:
                leave(_asked)
            _tell(scorer, laps)
            _scorer = scorer
        return _scorer


def _end_of_reading() -> None:
    global _ahead
    if _ahead is not None:
        _ahead.stop()
        log.info("read ahead: gb=%.2f seconds=%.1f", _ahead.bytes / 1e9, _ahead.seconds)
        _ahead = None


def examine(settings: Settings) -> tuple[Scorer, Proof]:
    """Load a model as a worker would, and say how far it is from its own forward pass; nothing is kept of it.

    Raises:
        ModelError, CapacityError: it cannot be loaded.
    """
    scorer = make_scorer(settings)
    from pinpoint.engine.proof import examine

    return scorer, examine(scorer)


def make_scorer(settings: Settings, laps: Laps | None = None) -> Scorer:
    """A loaded model, warmed up, not proved yet; `laps` is told where the time goes.

    Raises:
        ModelError, CapacityError: it cannot be loaded, or no job has room in what it reads.
    """
    global _asked
    laps = laps or Laps()
    with objects_that_stay():
        from pinpoint.engine.transformers_import import import_without_scipy

        import_without_scipy()
        from pinpoint.engine.budget import settle_budget
        from pinpoint.engine.loading.load import load
        from pinpoint.engine.scorer import Scorer
        from pinpoint.engine.warmup import warm_up

    laps.lap("imports")
    _asked = note() if settings.device != "cpu" else None
    laps.lap("context")
    loaded = load(settings, laps)
    budget, store = settings.usual_budget, settings.prefix_store_bytes
    if loaded.plan is not None:
        budget, store = min(budget, loaded.plan.token_budget), min(store, loaded.plan.store_bytes)
    scorer = Scorer(loaded, budget, store)
    refuse_without_room(scorer)
    laps.lap("prompts")
    scorer.start["token_budget"] = settle_budget(scorer, settings.token_budget).told()
    laps.lap("token_budget")
    log.info("reads: %s", " ".join(f"{name}={tokens}" for name, tokens in told(scorer).items()))
    warm_up(scorer)
    laps.lap("warm_up")
    return scorer


@contextmanager
def objects_that_stay() -> Iterator[None]:
    """The first import of torch: some 400,000 objects that stay, and that the collector need not go over again.

    Without it a sixth of the import's processor time goes to looking for rubbish among them, and later, in a process
    that serves, each look at everything takes tenths of a second.
    """
    if "torch" in sys.modules or not gc.isenabled():  # who imported it may have objects that do not stay
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _tell(scorer: Scorer, laps: Laps) -> None:
    """Log where the time of the start went, from the process's own, and keep it for health."""
    age_s = process_age_s()
    parts = {"before": round(max(0.0, age_s - sum(laps.seconds.values())), 2), **laps.told()}
    scorer.start["start_s"] = {"total": round(age_s, 2), **parts}
    log.info("started: total_s=%.2f %s", age_s, " ".join(f"{part}_s={seconds:.2f}" for part, seconds in parts.items()))
