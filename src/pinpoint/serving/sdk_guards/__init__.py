"""What RunPod's SDK gets wrong around a handler, and that a handler cannot put right: one small guard each.

    guard        the bare SDK                                              with the guard
    log          writes answers below INFO, and keys in addresses          neither, whatever level was asked for
    take         one malformed job loses its batch, or kills the worker    it alone is dropped, answered if it can be
                 what is answered at once is asked again at once           a floor between polls, while nothing comes
    drain        SIGTERM loses what the open poll still brings             the poll is given time; what it brings is run
    slots        with all slots taken, taking sleeps for a second          a free slot is filled at once
    results      a failed post is dropped, with it the job                 tried again until accepted, else kept
    kept         (nothing is kept)                                         posted by a timer, and once more at the end
    ping         the ping process outlives its worker, or dies unseen      it dies with it, and is started anew
    watchdog     a hung worker pings on and looks healthy                  it says where it hangs and leaves
    replacement  `refresh_worker` keeps taking while its pod is reset      drains first; the last result asks

Written against SDK 1.12.0. `install` looks at the source of what each guard replaces; where that has changed, the guard
says so in the log and steps aside, because a wrong patch is worse than a known fault.

    names = sdk_guards.install(settings)        # before runpod.serverless.start
    with sdk_guards.forward(): …                # around every forward pass, in its thread
    sdk_guards.request_replacement("memory")    # any thread, any time

Nothing happens at import, and the SDK is imported by `install` alone: it reads its environment when it is.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

from pinpoint.serving.sdk_guards.installation import GuardSettings, Installation

__all__ = ["GuardSettings", "forward", "install", "now", "replacement_reason", "request_replacement"]

_installation: Installation | None = None


def install(settings: GuardSettings, local: bool = False) -> list[str]:
    """Put the guards around the SDK, once per process; the names of those that are in force.

    Args:
        settings: theirs.
        local: where the SDK runs a single job and posts nothing: the guard `log` alone.
    """
    global _installation
    if _installation is None:
        _installation = Installation(settings, local)
    return list(_installation.names)


def now() -> float:
    """A monotonic time, in seconds, in which a pause of the process takes none; the system's where not installed."""
    return time.monotonic() if _installation is None else _installation.clock.time()


def forward() -> AbstractContextManager[None]:
    """Tell the watchdog that a forward pass runs for as long as this is held; nothing where it is not installed."""
    return nullcontext() if _installation is None else _installation.watchdog.forward()


def request_replacement(reason: str) -> bool:
    """Take no more jobs, finish those in flight, ask the platform for a new worker and leave.

    Returns:
        Whether it will happen: False where the guards are not installed or had to step aside.
    """
    return _installation is not None and _installation.replacement.request(reason)


def replacement_reason() -> str | None:
    """Why this worker is to be replaced; None as long as nobody asked."""
    return None if _installation is None else _installation.replacement.reason
