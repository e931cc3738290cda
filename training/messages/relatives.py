"""Groups of words that mean nearly the same, and word forms.

Training tasks are built from them in which a label is a relative of a word in the text ("funds" for a text with "cash")
or another form of it ("payments" for "pay").  The groups lie in ``data/relatives*.txt`` and the irregular forms in
``data/forms.txt``; both are read at first use.
"""

import functools
import random
import re
from pathlib import Path

_DATA = Path(__file__).parent / "data"
_VOWELS = "aeiou"
_NOUN_ENDINGS = ("ty", "ness", "ment", "tion", "sion", "ance", "ence", "ism", "ist", "age", "case", "logy", "ship")
_ONE_SHORT_SYLLABLE = re.compile(r"(?:qu|[^aeiou])*[aeiou][^aeiouwxy]")

RELATIVES: tuple[tuple[str, ...], ...]


def __getattr__(name: str) -> tuple[tuple[str, ...], ...]:
    if name == "RELATIVES":
        return relatives()
    raise AttributeError(name)


@functools.cache
def relatives() -> tuple[tuple[str, ...], ...]:
    """Groups of 2 to 8 words or short phrases each, closely related in meaning."""
    groups: list[tuple[str, ...]] = []
    for source in sorted(_DATA.glob("relatives*.txt")):
        groups.extend(tuple(line.split(", ")) for line in source.read_text(encoding="utf-8").splitlines() if line)
    return tuple(groups)


@functools.cache
def families() -> dict[str, tuple[str, ...]]:
    """For each word of ``forms.txt`` the other forms that no rule gives."""
    found: dict[str, tuple[str, ...]] = {}
    for line in (_DATA / "forms.txt").read_text(encoding="utf-8").splitlines():
        words = tuple(line.split())
        for word in words:
            others = tuple(other for other in words if other != word)
            found[word] = found.get(word, ()) + others
    return found


def inflect(word: str, rng: random.Random) -> str:
    """Another form of `word`: from the table where it has one, else by rule; of a phrase, the last word changes."""
    head, _, last = word.rpartition(" ")
    known = families().get(last)
    if known and rng.random() < 0.75:
        form = rng.choice(known)
    else:
        rules = (_plural,) if last.endswith(_NOUN_ENDINGS) else (_plural, _plural, _ing, _past)
        form = rng.choice(rules)(last) if len(last) > 2 else last
    return f"{head} {form}" if head else form


def _ends_in_short_vowel(word: str) -> bool:
    """Whether the last consonant doubles before -ing and -ed (stop, plan; not open, wait, show)."""
    return _ONE_SHORT_SYLLABLE.fullmatch(word) is not None


def _plural(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


def _ing(word: str) -> str:
    if word.endswith("ie"):
        return word[:-2] + "ying"
    if word.endswith("e") and not word.endswith(("ee", "oe", "ye")):
        return word[:-1] + "ing"
    return word + (word[-1] if _ends_in_short_vowel(word) else "") + "ing"


def _past(word: str) -> str:
    if word.endswith("e"):
        return word + "d"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word[:-1] + "ied"
    return word + (word[-1] if _ends_in_short_vowel(word) else "") + "ed"
