"""Predicates: a question or a statement in free words that is true of a text or is not.

"Is this document an invoice?", "The customer wants money back.", "Is this about sports or about business?": what the
product is asked as `yes_no`, `predicate` and `noul`. Half of them hold. Of those that do not, most are about something
that is easily taken for what the text is. Beside plain ones there are some of two kinds, some turned round, some about
a word that the text does or does not mention, and some that say what counts as yes and what as no.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from pinpoint.prompting.taxonomy import Label, Task
from training.choices import Concept

DESCRIBED_SHARE = 0.2
TURNED_SHARE = 0.07
EITHER_SHARE = 0.1
CRITERIA_SHARE = 0.25
MENTION_SHARE = 0.1

_WORD = re.compile(r"[^\W\d_]{5,14}|\d{3,6}")
_NO_ARTICLE = frozenset(
    ("correspondence", "electronic mail", "minutes", "news", "rx", "written correspondence", "p&l", "statistics")
)
_VOWEL = re.compile(r"(?:[aeiou]|nda\b|rx\b|hour|x-ray|sms|mot\b|atm\b)", re.IGNORECASE)
_LONG_U = re.compile(r"(?:uni|use|user|util|eu)", re.IGNORECASE)
_CLAUSE = re.compile(r"(?:an?|the|parties|people|companies) ", re.IGNORECASE)

_OF_DOCUMENTS = (
    *("Is this document {a}?",) * 6, *("Is this {a}?",) * 4, *("Is the document {a}?",) * 3, *("Is it {a}?",) * 2,
    "Is the text {a}?", "Is this file {a}?", "Is the attached file {a}?", "Does this look like {a}?", "is this {a}",
    "Does the document look like {a}?", "This document is {a}.", "This is {a}.", "The document is {a}.", "It is {a}",
    "the text is {a}", "{k}", "{k}?", "Document type: {k}", "Would you file this under {k}?", "Could this be {a}?",
    'Does it belong in the folder "{k}"?', "Have we received {a}?", "Am I looking at {a}?", "Is {a} what this is?",
    "Should this be treated as {a}?", "Is the kind of this document '{k}'?", "Is this document of the type {k}?",
    "Check whether this is {a}.", "Decide if the document is {a}.", "Say yes if this is {a}.",
    "Answer yes if the document is {a}, otherwise no.", "Would a clerk call this {a}?", "Is what follows {a}?",
    "Is the page part of {a}?", "Does the scan show {a}?", "Did somebody send us {a}?", "Is the following text {a}?",
    "Is the above {a}?", "Would you say that this is {a}?", "Is this one {a}, yes or no?", "Is that {a}?",
)  # fmt: skip
_OF_MESSAGES = (
    *("Is this message about {k}?",) * 4, *("Is this about {k}?",) * 3, "Is the customer writing about {k}?",
    "Is the customer's request about {k}?", "Does the message mean: {k}?", 'Does the writer mean "{k}"?', "{k}", "{k}?",
    "Intent: {k}", "Is the intent {k}?", "Is '{k}' what is wanted?", "Does the customer want this: {k}?",
    "Should this go to the team for {k}?", "The message is about {k}.", "This is about {k}.", "Is it about {k}?",
    "Does this message concern {k}?", "Would you tag this as {k}?", "Is {k} the reason for writing?",
    "Does the text talk about {k}?", "Is {k} the topic of this message?", "Does the person ask for this: {k}?",
    "Answer yes if the message is about {k}.", "Is the question about {k}?", "Can this be filed under {k}?",
)  # fmt: skip
_OF_TOPICS = (
    *("Is this about {k}?",) * 3, *("Is this article about {k}?",) * 3, *("Is this news item about {k}?",) * 2,
    "Is the text about {k}?", "Is the story about {k}?", "Does this story belong on the {k} page?", "{k}", "{k}?",
    "Would a paper print this under {k}?", "Topic: {k}", "This is about {k}.", "The article is about {k}.",
    "Is it about {k}?", "Is {k} the topic?", "Does the report deal with {k}?", "Is this a story for the {k} section?",
    "Is this a report on {k}?", "Is this news about {k}?", "Does the document concern {k}?", "Is it {k} news?",
    "Is this document about {k}?",
)  # fmt: skip
_WORDINGS = {"document": _OF_DOCUMENTS, "topic": _OF_TOPICS}
TURNED = {
    "document": (
        "Is this something other than {a}?", "This is not {a}.", "The document is not {a}.",
        "Is this anything but {a}?", "Is it false that this is {a}?", "It is no {k}",
        "Say no if this is {a}, otherwise yes.", "Is the document something else than {a}?",
    ),
    "": (
        "Is this about something other than {k}?", "This is not about {k}.", "The text has nothing to do with {k}.",
        "Is it about anything but {k}?", "Is it false that this is about {k}?", "Not {k}",
    ),
}  # fmt: skip
_EITHER = {
    "document": (
        "Is this {a} or {b}?", "Is this document {a} or {b}?", "This is either {a} or {b}.",
        "Is this one of these: {k}, {l}?", "Is it {a}, or is it {b}?", "Is the document {b} or {a}?", "{k} or {l}",
    ),
    "": (
        "Is this about {k} or {l}?", "Is it about {k}, or about {l}?", "This is about {k} or {l}.", "{k} or {l}",
        "Is this one of these: {k}, {l}?", "Does this concern {l} or {k}?",
    ),
}  # fmt: skip
_CLAUSES = (
    "Is this a document in which {d}?", "In this document {d}.", "Is it true of this document that {d}?", "{d}",
    "Does this describe the document: {d}?", "Is this right: {d}?", "Does it say that {d}?",
)  # fmt: skip
_VERBS = {
    "document": (
        "This document {d}.", "The document {d}", "Is it true that this document {d}?", "It {d}.", "The text {d}.",
        "Is this a document that {d}?", "Is this a text that {d}?", "Does this describe the document: {d}?", "{d}",
    ),
    "": (
        "The customer {d}.", "The writer {d}", "Is it true that the writer {d}?", "Is this somebody who {d}?",
        "Would you say that the customer {d}?", "Does this describe the message: {d}?", "{d}", "The person {d}.",
    ),
    "topic": (
        "Is this about {d}?", "The article is about {d}.", "Is the news item about {d}?", "{d}", "Topic: {d}",
        "Does this fit: {d}?",
    ),
}  # fmt: skip
_GENERAL = (
    "Is it what is meant below?", "Should this be kept?", "Does it pass?", "Is this the right one?", "Is it a match?",
    "Does this go to us?", "Is this relevant?", "Do we handle this?", "Is the criterion met?",
)  # fmt: skip
_REST = (
    "anything else", "it is something else", "everything else", "all other documents", "not that", "other texts",
    "otherwise", "any other kind", "no sign of it",
)  # fmt: skip
_MENTIONS = (
    "Does the document mention {w}?", "Does the text contain the word {w}?", 'Does "{w}" occur in the text?',
    "Is {w} mentioned?", "The document mentions {w}.", "Is {w} named in the document?", "Does it say {w} anywhere?",
    "Is there anything about {w}?", "Can {w} be found in it?", "The word {w} stands in the text.", "Does {w} appear?",
)  # fmt: skip


def predicate(
    rng: random.Random, concept: Concept, wrong: Sequence[Concept], text: str, other: str
) -> tuple[Task, bool]:
    """A task of the type `yes_no` about a text, and whether yes is right.

    Args:
        rng: draws.
        concept: what the text is.
        wrong: what it is not; the first ones are the nearest.
        text: as much of the text as the model sees.
        other: another text, for words that this one does not mention.
    """
    holds = rng.random() < 0.5
    draw = rng.random()
    if draw < MENTION_SHARE and (said := _mention(rng, text, other, holds)):
        return _task(said), holds
    about = concept if holds else rng.choice(wrong)
    draw = rng.random()
    if draw < TURNED_SHARE:
        return _task(_named(rng, about, _of(TURNED, about))), not holds
    if draw < TURNED_SHARE + EITHER_SHARE:
        two = [about, rng.choice([one for one in wrong if one is not about] or [about])]
        rng.shuffle(two)
        first, second = (_name(rng, one) for one in two)
        form = rng.choice(_of(_EITHER, concept))
        return _task(form.format(a=with_article(first), b=with_article(second), k=first, l=second)), holds
    if draw < TURNED_SHARE + EITHER_SHARE + DESCRIBED_SHARE:
        said = _described(rng, about)
    else:
        said = _named(rng, about, _of(_WORDINGS, about, _OF_MESSAGES))
    if rng.random() >= CRITERIA_SHARE:
        return _task(said), holds
    yes, no = _description(rng, about), rng.choice(_REST)
    if rng.random() < 0.3:
        no = _description(rng, concept if not holds else rng.choice(wrong))
    if rng.random() < 0.3:
        return _task(rng.choice(_GENERAL), said if rng.random() < 0.5 else yes, no), holds
    both = rng.random()
    return _task(said, yes if both < 0.75 else None, no if both > 0.25 else None), holds


def _task(said: str, yes: str | None = None, no: str | None = None) -> Task:
    """What the product makes of a statement and its criteria (`pinpoint.api.typed_tasks.build_yes_no`)."""
    yes, no = (text and " ".join(text.split()) for text in (yes, no))
    return Task(
        "predicate", (Label("yes", " ".join(said.split())),), multi_label=True, kind="yes_no", criteria=(yes, no)
    )


def _of(forms: dict[str, tuple[str, ...]], concept: Concept, rest: tuple[str, ...] = ()) -> tuple[str, ...]:
    return forms.get(concept.key.partition(":")[0], rest or forms.get("", ()))


def _name(rng: random.Random, concept: Concept) -> str:
    name = (concept.name if rng.random() < 0.6 else concept.alias)(rng)
    return name.replace("_", " ") if rng.random() < 0.5 else name


def _named(rng: random.Random, concept: Concept, forms: Sequence[str]) -> str:
    name = _name(rng, concept)
    said = rng.choice(forms).format(a=with_article(name), k=name)
    draw = rng.random()
    return said.lower() if draw < 0.08 else said.upper() if draw < 0.1 else said


def _described(rng: random.Random, concept: Concept) -> str:
    described = _description(rng, concept)
    forms = _CLAUSES if _CLAUSE.match(described) else _of(_VERBS, concept, _VERBS[""])
    said = rng.choice(forms).format(d=described)
    return said[0].upper() + said[1:] if rng.random() < 0.6 else said


def _description(rng: random.Random, concept: Concept) -> str:
    return concept.description(rng).strip().rstrip(".")


def with_article(name: str) -> str:
    """The name behind its article; without one where it is many or a substance."""
    last = name.split(" of ")[0].rsplit(" ", 1)[-1].lower()
    if name.lower() in _NO_ARTICLE or (last.endswith("s") and not last.endswith(("ss", "us", "is"))):
        return name
    return f"{'an' if _VOWEL.match(name) and not _LONG_U.match(name) else 'a'} {name}"


def _mention(rng: random.Random, text: str, other: str, holds: bool) -> str | None:
    here, there = (set(map(str.lower, _WORD.findall(one))) for one in (text, other))
    words = sorted(here if holds else {word for word in there - here if word not in text.lower()})
    if not words:
        return None
    word = rng.choice(words)
    return rng.choice(_MENTIONS).format(w=rng.choice((word, word, word.capitalize(), word.upper())))
