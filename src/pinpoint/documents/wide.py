"""UTF-16 without a mark, of letters that are not Latin: told from few zeros, where Latin letters have one each."""

from __future__ import annotations

import unicodedata

_FEWEST = 4  # characters; of fewer, chance looks the same
_LETTERS = 3  # of so many characters one is a letter at least


def wide_letters(head: bytes) -> str:
    """The name of the encoding, or nothing.

    Line ends, blanks and figures have zeros in it. No text in bytes, or in pairs of them, has any, so one is enough
    where all the rest are letters.
    """
    if not head.count(0):
        return ""
    for name in ("utf-16-le", "utf-16-be"):
        # The head may end within a pair.
        text = head[: len(head) // 2 * 2].decode(name, "replace").rstrip("\ufffd")
        kinds = [unicodedata.category(character)[0] for character in text if character not in "\t\r\n\ufeff"]
        if len(kinds) < _FEWEST or "C" in kinds or "\ufffd" in text:
            continue
        if kinds.count("L") * _LETTERS > len(kinds):
            return name
    return ""
