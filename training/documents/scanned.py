"""What optical character recognition makes of a page, drawn after what RapidOCR makes of rendered ones.

It loses the spaces between cells and beside digits, marks that stand alone, rulers and empty lines; it takes letters
for others that look alike; and now and then a long line comes back as a few letters between gaps.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from .grammar import phrases

_CELLS = re.compile(r"\t| \| |  +")
_BESIDE_DIGITS = re.compile(r"(?<=[A-Za-z:.,)#]) (?=\d)|(?<=\d) (?=[A-Za-z\d$£€¥(])|(?<=[:,.;]) (?=\w)")
_GAP = re.compile(r"(?<=\w) (?=\w)")
_LETTERS = re.compile(r"[A-Za-z]{5,}")
_RULER = re.compile(r"[-=_*~.\s]{3,}")
_MARK = re.compile(r"[*•\-–o] ")
_TAKEN_FOR = tuple(
    (wrong, right)
    for wrong, right in map(
        str.split,
        phrases("""
    O 0; 0 O; o 0; l 1; 1 l; l I; I l; i l; i 1; I 1; rn m; m rn; S 5; 5 S; B 8; 8 B; 6 G; G 6; Z 2; 2 Z; cl d; vv w
    w vv; e c; c e; a o; t f; f t; h b; u ii; n ri; nn m; g q; y v; . ,; , .; : .; - _; ' ,; é e; ü u; ö o; ñ n; T I
    """),
    )
)
_FULL_WIDTH = str.maketrans("():,;!?", "（）：，；！？")
_STRAYS = phrases("~; ·; 一; 口; 、; ..; :; |; K; 1; O; ro; =; 00-m; <; /")


def recognised(text: str, rng: random.Random) -> str:
    """The text as OCR reads it from a page; its lines stay lines."""
    draw = rng.random
    quality = rng.choice((0.0, 0.2, 0.5, 1.0, 1.0, 2.0, 4.0))  # a clean print to a crumpled receipt
    barred = draw() < 0.35  # wide gaps come out as bars between cells
    joined = rng.choice((0.05, 0.2, 0.6))  # of the cells that stand close
    lost = rng.choice((0.0, 0.02, 0.1, 0.3))  # of the spaces beside digits and marks
    full_width = draw() < 0.08
    lines: list[str] = []
    width = rng.choice((32, 60, 80, 95, 110))  # of the paper, in letters
    printed = (part for line in text.replace("\x0c", "\n").split("\n") for part in _wrapped(line.strip(), width))
    for line in printed:
        if not line or (_RULER.fullmatch(line) and draw() < 0.9):
            continue
        if _MARK.match(line) and draw() < 0.3:
            line = line[2:]
        line = _CELLS.sub(lambda _: "" if draw() < joined else " | " if barred and draw() < 0.7 else " ", line)
        line = _BESIDE_DIGITS.sub(lambda _: "" if draw() < lost else " ", line)
        if draw() < 0.015 * quality:
            line = _GAP.sub("", line)
        elif draw() < 0.1 * quality:
            line = _GAP.sub(lambda _: "" if draw() < 0.25 else " ", line)
        if len(line) > 40 and draw() < 0.03:
            line = _in_gaps(line, rng)
        if draw() < 0.15 * quality:
            line = _slipped(line, rng)
        if draw() < 0.04 * quality and (word := _LETTERS.search(line)):
            cut = rng.randint(word.start() + 1, word.end() - 1)
            line = line[:cut] + " " + line[cut:]
        if draw() < 0.01 * quality:
            line += " " + rng.choice(_STRAYS)
        if len(line) > 25 and draw() < 0.02 and (cut := line.find(" ", rng.randrange(len(line) - 10))) > 0:
            lines.append(line[:cut])
            line = line[cut + 1 :]
        lines.append(line.translate(_FULL_WIDTH) if full_width else line)
        if len(lines) > 1 and draw() < 0.015 * quality:
            lines[-1], lines[-2] = lines[-2], lines[-1]
    return "\n".join(lines)


def _wrapped(line: str, width: int) -> Iterator[str]:
    while len(line) > width + 8 and (cut := line.rfind(" ", 0, width)) > 0:
        yield line[:cut]
        line = line[cut + 1 :]
    yield line


def _slipped(line: str, rng: random.Random) -> str:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        wrong, right = rng.choice(_TAKEN_FOR)
        at = line.find(wrong, rng.randrange(len(line) or 1))
        if at >= 0:
            line = line[:at] + right + line[at + len(wrong) :]
    return line


def _in_gaps(line: str, rng: random.Random) -> str:
    """A line of which some letters were seen, and the gaps between them."""
    share = rng.uniform(0.05, 0.5)
    kept = "".join(c if c == " " or rng.random() < share else rng.choice(" " * 2 + "t") for c in line)
    return re.sub("  +", " ", kept).strip() or line
