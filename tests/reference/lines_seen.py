"""Where letters of a line stand, word by word: the plain way to `pinpoint.documents.right_to_left`, and back again."""

from __future__ import annotations

from pinpoint.documents.layout import Box

WIDTH, SPACE, HEIGHT = 6.0, 4.0, 12.0


def is_hebrew(word: str) -> bool:
    """Whether a word runs from right to left."""
    return "\u05d0" <= word[0] <= "\u05ea"


def seen(words: list[str], from_right: bool) -> list[tuple[str, Box]]:
    """Letters of words, which are Hebrew, Latin or numbers, each with its place on a line that begins at 0.

    Neighbours that run against the line are one block: Latin words with the numbers behind them, or Hebrew words.
    """
    blocks = list[list[str]]()
    for word in words:
        against = is_hebrew(word) is not from_right
        goes_on = blocks and is_hebrew(blocks[-1][0]) is is_hebrew(word) and not blocks[-1][0].isdigit()
        if against and goes_on:
            blocks[-1].append(word)
        else:
            blocks.append([word])
    pieces = list[str]()
    for block in blocks if not from_right else blocks[::-1]:
        text = " ".join(block)
        pieces.append(text[::-1] if is_hebrew(block[0]) else text)
    return [
        (letter, (place, 0.0, place + WIDTH, HEIGHT)) for letter, place in _placed(" ".join(pieces)) if letter != " "
    ]


def _placed(text: str) -> list[tuple[str, float]]:
    placed, place = list[tuple[str, float]](), 0.0
    for letter in text:
        placed.append((letter, place))
        place += SPACE if letter == " " else WIDTH
    return placed
