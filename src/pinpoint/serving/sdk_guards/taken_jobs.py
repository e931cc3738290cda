"""The body of a take → jobs that can be run, and those that cannot, each on its own account.

The common case is one call of the JSON parser. Where that fails, one job of the batch is to blame (an integer of 5,000
digits, 100,000 brackets, a byte that is not UTF-8) and its neighbours are not: the text is cut into the elements of its
outermost list by strings and brackets alone, without recursion, and each element is parsed by itself. The same cutting
finds the id of an element that cannot be parsed, so that its caller can be told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MAX_ID_CHARS = 256  # the platform's are about 40
# A string, or one of the characters that give JSON its shape. A string that never ends takes the rest of the text:
# trying again at each quote inside it would take quadratic time.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{},:]', re.DOTALL)
_CLOSES = {"[": "]", "{": "}"}
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
    try:
        if _NOT_UTF8.search(text):
            raise ValueError("not UTF-8")
        value = json.loads(text)
    except (ValueError, RecursionError):
        outcomes = [_read_element(element) for element in elements(text)]
    else:
        outcomes = [_check(element) for element in (value if isinstance(value, list) else [value])]
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
    job_id = job.get("id")
    if not usable_id(job_id):
        return Refused(None, "a taken job has no usable id")
    if "input" not in job:
        return Refused(job_id, "missing_field: the job has no input (input)")
    # The SDK makes every other key an attribute of an object of its own: `self` and dunder names break that.
    return {key: value for key, value in job.items() if key.isidentifier() and key != "self" and key[0] != "_"}


def usable_id(job_id: object) -> bool:
    """Whether an id can stand in a header and, quoted, in a URL: any printable text that is not only dots."""
    if not isinstance(job_id, str) or not 0 < len(job_id) <= MAX_ID_CHARS:
        return False
    return job_id.isprintable() and job_id.strip(".") != "" and job_id.strip() == job_id


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
    depth, key, after_colon = 0, "", False
    for token in _TOKEN.finditer(text):
        shape = token.group()
        if shape in ("[", "{"):
            depth += 1
        elif shape in ("]", "}"):
            depth -= 1
        elif depth != 1:
            continue
        elif shape == ":":
            after_colon = True
        elif shape == ",":
            after_colon = False
        elif not after_colon:
            key = shape
        elif key == '"id"':
            try:
                job_id = json.loads(shape)
            except ValueError:
                return None
            return job_id if usable_id(job_id) else None
    return None
