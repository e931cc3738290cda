"""The SDK's own variables, put right or refused before it is imported.

It reads them when it is, and one that it cannot read ends it with a traceback, some of them only after the load; an
address that is none costs every result. What the platform sets and is merely odd is put right, with a line in the log:
a worker that does not start helps nobody. What only an operator sets is refused in one line, as Pinpoint's own are.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint.sdk")

LEVELS = ("NOTSET", "TRACE", "DEBUG", "INFO", "WARN", "ERROR")
LEVELS_ELSEWHERE = {"WARNING": "WARN", "CRITICAL": "ERROR", "FATAL": "ERROR"}
LEVEL_OPTION = "--rp_log_level"
PING_MS = 10_000  # the SDK's own
PING_BOUNDS_MS = (1000, 600_000)  # it divides by 1,000 and drops the rest: less is a time-out of nothing
# Variable → whether the SDK takes whole numbers only, and the bounds beyond which it means nothing.
NUMBERS: dict[str, tuple[bool, float, float]] = {
    "RUNPOD_MIN_MEMORY_GB": (False, 0, 1e6),
    "RUNPOD_MIN_DISK_PERCENT": (False, 0, 100),
    "RUNPOD_NETWORK_CHECK_TIMEOUT": (True, 1, 3600),
    "RUNPOD_GPU_BENCHMARK_TIMEOUT": (True, 1, 3600),
    "RUNPOD_GPU_TEST_TIMEOUT": (True, 1, 3600),
    "RUNPOD_GPU_MAX_ERROR_MESSAGES": (True, 0, 1e6),
    "RUNPOD_REALTIME_PORT": (True, 0, 65_535),
    "RUNPOD_REALTIME_CONCURRENCY": (True, 1, 1024),
}
ADDRESSES = (
    "RUNPOD_WEBHOOK_GET_JOB",
    "RUNPOD_WEBHOOK_POST_OUTPUT",
    "RUNPOD_WEBHOOK_POST_STREAM",
    "RUNPOD_WEBHOOK_PING",
)


def prepare(environ: MutableMapping[str, str], arguments: list[str]) -> None:
    """Put right what the SDK will read, in place: the environment, and the level among the arguments.

    Raises:
        ModelError: `invalid_setting`; a variable has a value that cannot be put right.
    """
    for name in [*NUMBERS, *ADDRESSES, "RUNPOD_LOG_LEVEL", "RUNPOD_DEBUG_LEVEL", "RUNPOD_PING_INTERVAL"]:
        if name in environ and not environ[name].strip():  # counts as unset, as with Pinpoint's own
            del environ[name]
    for name in ("RUNPOD_LOG_LEVEL", "RUNPOD_DEBUG_LEVEL"):
        if name in environ:
            environ[name] = level(environ[name], name)
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{LEVEL_OPTION}="):
            arguments[index] = f"{LEVEL_OPTION}={level(argument.partition('=')[2], LEVEL_OPTION)}"
        elif argument == LEVEL_OPTION and index + 1 < len(arguments):
            arguments[index + 1] = level(arguments[index + 1], LEVEL_OPTION)
    if "RUNPOD_PING_INTERVAL" in environ:
        environ["RUNPOD_PING_INTERVAL"] = str(_ping_ms(environ["RUNPOD_PING_INTERVAL"]))
    for name, (whole, low, high) in NUMBERS.items():
        if name in environ:
            _check_number(environ[name], name, whole, low, high)
    _check_addresses(environ)


def level(told: str, name: str) -> str:
    """A level of the SDK's log; the names that Python's own has are understood.

    Raises:
        ModelError: `invalid_setting`; there is no such level.
    """
    word = told.strip().upper()
    word = LEVELS_ELSEWHERE.get(word, word)
    if word not in LEVELS:
        raise ModelError("invalid_setting", f"there is no such level; there are {', '.join(LEVELS)}", name)
    return word


def _ping_ms(told: str) -> int:
    try:
        wanted = float(told)
    except ValueError:
        wanted = math.nan
    low, high = PING_BOUNDS_MS
    ms = int(min(max(wanted, low), high)) if math.isfinite(wanted) else PING_MS
    if ms != wanted:
        log.warning("RUNPOD_PING_INTERVAL cannot be used as it is; taken as %d ms", ms)
    return ms


def _check_number(told: str, name: str, whole: bool, low: float, high: float) -> None:
    try:
        value = float(int(told)) if whole else float(told)
    except (ValueError, OverflowError):
        value = math.nan
    if not low <= value <= high:
        kind = "whole number" if whole else "number"
        raise ModelError("invalid_setting", f"must be a {kind} from {low:g} to {high:g}", name)


def _check_addresses(environ: MutableMapping[str, str]) -> None:
    for name in ADDRESSES:
        if name in environ and not _is_address(environ[name]):
            raise ModelError("invalid_setting", "must be an http or https address", name)
    if "RUNPOD_WEBHOOK_GET_JOB" in environ and "$ID" not in environ.get("RUNPOD_WEBHOOK_POST_OUTPUT", ""):
        raise ModelError(
            "invalid_setting",
            "jobs would be taken and no result could be posted: must be an address with $ID in it",
            "RUNPOD_WEBHOOK_POST_OUTPUT",
        )
    for name in ADDRESSES[:3]:
        # The SDK appends `&key=value`, which without a query before it is part of the path.
        if name in environ and "?" not in environ[name]:
            environ[name] += "?"


def _is_address(told: str) -> bool:
    if re.search(r"\s", told):
        return False
    try:
        parts = urlsplit(told)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
