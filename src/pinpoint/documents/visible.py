"""What a message about a file says: a caller's words fit to be shown, and numbers of things."""

from __future__ import annotations

SHOWN_CHARS = 80


def counted(count: int, noun: str) -> str:
    """So many of something, in English."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def printable(text: str, most: int = SHOWN_CHARS) -> str:
    """The text with everything that does not print replaced, cut to so many characters."""
    return "".join(character if character.isprintable() else "�" for character in text[:most])
