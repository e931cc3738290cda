"""The Dockerfile as a list of instructions, and the build context as .dockerignore leaves it.

Enough of the language for the Dockerfile beside it, and an error for what it does not know: a check that passes over an
instruction would be none.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

KNOWN = frozenset({"FROM", "ARG", "ENV", "RUN", "WORKDIR", "COPY", "EXPOSE", "ENTRYPOINT", "CMD", "USER"})


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, what follows it on one line, and the flags of COPY and RUN (`--mount=…`)."""

    word: str
    rest: str
    flags: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The arguments: a JSON list's, else split as a shell does."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile, in order.

    Raises:
        ValueError: an instruction that is not known here.
    """
    found = []
    lines = iter(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines:
        whole = line
        while whole.endswith("\\"):
            whole = whole[:-1] + next(lines)
        if not whole.strip():
            continue
        word, _, rest = whole.strip().partition(" ")
        if word not in KNOWN:
            raise ValueError(f"not known here: {word}")
        flags = []
        rest = rest.strip()
        while word in ("RUN", "COPY") and (flag := re.match(r"--[a-z]+=\S+\s+", rest)):
            flags.append(flag[0].strip())
            rest = rest[flag.end() :]
        found.append(Instruction(word, rest, tuple(flags)))
    return found


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$X`, `${X}`, `${X:-word}` and `${X:+word}`, the words of which may hold others."""
    form = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])((?:[^{}]|\$\{[^{}]*\})*))?\})")

    def one(match: re.Match[str]) -> str:
        value = values.get(match[1] or match[2], "")
        if match[3] == "-":
            return value or expand(match[4], values)
        if match[3] == "+":
            return expand(match[4], values) if value else ""
        return value

    return form.sub(one, text)


def pairs(rest: str, values: Mapping[str, str]) -> dict[str, str]:
    """What an ENV or ARG sets: name → value, in the quotes' and variables' meaning."""
    found = {}
    for word in shlex.split(rest):
        name, _, value = word.partition("=")
        found[name] = expand(value, values)
    return found


def context(root: Path, ignore: str) -> Iterator[Path]:
    """The files of a build context, relative to `root`, by name; the last pattern that fits decides."""
    rules = [line.strip() for line in ignore.splitlines() if line.strip() and not line.startswith("#")]
    fitting = [(not rule.startswith("!"), _pattern(rule.removeprefix("!"))) for rule in rules]
    for path in sorted(path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts):
        name = path.relative_to(root).as_posix()
        parents = [name, *(parent.as_posix() for parent in path.relative_to(root).parents)]
        left_out = False
        for out, pattern in fitting:
            if any(pattern.fullmatch(one) for one in parents):
                left_out = out
        if not left_out:
            yield path.relative_to(root)


def _pattern(rule: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", rule.strip("/"))
    return re.compile("".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))
