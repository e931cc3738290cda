"""What text extraction does to a document: lost case, punctuation and line breaks, glued columns, slips of recognition.

Each damage is drawn on its own, so that they come in all combinations; three documents in ten stay as they were \
  written.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from .grammar import phrases
from .scanned import recognised

Damage: TypeAlias = Callable[[str, random.Random], str]

_SCANNED, _SCANNED_PAGES = 0.14, 0.25  # read by OCR, and nothing else
_CLEAN = 0.3
_LOST_SIGNS = str.maketrans(dict.fromkeys("$£€¥₹"))
_LOST_MARKS = str.maketrans(dict.fromkeys(":;,()[]\"'•*#|=_"))
_ALL_MARKS = str.maketrans(dict.fromkeys(":;,.()[]\"'•*#|=_/-–$£€¥%&@!?+★☆<>\\", " "))
_SOME_MARKS = ".,:;-/|#()"
_DECIMALS = re.compile(r"(?<=\d)[.,](?=\d)")
_COLUMN_GAP = re.compile(r"(?<=[A-Za-z]) (?=[A-Za-z])")
_LINES = re.compile(r"\n+")
_LONG_WORD = re.compile(r"\w{7,}")
_SLIPS = tuple(
    (slip[0], slip[1])
    for slip in map(
        str.split,
        phrases("""
        l 1; 1 l; o 0; 0 O; O 0; rn m; m rn; i l; I l; S 5; 5 S; e c; B 8; 8 B; cl d; d cl; h b; t f; u ii
        g q
        """),
    )
)
_STRAYS = ("~", "|", "^", "`", "\u00a0", "\ufffd", "\x0c", "·", "_", "«", "¬", "''", ". .", "]", "'", "*")
_FURNITURE = phrases("""
page {a}; page {a} of {b}; Page {a} of {b}; Page: {a}; - {a} -; {a}/{b}; {a}; confidential; CONFIDENTIAL; copy
printed on {d}.{m}.20{y}; --- ---; ______________; = = = = =; * * *; continued; continued overleaf; ORIGINAL
DUPLICATE; scan_{a}{b}{y}.pdf; internal use only; draft; document {a}{b}{y}{d}; p. {a}; Seite {a} von {b}
printed by {y}{m}; registered office; all rights reserved; www; fax {y}{d}{m}{a}; tel; 20{y}; void if altered
[logo]
""")


def _furniture(rng: random.Random) -> str:
    total = rng.randint(1, 9)
    text = rng.choice(_FURNITURE)
    return text.format(
        a=rng.randint(1, total), b=total, d=rng.randint(1, 28), m=rng.randint(1, 12), y=rng.randint(10, 99)
    )


def add_furniture(text: str, rng: random.Random) -> str:
    """Page numbers, stamps, rulers and repeated headers."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 2)):
        place = rng.random()
        if place < 0.5:
            lines.append(_furniture(rng))
        elif place < 0.7:
            lines.insert(0, _furniture(rng))
        else:
            lines.insert(rng.randint(0, len(lines)), _furniture(rng))
    if len(lines) > 8 and rng.random() < 0.2:
        lines.insert(rng.randint(4, len(lines)), lines[0])
    return "\n".join(lines)


def shuffle_blocks(text: str, rng: random.Random) -> str:
    """Blocks or columns in the order of extraction instead of the order of reading."""
    blocks = text.split("\n\n")
    if len(blocks) > 2:
        first = rng.randrange(len(blocks))
        blocks.insert(rng.randrange(len(blocks)), blocks.pop(first))
        return "\n\n".join(blocks)
    lines = text.split("\n")
    if len(lines) < 4:
        return text
    if rng.random() < 0.5:
        return "\n".join(lines[::2] + lines[1::2])
    start = rng.randrange(len(lines) - 2)
    end = min(len(lines), start + rng.randint(2, 6))
    moved = lines[start:end]
    del lines[start:end]
    at = rng.randint(0, len(lines))
    return "\n".join(lines[:at] + moved + lines[at:])


def split_columns(text: str, rng: random.Random) -> str:
    """Lines cut in the middle, left halves first, as when a page is read in two columns."""
    lines = text.split("\n")
    left, right = [], []
    for line in lines:
        parts = line.split(" ")
        middle = (len(parts) + 1) // 2 if len(parts) > 3 and rng.random() < 0.7 else len(parts)
        left.append(" ".join(parts[:middle]))
        right.append(" ".join(parts[middle:]))
    return "\n".join(left + [part for part in right if part])


def hyphenate(text: str, rng: random.Random) -> str:
    """Narrow lines with words broken at their ends."""
    width = rng.randint(35, 80)
    out: list[str] = []
    for line in text.split("\n"):
        while len(line) > width:
            cut = line.rfind(" ", 0, width)
            if cut <= 0:
                break
            word = _LONG_WORD.match(line, cut + 1)
            if word is not None and rng.random() < 0.5:
                at = cut + 1 + rng.randint(3, word.end() - word.start() - 3)
                out.append(line[:at] + "-")
                line = line[at:]
            else:
                out.append(line[:cut])
                line = line[cut + 1 :]
        out.append(line)
    return "\n".join(out)


def lose_punctuation(text: str, rng: random.Random) -> str:
    """Currency signs, decimal points, colons and other marks gone, some or all."""
    how = rng.random()
    if how < 0.4:
        return text.translate(_ALL_MARKS)
    if how < 0.65:
        text = text.translate(_LOST_MARKS)
    if how < 0.8:
        text = _DECIMALS.sub(rng.choice((" ", " ", "", ".")), text)
    if how > 0.5:
        text = text.translate(_LOST_SIGNS)
    if how > 0.75:
        text = text.replace(rng.choice(_SOME_MARKS), rng.choice(("", " ")))
    return text


def glue(text: str, rng: random.Random) -> str:
    """Words run together, a few of them or most."""
    share = rng.choice((0.02, 0.03, 0.05, 0.1, 0.3))
    if rng.random() < 0.3:
        text = re.sub(r" ?[:|\t] ?", "", text)
    draw = rng.random
    return _COLUMN_GAP.sub(lambda gap: "" if draw() < share else " ", text)


def slip(text: str, rng: random.Random) -> str:
    """Characters taken for others that look alike."""
    count = max(1, int(len(text) * rng.choice((0.002, 0.005, 0.01, 0.02))))
    for _ in range(count):
        wrong, right = rng.choice(_SLIPS)
        at = text.find(wrong, rng.randrange(len(text)))
        if at >= 0:
            text = text[:at] + right + text[at + len(wrong) :]
    return text


def stray(text: str, rng: random.Random) -> str:
    """Characters that do not belong to the text."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice((" ", "")) + rng.choice(_STRAYS) + text[at:]
    return text


def drop_accents(text: str, rng: random.Random) -> str:
    """Letters without their accents, or with the whole letter lost."""
    if text.isascii():
        return text
    if rng.random() < 0.25:
        return text.encode("ascii", rng.choice(("ignore", "replace"))).decode("ascii")
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def truncate(text: str, rng: random.Random) -> str:
    """The end missing, or a few words of the beginning."""
    if rng.random() < 0.3:
        lost = rng.randint(1, 5)
        parts = text.split(" ", lost)
        return parts[-1] if len(text) > 150 else text
    keep = int(len(text) * rng.uniform(0.5, 0.97))
    return text[:keep] if keep > 130 else text


def collapse(text: str, rng: random.Random) -> str:
    """All line breaks turned into spaces."""
    return _LINES.sub(rng.choice((" ", " ", "  ", "   ")), text)


def widen(text: str, rng: random.Random) -> str:
    """Double spaces between some words."""
    share = rng.choice((0.05, 0.2, 1.0))
    draw = rng.random
    return re.sub(" ", lambda _: "  " if draw() < share else " ", text)


def squeeze(text: str, rng: random.Random) -> str:
    """All white space reduced to single spaces or single line breaks."""
    if rng.random() < 0.6:
        return " ".join(text.split())
    return "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())


_STEPS: tuple[tuple[float, Damage], ...] = (
    (0.10, shuffle_blocks),
    (0.05, split_columns),
    (0.28, add_furniture),
    (0.08, hyphenate),
    (0.10, truncate),
    (0.15, glue),
    (0.50, lose_punctuation),
    (0.20, drop_accents),
    (0.12, slip),
    (0.10, stray),
    (0.45, collapse),
    (0.15, widen),
    (0.25, squeeze),
    (0.43, lambda text, rng: text.lower()),
    (0.06, lambda text, rng: text.upper()),
)


def add_noise(text: str, rng: random.Random) -> str:
    """The text as extraction might deliver it."""
    if rng.random() < _SCANNED:
        return recognised(text, rng) or text
    if rng.random() < _CLEAN:
        return text
    return damaged(text, _drawn(rng), rng)


def add_noise_alike(pages: Sequence[str], rng: random.Random) -> list[str]:
    """The pages of one document, all with the same damage, which neither shortens them nor numbers them anew."""
    if rng.random() < _SCANNED_PAGES:
        return [recognised(page, rng) or page for page in pages]
    if rng.random() < _CLEAN:
        return list(pages)
    steps = [step for step in _drawn(rng) if step not in (truncate, add_furniture, shuffle_blocks)]
    return [damaged(page, steps, rng) for page in pages]


def damaged(text: str, steps: Iterable[Damage], rng: random.Random) -> str:
    """The text after all of the steps; as it was where nothing would be left."""
    after = text
    for step in steps:
        after = step(after, rng)
    return after.strip() or text


def _drawn(rng: random.Random) -> list[Damage]:
    return [step for probability, step in _STEPS if rng.random() < probability]
