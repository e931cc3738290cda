"""How `handler.py` was called, and the one job of a local run, read and checked before anything heavy is imported.

The SDK reads `sys.argv` by itself. It takes `--test_input` with JSON only, and what is no job ends there in a
traceback; so the job is read here, from wherever it lies, and handed to the SDK as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinpoint.api.limits import kind_of, visible
from pinpoint.api.schema import JobFields, ZeroShotFields
from pinpoint.errors import RequestError

TEST_INPUT_FILE = "test_input.json"
STANDARD_INPUT = "-"

_USAGE = "%(prog)s [--test_input [JOB]] [--rp_serve_api [--rp_api_port PORT]] [--rp_log_level LEVEL]"
_EXAMPLES = f"""\
examples:
  python handler.py                              the job in {TEST_INPUT_FILE}
  python handler.py --test_input job.json        the job in a file of yours
  python handler.py --test_input '{{"input": {{"text": "Invoice no. 7", "labels": ["invoice", "receipt"]}}}}'
  python handler.py --rp_serve_api --rp_api_port 8123
                                                 the platform's calls on this machine

The answer is JSON on standard output; everything else goes to standard error. Exit code 1: the job was refused.
"""
_JOB_SHAPE = '{"input": {"text": "…", "labels": ["…", "…"]}}'
_REQUEST_FIELDS = {*JobFields.model_fields, *ZeroShotFields.model_fields}


@dataclass(frozen=True, slots=True)
class Call:
    """How the program was called.

    Attributes:
        local: one job and out; otherwise it serves, on the platform or as a local API.
        source: of the one job: JSON, the name of a file, or `-`.
        argv: for the SDK, without a job.
    """

    local: bool
    source: str
    argv: tuple[str, ...]


def read_call(argv: Sequence[str], environ: Mapping[str, str]) -> Call:
    """Return how the program was called; `--help` and options that cannot be end the process, as argparse does.

    Raises RequestError for a word that a local run would do nothing with: on the platform it is left alone.
    """
    arguments, unknown = _parser(Path(argv[0]).name).parse_known_args(argv[1:])
    given = arguments.test_input is not None
    serves = arguments.rp_serve_api or environ.get("RUNPOD_REALTIME_PORT", "").strip() not in ("", "0")
    if serves and given:
        raise RequestError(
            "conflicting_fields", "a test input is answered, or jobs are served; not both", "--test_input"
        )
    # With a test input the SDK runs it wherever it is.
    local = not serves and (given or "RUNPOD_WEBHOOK_GET_JOB" not in environ)
    if not local:
        return Call(False, "", tuple(argv))
    if unknown:
        if unknown[0].startswith("-"):
            raise RequestError("unknown_field", "no such option; see --help", visible(unknown[0].partition("=")[0]))
        # Not repeated: it may be a document that somebody forgot to put in quotes.
        raise RequestError(
            "unknown_field", "one word too many; a job is one word behind --test_input, in quotes", "--test_input"
        )
    level = ("--rp_log_level", arguments.rp_log_level) if arguments.rp_log_level else ()
    return Call(True, arguments.test_input if given else TEST_INPUT_FILE, (argv[0], *level))


def read_job(source: str) -> dict[str, Any]:
    """Return the job that `source` is, names, or brings on standard input. Raises RequestError in one line."""
    text, where = _content(source)
    try:
        job = json.loads(text)
    except json.JSONDecodeError as error:
        raise RequestError(
            "invalid_request", f"not JSON: {error.msg}, line {error.lineno}, column {error.colno}", where
        ) from None
    except UnicodeDecodeError:
        raise RequestError("invalid_request", "not JSON: JSON is UTF-8; save the file in it", where) from None
    except (ValueError, RecursionError):  # whole numbers of thousands of digits; brackets in thousands
        raise RequestError("invalid_request", "numbers too long or brackets too deep to read", where) from None
    if not isinstance(job, dict):
        raise RequestError("invalid_request", f"a job is an object, not {kind_of(job)}: {_JOB_SHAPE}", where)
    if job.get("input") is None:
        ours = [field for field in job if field in _REQUEST_FIELDS]
        found = f"; put `{ours[0]}` and the rest inside of it" if ours else ""
        raise RequestError("missing_field", f'a job has an "input"{found}: {_JOB_SHAPE}', where)
    return job


def in_words(answer: Any, source: str) -> str:
    """Return the answer in a line for people, and what to try next; empty where there is nothing to tell."""
    told = _told(answer)
    if not told:
        return ""
    if source == TEST_INPUT_FILE:
        return f"{told}; next: put a text and labels of your own into {TEST_INPUT_FILE} and run this again"
    return f"{told}; next: python handler.py --rp_serve_api answers such jobs over HTTP"


def _parser(program: str) -> argparse.ArgumentParser:
    """The SDK's own options, and `--test_input` with a value that may be left out."""
    parser = argparse.ArgumentParser(
        prog=f"python {program}",
        usage=_USAGE,
        description="Answer one job and end; with --rp_serve_api, and on RunPod, serve jobs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--test_input",
        nargs="?",
        const=TEST_INPUT_FILE,
        metavar="JOB",
        help=f"a job: JSON, a file that holds it, or - for standard input; without a value, {TEST_INPUT_FILE}",
    )
    parser.add_argument("--rp_serve_api", action="store_true", help="serve the platform's calls on this machine")
    parser.add_argument("--rp_api_port", type=int, metavar="PORT", help="of that API; 8000 if not given")
    parser.add_argument("--rp_api_host", metavar="HOST", help="of that API; localhost if not given")
    parser.add_argument("--rp_api_concurrency", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--rp_debugger", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rp_log_level", metavar="LEVEL", help="of the SDK's own log: ERROR, WARN, INFO or DEBUG")
    return parser


def _content(source: str) -> tuple[str | bytes, str]:
    """What is to be JSON, and what to call the place it came from; bytes where JSON finds the encoding by itself."""
    if source == STANDARD_INPUT:
        return sys.stdin.buffer.read(), "standard input"
    try:
        exists = os.path.exists(source)
    except ValueError:  # a NUL in it
        exists = False
    if exists:
        try:
            return Path(source).read_bytes(), visible(source)
        except OSError as error:
            raise RequestError("invalid_request", f"cannot be read: {error.strerror}", visible(source)) from None
    text = source.strip("\ufeff \t\r\n")
    if source == TEST_INPUT_FILE:
        raise RequestError("invalid_request", "there is no such file in this folder", TEST_INPUT_FILE)
    if not text.startswith(("{", "[", '"')) and not _is_json(text):
        # Words are somebody's document; a single one is the name of a file.
        name = visible(source) if source and not any(map(str.isspace, source)) else "--test_input"
        raise RequestError("invalid_request", f"neither JSON nor a file that is there; a job is {_JOB_SHAPE}", name)
    return text, "--test_input"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _told(answer: Any) -> str:
    """What was answered: one document in full, several by their count."""
    if isinstance(answer, dict) and "sequence" in answer:
        answer = [answer]
    results = answer.get("results") if isinstance(answer, dict) else answer
    if not isinstance(results, list) or not results:
        return ""
    refused = sum("error" in result for result in results)
    if len(results) > 1:
        return f"{len(results) - refused} of {len(results)} documents answered"
    (result,) = results
    if refused:
        return f"the document was refused, {result['error']['code']}"
    if "sequence" in result:
        return _label(result["labels"][0], result["scores"][0])
    answers = result["answers"]
    named = [(f"{task}: " if len(answers) > 1 else "", answer) for task, answer in answers.items()]
    return "; ".join(f"{name}{_label(answer['label'], answer['score'])}" for name, answer in named)


def _label(label: str | None, score: float) -> str:
    return f"no label, best score {score:.4f}" if label is None else f"{label}, {score:.4f}"
