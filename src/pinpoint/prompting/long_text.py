"""A long text encoded a stretch at a time, into the tokens that all of it at once would have.

A tokenizer cannot be stopped, and holds some hundred bytes for each character until it is through. So a text is
encoded in stretches, each cut at a place where the tokens of the whole have a boundary:

    text      ────────────── stretch ──────────────┊── ahead ──┊─────
    whole     t0 t1 t2 … … … … … … … … … … … … tk ┊ tk+1 … tn           stretch and ahead, encoded together
    rest                                           ┊ tk+1 … tn           what is ahead, by itself

Where `rest` is how `whole` ends, no token lies across the place, and what stands before it is encoded as if the text
ended there: byte-pair encoding merges inside of a boundary, never across. What lies beyond `ahead` is out of reach of
any merge. A place where this does not hold is passed over, and where there is none the stretch grows. Tokenizers of
other kinds, which weigh a text as a whole, are given it as a whole.

`tests/unit/prompting/test_long_text.py` compares with the text encoded at once, for tokenizers of each kind.
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pinpoint.prompting.encoder import PromptEncoder

STRETCH_CHARS = 16_384  # some 15 ms, 40 ms for texts of one token a byte
AHEAD_CHARS = 256  # the longest token of the vocabularies that we know has 128 characters, all spaces
# Digits come in groups of up to three from where their run begins, and a group without merges does not show its edges:
# a cut inside of a run stands at a multiple of this, which two and three divide.
DIGITS = 6
WORDS_TRIED, PLACES_TRIED = 8, 48  # between words, where it works as a rule, then anywhere; each costs AHEAD_CHARS

Encode = Callable[[str], list[int]]


def text_steps(encoder: PromptEncoder, text: str, into: array[int]) -> Iterator[int]:
    """Encode a text from outside into `into`, in steps; yields the characters that each was worth."""
    encode = partial(encoder.text, trusted=False)
    if not encoder.is_byte_pair:
        into.extend(encode(text))
        yield len(text)
        return
    for chars, tokens in stretches(encode, text, encoder.unknown):
        into.extend(tokens)
        yield chars


def stretches(encode: Encode, text: str, unknown: int | None = None) -> Iterator[tuple[int, list[int]]]:
    """The characters read and the tokens they gave, a stretch at a time.

    Args:
        encode: encodes a text that continues another.
        text: of any length.
        unknown: the token of what has none; a run of it may be one token.
    """
    start, size = 0, STRETCH_CHARS
    while start + size + AHEAD_CHARS < len(text):
        window = text[start : start + size + AHEAD_CHARS]
        whole = encode(window)
        place, rest = _cut(encode, window, whole, size, unknown)
        if place:
            yield place, whole[: len(whole) - rest]
            start, size = start + place, STRETCH_CHARS
        else:
            # Read in vain, and counted: it took its time.
            yield size, []
            size *= 2
    yield len(text) - start, encode(text[start:])


def _cut(encode: Encode, window: str, whole: list[int], size: int, unknown: int | None) -> tuple[int, int]:
    """A place in the window to cut at, and how many tokens stand after it; 0 where there is none."""
    for place in _places(window, size):
        rest = encode(window[place:])
        if 0 < len(rest) < len(whole) and rest[0] != unknown and whole[-len(rest) :] == rest:
            return place, len(rest)
    return 0, 0


def _places(window: str, size: int) -> Iterator[int]:
    """Places worth a try, the last first: between words, then between any two characters that nothing binds."""
    back = range(size, max(0, size - AHEAD_CHARS * WORDS_TRIED), -1)
    words = (place for place in back if _between_words(window, place))
    anywhere = (place for place in _between_groups(window, back) if not _bound(window, place))
    yield from (place for place, _ in zip(words, range(WORDS_TRIED), strict=False))
    yield from (place for place, _ in zip(anywhere, range(PLACES_TRIED), strict=False))


def _between_groups(window: str, places: Iterable[int]) -> Iterator[int]:
    """Those of the places, the last first, that do not part a group of digits."""
    begin = len(window)  # of the run of digits that the place before stood in
    for place in places:
        if _is_digit(window[place - 1]) and _is_digit(window[place]):
            if place <= begin:
                begin = place
                while begin and _is_digit(window[begin - 1]):
                    begin -= 1
            if (place - begin) % DIGITS:
                continue
        yield place


def _is_digit(character: str) -> bool:
    return unicodedata.category(character)[0] == "N"


def _between_words(window: str, place: int) -> bool:
    """Whether a word ends here and the next begins, with its space, or behind a line break."""
    before, after = window[place - 1], window[place]
    if after == " ":
        return before.isalpha() and window[place + 1].isalpha()
    return before == "\n" and after.isalpha() and window[place - 2].isalpha()


def _bound(window: str, place: int) -> bool:
    """Whether white space, a quote (as in "it's") or a mark that joins stands on either side."""
    around = window[place - 2 : place + 1]
    return any(
        character.isspace() or character in "'\u2019" or unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")
        for character in around
    )
