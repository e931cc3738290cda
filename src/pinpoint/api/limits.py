"""What a request may hold at most, checked on the raw JSON value before anything else looks at it.

Characters are counted as compatibility forms and case folding spell them out: behind these limits, some cost 18 times
what they look like.

`check_bounds` walks the value with a stack of its own, so no depth can exhaust Python's, and stops at the first thing
over a limit. All code behind it may assume a shallow value of bounded size, string keys and finite, ordinary numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pinpoint.documents.text import WHOLE_CHARACTERS, expanded_chars, has_surrogate
from pinpoint.errors import RequestError

ROOT = "input"  # how a field path calls the request itself
MAX_KEY_CHARS = 64  # of a caller's key shown in a field path

_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a decimal number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one request may hold."""

    max_depth: int = 16  # the deepest contract form (tasks, labels, examples) has 6 levels; children add 2 each
    max_values: int = 100_000  # values anywhere in a request: walked in 60 ms; 1,000 documents of 90 pages each
    max_fields: int = 1_100  # in one object: a prior has one per label, everything else has fewer
    max_text_chars: int = 4_000_000  # of all strings together: about 1 million tokens, and four words of 1 MB
    max_file_chars: int = 28_000_000  # of all `base64` together: 20 MB of files, what the platform takes in a request
    max_documents: int = 1_000  # per job: results stay under the platform's 10 MB at 100 labels each
    max_pages: int = 10_000  # per document: a longer one is many documents
    max_tasks: int = 64  # each is asked of each document
    max_labels: int = 1_000  # per task: at 8 tokens each they fill a quarter of a 32k context
    max_tree_levels: int = 5  # of labels in labels: as deep as a request may be
    max_examples: int = 10  # of a label
    max_example_chars: int = 1_000  # of one: what shows the kind, not the document
    max_examples_chars: int = 8_000  # in one question: about 2,000 tokens; others are left out, and a warning says so
    max_label_chars: int = 200  # a label is a name; what it means belongs into its description
    max_description_chars: int = 2_000  # a paragraph
    max_instructions_chars: int = 8_000  # about 2,000 tokens, which every document of the job pays for
    max_id_chars: int = 200  # ids are echoed in every answer
    max_echo_bytes: int = 8_000_000  # the zero-shot shape repeats each text, and the platform drops answers over 10 MB


def kind_of(value: object) -> str:
    """Name the JSON kind of a value for an error message."""
    return _KINDS.get(type(value), "something that JSON does not have")


def visible(key: object) -> str:
    """Return a caller's key fit for an error message: at most 64 characters, unprintable ones escaped."""
    if not isinstance(key, str):
        return f"<{kind_of(key)}>"
    if len(key) <= MAX_KEY_CHARS and key.isprintable():
        return key  # as nearly all are, and every label is told by such a path
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in key[:MAX_KEY_CHARS]
    )
    return shown[:MAX_KEY_CHARS] + ("…" if len(key) > MAX_KEY_CHARS or len(shown) > MAX_KEY_CHARS else "")


def join(parent: str, *steps: object) -> str:
    """Extend a field path: ``join("documents", 1, "text")`` is ``documents[1].text``; "" stands for the root."""
    return below("" if parent == ROOT else parent, *steps)


def below(path: str, *steps: object) -> str:
    """Extend a field path that may begin with a field of the root's name."""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{visible(step)}" if path else visible(step)
    return path or ROOT


def check_bounds(raw: object, limits: Limits, root: str = ROOT) -> None:
    """Raise RequestError for the first value that is too deep, too many, too long, not finite or not JSON.

    `root` is what `raw` is called in a field path.
    """
    _Bounds(limits, root).walk(raw)


class _Bounds:
    """One walk, in document order; a class so that the two budgets and the path have a place."""

    def __init__(self, limits: Limits, root: str) -> None:
        self.limits = limits
        self.root = root
        self.values = 0
        self.chars = 0
        self.file_chars = 0
        self.path: list[object] = []

    def walk(self, raw: object) -> None:
        self._enter(raw)
        open_items = [_items(raw)]
        self.path = [None]
        while open_items:
            for step, value in open_items[-1]:
                self.path[-1] = step
                if isinstance(value, (dict, list)):
                    self._enter(value)
                    open_items.append(_items(value))
                    self.path.append(None)
                    break
                self._leaf(value)
            else:
                open_items.pop()
                self.path.pop()

    def _enter(self, value: object) -> None:
        """Look at the size of a container before its content: a million keys cost nothing."""
        if not isinstance(value, (dict, list)):
            return self._leaf(value)
        if len(self.path) >= self.limits.max_depth:
            del self.path[1:]  # the name of the field is enough, and all the way down is too much
            raise self._refuse("too_large", f"nested too deep, at most {self.limits.max_depth} levels")
        self.values += len(value)
        if self.values > self.limits.max_values:
            raise self._refuse("too_large", f"too many values, at most {self.limits.max_values} in a request")
        if isinstance(value, dict):
            if len(value) > self.limits.max_fields:
                raise self._refuse("too_large", f"too many fields, at most {self.limits.max_fields} in an object")
            for key in value:
                if not isinstance(key, str):
                    raise self._refuse("invalid_request", f"the keys of an object are strings, not {kind_of(key)}")
                if has_surrogate(key):
                    raise self._refuse("invalid_unicode", WHOLE_CHARACTERS, key)
                self._spend(key)

    def _leaf(self, value: object) -> None:
        if isinstance(value, str):
            # Where it is no document's, it is an unknown field, which is refused next.
            self._spend_file(value) if self.path[-1:] == ["base64"] else self._spend(value)
        elif isinstance(value, float) and not math.isfinite(value):
            raise self._refuse("out_of_range", "NaN and Infinity are not numbers of JSON; send a finite number")
        elif isinstance(value, int) and value.bit_length() > 63:
            raise self._refuse("out_of_range", "integers have at most 63 bits")
        elif type(value) not in _KINDS:
            raise self._refuse("invalid_request", "not a value of JSON")

    def _spend(self, text: str) -> None:
        # A text that is too long as it came is not looked at any further.
        left = self.limits.max_text_chars - self.chars
        self.chars += len(text) if len(text) > left else expanded_chars(text, left)
        if self.chars > self.limits.max_text_chars:
            raise self._refuse(
                "too_large",
                f"more than {self.limits.max_text_chars} characters, spelled out (NFKC), in one request; send several "
                "requests",
            )

    def _spend_file(self, encoded: str) -> None:
        self.file_chars += len(encoded)
        if self.file_chars > self.limits.max_file_chars:
            raise self._refuse(
                "too_large",
                f"more than {self.limits.max_file_chars} characters of base64 in one request; send several requests, "
                "or `url`",
            )

    def _refuse(self, code: str, message: str, *more: object) -> RequestError:
        return RequestError(code, message, join(self.root, *self.path, *more))


def _items(container: object) -> Iterator[tuple[object, object]]:
    if isinstance(container, dict):
        return iter(container.items())
    return enumerate(container) if isinstance(container, list) else iter(())
