"""The SDK's own variables: put right or refused in one line, before it is imported and before the load."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from pinpoint.errors import ModelError
from pinpoint.serving.sdk_guards.environment import ADDRESSES, NUMBERS, PING_BOUNDS_MS, prepare
from tests import warm

ROOT = Path(__file__).parents[3]
AT = "http://127.0.0.1:9/v2/e"
PLATFORM = {
    "RUNPOD_WEBHOOK_GET_JOB": f"{AT}/job-take/$ID?gpu=none",
    "RUNPOD_WEBHOOK_POST_OUTPUT": f"{AT}/job-done/$RUNPOD_POD_ID/$ID?gpu=none",
}


@pytest.mark.parametrize(
    ("told", "taken"),
    [("WARNING", "WARN"), ("warn", "WARN"), (" Info ", "INFO"), ("CRITICAL", "ERROR"), ("debug", "DEBUG")],
)
def test_a_level_is_understood_by_its_usual_names(told: str, taken: str) -> None:
    environ, arguments = {"RUNPOD_LOG_LEVEL": told, "RUNPOD_DEBUG_LEVEL": told}, ["handler.py", "--rp_log_level", told]
    prepare(environ, arguments)
    assert environ == {"RUNPOD_LOG_LEVEL": taken, "RUNPOD_DEBUG_LEVEL": taken}
    assert arguments == ["handler.py", "--rp_log_level", taken]
    arguments = [f"--rp_log_level={told}"]
    prepare({}, arguments)
    assert arguments == [f"--rp_log_level={taken}"]


@pytest.mark.parametrize("told", ["LOUD", "3", "INFO,DEBUG", "\N{LATIN SMALL LETTER DOTLESS I}nfo-"])
def test_a_level_that_there_is_not_is_refused(told: str) -> None:
    for environ, arguments in (({"RUNPOD_LOG_LEVEL": told}, []), ({}, ["--rp_log_level", told])):
        with pytest.raises(ModelError, match="invalid_setting: there is no such level"):
            prepare(environ, list(arguments))


@pytest.mark.parametrize(
    "told", ["0", "500", "999", "-1", "nan", "inf", "-inf", "1e400", "1000.5", "often", "9" * 30, "10000", "١٠٠٠٠"]
)
def test_any_interval_of_pings_becomes_one_that_works(told: str) -> None:
    environ = {"RUNPOD_PING_INTERVAL": told}
    prepare(environ, [])
    assert PING_BOUNDS_MS[0] <= int(environ["RUNPOD_PING_INTERVAL"]) <= PING_BOUNDS_MS[1]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("told", ["lots", "inf", "nan", "-1", "1e300", "9" * 400, "9" * 5000])
def test_the_other_numbers_are_refused_where_the_sdk_would_break(name: str, told: str) -> None:
    with pytest.raises(ModelError) as refused:
        prepare({name: told}, [])
    assert (refused.value.code, refused.value.field) == ("invalid_setting", name)


@pytest.mark.parametrize("name", [*NUMBERS, *ADDRESSES, "RUNPOD_LOG_LEVEL", "RUNPOD_PING_INTERVAL"])
@pytest.mark.parametrize("told", ["", "  "])
def test_empty_counts_as_unset(name: str, told: str) -> None:
    environ = {name: told}
    prepare(environ, [])
    assert environ == {}


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("told", ["no address", "ftp://a/b", "http://", "http://[::1", "/job-take/$ID", "http://a:0/b"])
def test_an_address_that_is_none_is_refused(name: str, told: str) -> None:
    with pytest.raises(ModelError, match="must be an http or https address"):
        prepare({**PLATFORM, name: told}, [])


@pytest.mark.parametrize("told", [None, f"{AT}/job-done/w?gpu=none"])
def test_a_worker_that_could_post_nothing_does_not_take(told: str | None) -> None:
    environ = {**PLATFORM, "RUNPOD_WEBHOOK_POST_OUTPUT": told or ""}
    with pytest.raises(ModelError, match="no result could be posted"):
        prepare(environ, [])


def test_what_is_right_stays_and_a_query_can_be_appended() -> None:
    environ = dict(PLATFORM)
    prepare(environ, [])
    assert environ == PLATFORM
    environ["RUNPOD_WEBHOOK_GET_JOB"] = f"{AT}/job-take/$ID"
    prepare(environ, [])
    assert environ["RUNPOD_WEBHOOK_GET_JOB"] == f"{AT}/job-take/$ID?"


def handler(told: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("RUNPOD_", "PINPOINT_"))}
    return warm.run(["handler.py", *arguments], {**env, "PINPOINT_DEVICE": "cpu", **told})


@pytest.mark.parametrize(
    "told",
    [
        {"RUNPOD_LOG_LEVEL": "LOUD"},
        {**PLATFORM, "RUNPOD_MIN_MEMORY_GB": "lots"},
        {**PLATFORM, "RUNPOD_GPU_TEST_TIMEOUT": "30 s"},
        {**PLATFORM, "RUNPOD_WEBHOOK_GET_JOB": "somewhere"},
        {"RUNPOD_WEBHOOK_GET_JOB": PLATFORM["RUNPOD_WEBHOOK_GET_JOB"]},
    ],
    ids=lambda told: next(reversed(told)),
)
def test_the_worker_refuses_in_one_line(told: dict[str, str]) -> None:
    done = handler(told)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("invalid_setting: ")


def test_a_level_of_pythons_runs_a_job() -> None:
    done = handler({"RUNPOD_LOG_LEVEL": "WARNING"}, "--test_input", '{"input": {"text": "a", "labels": ["x", "y"]}}')
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert '"label"' in done.stdout
