"""A stub worker on the real SDK: does what a job's input says, with or without the guards.

Input, all optional: `echo` (returned), `sleep_s` (awaited), `block_s` (blocks the event loop), `forward_s` (blocks a
thread inside the guarded forward pass), `forward_until` (the same until there is a file of this name),
`hold_interpreter` (stops every thread for ever), `fail` (a way to fail, below), `returns` (as it is), `swallow`
(survive a cancel), `say` (printed to `say_where`: out, err), `progress` (updates sent before the answer), `replace`
(ask for a new worker, by this worker's own means).

Environment: ECHO_GUARDS=1 installs the guards; ECHO_MODE picks the shape of the handler; ECHO_CONCURRENCY a constant
number of jobs at once; ECHO_SCALE a list of numbers to go through, one a poll; ECHO_FITNESS=fail fails before the
first take; ECHO_REPLACE=sdk asks by `refresh_worker`; ECHO_WITHOUT names guards to leave out; ECHO_<SETTING> sets a
guard setting; ECHO_LEAK_BYTES is what each job leaves behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from pinpoint.serving import sdk_guards, streams
from pinpoint.serving.sdk_guards.drain import DrainGuard
from pinpoint.serving.sdk_guards.kept_posts import KeptGuard
from pinpoint.serving.sdk_guards.log import LogGuard
from pinpoint.serving.sdk_guards.ping import PingGuard
from pinpoint.serving.sdk_guards.probe import Target
from pinpoint.serving.sdk_guards.replacement import ReplacementGuard
from pinpoint.serving.sdk_guards.results import ResultsGuard
from pinpoint.serving.sdk_guards.slots import SlotsGuard
from pinpoint.serving.sdk_guards.take import TakeGuard
from pinpoint.serving.sdk_guards.watchdog import WatchdogGuard
from pinpoint.settings import Settings

MODE = os.environ.get("ECHO_MODE", "async")
SCALE = [int(step) for step in os.environ.get("ECHO_SCALE", "").split(",") if step]
LEAK_BYTES = int(os.environ.get("ECHO_LEAK_BYTES", "0"))
ran: dict[str, int] = {}
leaked: list[bytearray] = []


def fail(how: str) -> Any:
    """Fail, or return what cannot be posted."""
    if how == "raise":
        raise ValueError("canary-of-the-exception")
    if how == "system_exit":
        raise SystemExit(3)
    if how == "unserialisable":
        return {"thing": object()}
    if how == "surrogate":
        return {"text": "\ud800"}
    if how == "generator":
        return (chunk for chunk in "ab")
    if how == "nan":
        return {"score": math.nan}
    raise KeyError(how)


def forward(seconds: float) -> None:
    """What a forward pass is to the watchdog; a negative time hangs."""
    with sdk_guards.forward():
        time.sleep(seconds if seconds >= 0 else 3600)


def forward_until(path: str) -> None:
    """A pass that lasts until the test makes a file."""
    with sdk_guards.forward():
        while not os.path.exists(path):
            time.sleep(0.01)


def hold_interpreter() -> None:
    """For ever, whatever signals come: PyDLL keeps the interpreter lock, and the kernel waits for the mutex."""
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


async def answer(job: dict[str, Any]) -> Any:
    """Do what the input says."""
    job_id, told = job["id"], job.get("input")
    told = told if isinstance(told, dict) else {"echo": told}
    ran[job_id] = ran.get(job_id, 0) + 1
    leaked.append(bytearray(os.urandom(64) * (LEAK_BYTES // 64)))
    print(f"echo begins {job_id} run {ran[job_id]}", flush=True)
    for stream in told.get("say_where", "").split():
        print(told["say"], file={"out": sys.stdout, "err": sys.stderr}[stream], flush=True)
    for step in told.get("progress", []):
        import runpod

        runpod.serverless.progress_update(job, step)
    try:
        await asyncio.sleep(told.get("sleep_s", 0))
    except asyncio.CancelledError:
        print(f"echo cancelled {job_id}", flush=True)
        if not told.get("swallow"):
            raise
    if "block_s" in told:
        time.sleep(told["block_s"])
    if "hold_interpreter" in told:
        hold_interpreter()
    if "forward_s" in told:
        await asyncio.get_running_loop().run_in_executor(None, forward, told["forward_s"])
    if "forward_until" in told:
        await asyncio.get_running_loop().run_in_executor(None, forward_until, told["forward_until"])
    if "fail" in told:
        return fail(told["fail"])
    if "returns" in told:
        return told["returns"]
    out = {"echo": told.get("echo"), "id": job_id, "run": ran[job_id], "pad": "x" * told.get("pad", 0)}
    if told.get("replace"):
        if os.environ.get("ECHO_REPLACE") == "sdk":
            return {**out, "refresh_worker": True}
        sdk_guards.request_replacement("the job asked for it")
    return out


def answer_blocking(job: dict[str, Any]) -> Any:
    """The same from a plain function, which holds the loop while it runs."""
    time.sleep(job["input"].get("block_s", 0))
    return {"echo": job["input"].get("echo"), "id": job["id"]}


def generated(job: dict[str, Any]) -> Iterator[Any]:
    """Chunks."""
    yield from job["input"]["chunks"]


def scale(current: int) -> int:
    """The next number of the list, then the last for ever."""
    return SCALE.pop(0) if len(SCALE) > 1 else SCALE[0]


def leave_out(names: str) -> None:
    """Make guards step aside, as a changed SDK would, to see which tests then fail."""
    for guard in (
        LogGuard,
        TakeGuard,
        DrainGuard,
        SlotsGuard,
        ResultsGuard,
        PingGuard,
        WatchdogGuard,
        ReplacementGuard,
        KeptGuard,
    ):
        if guard.name in names.split(","):
            guard.targets = (Target("rp_scale", "left_out", ""),)


def main() -> None:
    """Start, with or without the guards."""
    # The SDK asks for the processor's name when imported, by a subprocess that takes a second: half of a start.
    vars(importlib.import_module("cpuinfo"))["get_cpu_info"] = lambda: {"brand_raw": "of no interest"}
    if os.environ.get("ECHO_GUARDS") == "1" and "streams" not in os.environ.get("ECHO_WITHOUT", ""):
        streams.install(queued=True)
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", level=logging.INFO)
    if os.environ.get("ECHO_GUARDS") == "1":
        leave_out(os.environ.get("ECHO_WITHOUT", ""))
        told = {
            name: float(os.environ[f"ECHO_{name.upper()}"])
            for name in Settings.model_fields
            if f"ECHO_{name.upper()}" in os.environ
        }
        print("guards", *sdk_guards.install(Settings.model_validate(told)), flush=True)
    import runpod

    if os.environ.get("ECHO_FITNESS") == "fail":

        def engine_loads() -> None:
            raise RuntimeError("no such model")

        runpod.serverless.register_fitness_check(engine_loads)
    shapes = {"async": answer, "sync": answer_blocking, "generator": generated}
    config: dict[str, Any] = {"handler": shapes[MODE]}
    if SCALE:
        config["concurrency_modifier"] = scale
    elif "ECHO_CONCURRENCY" in os.environ:
        config["concurrency_modifier"] = lambda current: int(os.environ["ECHO_CONCURRENCY"])
    runpod.serverless.start(config)
    print("echo leaves", flush=True)


if __name__ == "__main__":
    main()
