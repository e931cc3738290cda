"""Pages of packets: where two pages join, and whether the second begins another document.

What is asked is what the product asks (`pinpoint.pipeline.packets`): the end of one page and the beginning of the next.
Half of the joints lie inside a document. Of the others, half join two documents of one kind, and many of those come
from one sender, so that neither a change of kind nor one of style tells.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from textwrap import wrap

from pinpoint.pipeline.packets import BOUNDARY, joints
from training import documents
from training.choices import Choice, Example
from training.documents.case import Case
from training.documents.noise import add_noise, add_noise_alike
from training.documents.vocabulary import SYLLABLE_ENDS, SYLLABLE_STARTS
from training.topics import TOPICS, item

BEGINS, GOES_ON = 0, 1  # places of BOUNDARY's labels
MOST_PAGES = 6
_STRANGE = 0.18  # of the documents: tables and prose in no language, and news, so that not only known kinds go on
_USUAL = ("receipt", "invoice", "email", "letter", "scientific article")  # what packets are of more often than not
_USUAL_SHARE = 0.25
_AT_A_HEAD = 0.15  # of the documents: their pages begin where a part of them begins
_NUMBERS = (
    "Page {} of {}", "page {} of {}", "{} / {}", "{}/{}", "Page: {} of {}", "Page {}", "- {} -", "{}", "p. {}", "Pg {}",
    "Page {}/{}", "Sheet {} of {}", "Seite {} von {}", "{} of {}",
)  # fmt: skip
_GOING_ON = ("continued", "(continued)", "continued from previous page", "brought forward", "cont'd", "Balance b/f")
_TO_GO_ON = (
    "continued on next page",
    "carried forward",
    "continued overleaf",
    "please turn over",
    "Balance c/f",
    "./.",
)


def boundary_choice(rng: random.Random, count: int) -> Choice:
    """The question of the product and `count` joints of one packet or several."""
    examples = list[Example]()
    while len(examples) < count:
        examples += packet_joints(rng)
    rng.shuffle(examples)
    return Choice(BOUNDARY, tuple(examples[:count]))


def packet_joints(rng: random.Random) -> list[Example]:
    """A joint between two documents and, as often, one within either of them."""
    kind = _kind(rng)
    alike = rng.random() < 0.5
    case = Case(rng)
    first = paged(rng, kind, case)
    other = kind if alike else _kind(rng)
    second = paged(rng, other, case.sibling() if rng.random() < (0.5 if alike else 0.1) else Case(rng))
    found = [Example(text, BEGINS) for text in within((first[-1], second[0]))]
    inner = [*within(first), *within(second)]
    chosen = rng.sample(inner, min(len(inner), rng.choice((1, 1, 2))))
    return [*found, *(Example(text, GOES_ON) for text in chosen)]


def _kind(rng: random.Random) -> documents.Kind:
    if rng.random() < _USUAL_SHARE:
        usual = rng.choice(_USUAL)
        return next(kind for kind in documents.KINDS if kind.key == usual)
    return rng.choice(documents.KINDS)


def within(pages: Sequence[str]) -> list[str]:
    """What is asked about each two neighbours of the pages."""
    return [text for _, text in joints(pages)]


def paged(rng: random.Random, kind: documents.Kind, case: Case) -> list[str]:
    """One document on one to six pages, damaged as extraction damages it."""
    if rng.random() < _STRANGE:
        text = rng.choice((_prose, _table, _article))(rng)
    else:
        text = documents.write(kind, case, rounds=rng.choice((1, 1, 1, 2, 3, 4)))
    if rng.random() < 0.4:
        return _dealt(rng, add_noise(text, rng), least=rng.choice((2, 5, 5)))
    if rng.random() < 0.6:
        width = rng.randint(45, 110)
        text = "\n".join(part for line in text.split("\n") for part in (wrap(line, width) or [""]))
    pages = _dealt(rng, text, least=rng.choice((3, 6, 10, 18)))
    return add_noise_alike(_furnished(rng, pages, case), rng)


def _dealt(rng: random.Random, text: str, least: int) -> list[str]:
    """The lines on as many pages as they fill, of `least` lines at least."""
    lines = text.split("\n")
    count = rng.randint(1, max(1, min(MOST_PAGES, len(lines) // least)))
    size = -(-len(lines) // count)
    starts = list(range(0, len(lines), size))
    if rng.random() < _AT_A_HEAD:
        starts = sorted({0, *(_head_near(lines, start, size // 2) for start in starts[1:])})
    pages = ["\n".join(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return [page for page in pages if page.strip()] or [text]


def _head_near(lines: list[str], start: int, reach: int) -> int:
    """The line nearest to `start` that looks like the head of a part: short, behind an empty or a much longer one."""
    for away in sorted(range(-reach, reach + 1), key=abs):
        at = start + away
        if not 0 < at < len(lines):
            continue
        before, head = lines[at - 1].strip(), lines[at].strip()
        if 0 < len(head) < 45 and (not before or (not head[0].islower() and len(before) > len(head) + 15)):
            return at
    return start


def _furnished(rng: random.Random, pages: list[str], case: Case) -> list[str]:
    """What a program prints on each page: its number, a running head or foot, that it goes on."""
    draw = rng.random
    numbered = rng.choice(_NUMBERS) if draw() < 0.45 and (len(pages) > 1 or draw() < 0.5) else ""
    on_top = draw() < 0.4
    head = _running(rng, pages[0], case) if draw() < 0.3 else ""
    foot = _running(rng, pages[0], case) if draw() < 0.25 else ""
    going_on, to_go_on = (rng.choice(_GOING_ON), rng.choice(_TO_GO_ON)) if draw() < 0.08 else ("", "")
    table_head = next((line for line in pages[0].split("\n") if line.count("  ") + line.count("|") > 2), "")
    repeated = table_head if draw() < 0.3 else ""
    offset = rng.randint(1, 40) if draw() < 0.06 else 1  # numbered with what stood before it
    made = list[str]()
    for at, page in enumerate(pages):
        number = numbered.format(at + offset, len(pages) + offset - 1)
        later = at > 0
        parts = [
            number if on_top else "", head if later or draw() < 0.7 else "", going_on if later else "",
            repeated if later else "", page, to_go_on if at + 1 < len(pages) else "", foot, "" if on_top else number,
        ]  # fmt: skip
        made.append("\n".join(part for part in parts if part))
    if draw() < 0.05:  # as transcripts have it
        mark = rng.choice(("{} | {}", "{} {}", "{}. {}"))
        made = ["\n".join(mark.format(n, line) for n, line in enumerate(page.split("\n"), 1)) for page in made]
    return made


def _running(rng: random.Random, first_page: str, case: Case) -> str:
    lines: Sequence[str] = [line for line in first_page.split("\n") if line.strip()]
    return rng.choice((
        lines[0][:60] if lines else "", case.slot("seller"), case.slot("docid"),
        f"{case.slot('seller')} {case.slot('docid')}", f"{lines[0][:40]} - {case.slot('docid')}" if lines else "",
        f"{case.slot('seller')} | {case.slot('date')}", f"{case.slot('seller')}, {case.slot('phone')}", "Confidential",
        case.fill("{seller}, registered [in {town}|no. {id}], VAT {vatid}"), case.fill("www.{coined}.com | {phone}"),
    ))  # fmt: skip


def _words(rng: random.Random, count: int) -> list[str]:
    return [rng.choice(SYLLABLE_STARTS) + rng.choice(("", rng.choice(SYLLABLE_ENDS))) for _ in range(count)]


def _prose(rng: random.Random) -> str:
    """Paragraphs of words that there are not, with a title more often than not."""
    words = _words(rng, 60)
    paragraphs = list[str]()
    for _ in range(rng.randint(2, 9)):
        sentences = [" ".join(rng.choices(words, k=rng.randint(4, 14))) for _ in range(rng.randint(1, 7))]
        paragraphs.append(" ".join(sentence.capitalize() + "." for sentence in sentences))
    if rng.random() < 0.6:
        paragraphs.insert(0, " ".join(rng.choices(words, k=3)).title())
    for _ in range(rng.choice((0, 0, 0, 1, 2))):  # what stands between paragraphs, or on the last page
        what = rng.choice(("Table", "Figure", "Table", "Appendix", "Annex", "Chapter", "Section"))
        head = f"{what} {rng.randint(1, 9)}{rng.choice((':', '.', ''))} {' '.join(rng.choices(words, k=3)).title()}"
        body = _rows(rng, words, rng.randint(2, 5), rng.randint(2, 8)) if what == "Table" else []
        paragraphs.insert(rng.randint(1, len(paragraphs)), "\n".join([head, *body]))
    width = rng.choice((38, 50, 60, 75, 90, 100))
    parts = (line for paragraph in paragraphs for line in paragraph.split("\n"))
    return "\n".join(part for line in parts for part in wrap(line, width))


def _rows(rng: random.Random, words: Sequence[str], columns: int, count: int) -> list[str]:
    joint = rng.choice((" | ", "  ", " "))
    return [
        joint.join((rng.choice(words), *(f"{rng.randint(0, 9999):,}" for _ in range(columns)))) for _ in range(count)
    ]


def _table(rng: random.Random) -> str:
    """A title, a head and rows of names and numbers."""
    words, joint, columns = _words(rng, 40), rng.choice((" | ", "  ", " ")), rng.randint(2, 9)
    most = 10 ** rng.randint(2, 6)
    head = joint.join(rng.choices(words, k=columns + 1))
    rows = [
        joint.join(
            [" ".join(rng.choices(words, k=rng.randint(1, 3))), *(f"{rng.randint(0, most):,}" for _ in range(columns))]
        )
        for _ in range(rng.randint(6, 60))
    ]
    title = " ".join(rng.choices(words, k=rng.randint(2, 5))).title()
    under = rng.choice(
        ("", f"{rng.choice(words)} - {rng.randint(1990, 2025)}", f"{rng.randint(1, 12)}/{rng.randint(1990, 2025)}")
    )
    return "\n".join(line for line in (title, under, head, *rows) if line)


def _article(rng: random.Random) -> str:
    """News on one topic, longer than an item."""
    topic = (rng.choice(list(TOPICS.values())),)
    text = "\n".join(item(rng, topic) for _ in range(rng.randint(2, 9)))
    return "\n".join(part for paragraph in text.split("\n") for part in wrap(paragraph, rng.randint(50, 110)))
