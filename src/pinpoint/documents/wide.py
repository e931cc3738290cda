"""UTF-16 without a mark, of letters that are not Latin: told from few zeros, where Latin letters have one each."""

from __future__ import annotations

import unicodedata

_ASCII = b"\0\t\n\f\r" + bytes(range(32, 127))
_FEWEST = 4  # characters; of fewer, chance looks the same
_ZEROS = 5  # of so many bytes of Latin letters in UTF-16 one is a zero at least
_LETTERS = 3  # of so many characters one is a letter at least


def wide_letters(head: bytes) -> str:
    """The name of the encoding, or nothing.

    Line ends, blanks and figures have zeros in it. No text in bytes, or in pairs of them, has any, so one is enough
    where all the rest are letters.
    """
    zeros = head.count(0)
    # Of ASCII with a zero in it, as programs end a text, two bytes look like one letter of Chinese.
    if not zeros or (zeros * _ZEROS < len(head) and not head.translate(None, _ASCII)):
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
