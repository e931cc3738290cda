"""The body of a take → jobs that can be run, and those that cannot, each on its own account.

The common case is one call of the JSON parser. Where that fails, one job of the batch is to blame (an integer of 5,000
digits, 100,000 brackets, a byte that is not UTF-8) and its neighbours are not: the text is cut into the elements of its
outermost list by strings and brackets alone, without recursion, and each element is parsed by itself. The same cutting
finds the id of an element that cannot be parsed, so that its caller can be told.

An id is where the answer goes, quoted in an address. What can be one there is answered: a number as its string, white
space of any kind in it. Control characters are not run, since they would break lines and headers on the way, but their
caller is told. A list, an object, nothing, or dots alone (which an address resolves away) have no address: said in the
log.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_ID_CHARS = 256  # of a job that is run; the platform's are about 40
MAX_ANSWERED_CHARS = 2000  # of one that can be told so: an address has room for no more
# A string, or one of the characters that give JSON its shape. A string that never ends takes the rest of the text:
# trying again at each quote inside it would take quadratic time.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)
_CLOSES = {"[": "]", "{": "}"}
# Control characters, separators of lines and of paragraphs: a line in a log may end at them.
_UNSEEN = frozenset({"Cc", "Zl", "Zp"})
_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?")
# What arrived as bytes that are not UTF-8, after decoding with surrogateescape.
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Refused:
    """A taken job that cannot be run: what to tell its caller, where it says who that is."""

    id: str | None
    error: str


def read_jobs(body: bytes) -> tuple[list[dict[str, Any]], list[Refused]]:
    """Jobs of a take's body, single or batch; never raises, whatever the body is."""
    text = body.decode("utf-8", "surrogateescape")
    if not text.strip():
        return [], []
    try:
        if _NOT_UTF8.search(text):
            raise ValueError("not UTF-8")
        value = json.loads(text)
    except (ValueError, RecursionError):
        outcomes = [_read_element(element) for element in elements(text)]
    else:
        batch = value if isinstance(value, list) else [] if value is None else [value]
        outcomes = [_check(element) for element in batch]
    # `null` and an empty list are "no job" in other words.
    return [job for job in outcomes if isinstance(job, dict)], [job for job in outcomes if isinstance(job, Refused)]


def _read_element(text: str) -> dict[str, Any] | Refused:
    if _NOT_UTF8.search(text):
        return Refused(find_id(text), "invalid_encoding: the job is not UTF-8")
    try:
        return _check(json.loads(text))
    except RecursionError:
        return Refused(find_id(text), "invalid_json: the job is nested too deep")
    except ValueError:
        return Refused(find_id(text), "invalid_json: the job is not JSON that can be read")


def _check(job: Any) -> dict[str, Any] | Refused:
    if not isinstance(job, dict):
        return Refused(None, f"a taken job is a {type(job).__name__}")
    if "id" not in job:
        return Refused(None, "a taken job has no id")
    job_id = answerable_id(job["id"])
    if job_id is None:
        return Refused(None, f"a taken job has an id that no answer can name: {_kind(job['id'])}")
    if (reason := _unfit(job_id)) is not None:
        return Refused(job_id, f"invalid_id: the job's id {reason} (id)")
    if "input" not in job:
        return Refused(job_id, "missing_field: the job has no input (input)")
    # The SDK makes every other key an attribute of an object of its own: `self` and dunder names break that.
    fit = {key: value for key, value in job.items() if key.isidentifier() and key != "self" and key[0] != "_"}
    return {**fit, "id": job_id}


def answerable_id(job_id: object) -> str | None:
    """The id as it stands, quoted, in the address of its answer; None where there is no such address."""
    if isinstance(job_id, int | float) and not isinstance(job_id, bool):
        # Python writes no integer beyond 4,300 digits, nor reads one.
        job_id = json.dumps(job_id)
    if not isinstance(job_id, str) or not 0 < len(job_id) <= MAX_ANSWERED_CHARS or not job_id.strip("."):
        return None
    try:
        job_id.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return job_id


def _unfit(job_id: str) -> str | None:
    """Why a job with an answerable id is not run all the same; None where it is."""
    if len(job_id) > MAX_ID_CHARS:
        return f"has more than {MAX_ID_CHARS} characters"
    if any(unicodedata.category(char) in _UNSEEN for char in job_id):
        return "has control characters"
    return None


def _kind(job_id: object) -> str:
    """What an id is that cannot be used, without its words."""
    if not isinstance(job_id, str):
        kinds: dict[type, str] = {list: "a list", dict: "an object", bool: "true or false", type(None): "null"}
        return kinds.get(type(job_id), "a number of too many digits")
    if not job_id:
        return "empty"
    if len(job_id) > MAX_ANSWERED_CHARS:
        return f"{len(job_id)} characters"
    return "dots alone" if not job_id.strip(".") else "no Unicode text"


def elements(text: str) -> Iterator[str]:
    """The texts of the elements of the outermost list; the whole text where there is none. Any depth, linear time."""
    text = text.strip()
    if not text.startswith("["):
        yield text
        return
    open_shapes, began = list[str](), 1
    for token in _TOKEN.finditer(text):
        shape = token.group()
        if shape in _CLOSES:
            open_shapes.append(shape)
        elif shape in ("]", "}"):
            if _CLOSES[open_shapes[-1]] == shape:  # one that closes nothing spoils its own element alone
                open_shapes.pop()
            if not open_shapes:
                if text[began : token.start()].strip():
                    yield text[began : token.start()]
                return
        elif shape == "," and len(open_shapes) == 1:
            yield text[began : token.start()]
            began = token.end()
    yield text[began:]  # the list was cut off


def find_id(text: str) -> str | None:
    """The `id` of an object that cannot be parsed, where one can still be made out."""
    depth, key, after_colon, colon_end = 0, "", False, 0
    for token in _TOKEN.finditer(text):
        shape = token.group()
        if depth == 1 and after_colon and key == '"id"' and shape in (",", "}"):
            number = text[colon_end : token.start()].strip()
            return number if _NUMBER.fullmatch(number) else None
        if shape in ("[", "{"):
            depth += 1
        elif shape in ("]", "}"):
            depth -= 1
        elif depth != 1:
            continue
        elif shape == ":":
            after_colon, colon_end = True, token.end()
        elif shape == ",":
            after_colon = False
        elif not after_colon:
            key = shape
        elif key == '"id"':
            try:
                job_id = json.loads(shape)
            except ValueError:
                return None
            return answerable_id(job_id)
    return None
