"""Lines with words that run from right to left: out of where letters stand, the order in which they are read.

Files draw such letters in either order, one word so and the next otherwise, and the library that reads them turns some
of them round. Where they stand is sure. From there the order of reading follows by the rules of Unicode's bidirectional
algorithm (UAX #9) turned round, as far as lines of business documents need them: a line that is mostly of such letters
is read from the right, and numbers and Latin words in it from the left.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect
from collections.abc import Iterable, Sequence

from pinpoint.documents.layout import Box

Letter = tuple[str, Box]  # what it says, and where it stands, as `layout` has it

_RIGHT = frozenset({"R", "AL"})
_NUMBER = frozenset({"EN", "AN"})
_IN_NUMBER = frozenset({"CS", "ES"})  # a point, a comma, a slash, a minus between two figures
_AT_NUMBER = frozenset({"ET"})  # %, €, #
_ALEFS = "\u0627\u0622\u0623\u0625\u0671"
_LAM = "\u0644"
_CELL_GAP = 1.0  # of the height of the room that a font gives its letters
_WORD_GAP = 0.17  # letters that do not join are half of it apart, words twice as far


def is_from_right(texts: Iterable[str]) -> bool:
    """Whether letters that run from right to left are the most, of all that run one way."""
    kinds = [_kind(character) for text in texts for character in text]
    return kinds.count("R") > kinds.count("L")


def has_letters(texts: Iterable[str]) -> bool:
    """Whether there is a letter that runs from right to left."""
    return any(_kind(character) == "R" for text in texts for character in text)


def line(letters: Iterable[Letter], cell_break: str, page_from_right: bool = True) -> str:
    """One line of a page, with marks where there are wide gaps.

    Args:
        letters: all that stand on the line, in any order; spaces among them or not.
        cell_break: what stands for a wide gap.
        page_from_right: whether the page is read from the right, and so a line that is not Latin alone.
    """
    found = _clusters(letters)
    if not found:
        return ""
    heights = sorted(box[3] - box[1] for text, box in found if text.strip())
    # Of fonts that do not tell the room of their letters, boxes are as low as the letters.
    height = max(0.1, heights[len(heights) * 3 // 4]) if heights else 0.1
    kinds = [_kind(text) for text, _ in found]
    latin, others = kinds.count("L"), kinds.count("R")
    from_right = others > latin or (page_from_right and (others > 0 or not latin))
    cells = [[found[0]]]
    edge = found[0][1][2]
    for text, box in found[1:]:
        if text.strip() and box[0] - edge > _CELL_GAP * height:
            cells.append([])
        elif text.strip() and box[0] - edge > _WORD_GAP * height:
            cells[-1].append((" ", box))
        cells[-1].append((text, box))
        edge = max(edge, box[2]) if text.strip() else edge
    told = [" ".join(read([text for text, _ in cell], from_right).split()) for cell in cells]
    return cell_break.join(cell for cell in (reversed(told) if from_right else told) if cell)


def read(seen: Sequence[str], from_right: bool) -> str:
    """Letters that stand side by side, the leftmost first, in the order in which they are read.

    Args:
        seen: the letters, or what is drawn as one.
        from_right: whether the line as a whole is read from the right.
    """
    kinds = [_kind(text) for text in seen]
    _name_numbers(kinds)
    ordered = list(range(len(seen)))
    if from_right:
        ordered.reverse()
    for begin, end in _against(ordered, kinds, from_right):
        ordered[begin:end] = reversed(ordered[begin:end])
        if not from_right:  # numbers inside of what was turned
            inside = ordered[begin:end]
            for one, other in _alike(inside, kinds, {"EN"}):
                ordered[begin + one : begin + other] = reversed(inside[one:other])
    return "".join(seen[index] for index in ordered)


def _against(ordered: Sequence[int], kinds: Sequence[str], from_right: bool) -> list[tuple[int, int]]:
    """Stretches that run against the line: words with numbers and signs between them, and numbers by themselves."""
    word, ends = ("L", {"L", "EN"}) if from_right else ("R", {"R"})
    runs = list[tuple[int, int]]()
    for begin, end in _alike(ordered, kinds, {"N", "EN", word}):
        places = [place for place in range(begin, end) if kinds[ordered[place]] in ends]
        if any(kinds[ordered[place]] == word for place in places):
            runs.append((places[0], places[-1] + 1))
        elif from_right:
            runs += [(begin + one, begin + other) for one, other in _alike(ordered[begin:end], kinds, {"EN"})]
    return runs


def _alike(ordered: Sequence[int], kinds: Sequence[str], of: set[str]) -> list[tuple[int, int]]:
    """Stretches of these kinds, each as long as it can be."""
    runs = list[tuple[int, int]]()
    for place, index in enumerate(ordered):
        if kinds[index] in of:
            if runs and runs[-1][1] == place:
                runs[-1] = (runs[-1][0], place + 1)
            else:
                runs.append((place, place + 1))
    return runs


def _kind(text: str) -> str:
    """R, L, EN or N for what is drawn as one, or the class of what may be part of a number."""
    for character in text:
        told = unicodedata.bidirectional(character)
        if told in _RIGHT:
            return "R"
        if told == "L":
            return "L"
        if told in _NUMBER:
            return "EN"
        if told in _IN_NUMBER or told in _AT_NUMBER:
            return told
    return "N"


def _name_numbers(kinds: list[str]) -> None:
    """Separators between two figures and signs beside one are part of the number; elsewhere they are neutral."""
    count = len(kinds)
    for index, kind in enumerate(kinds):
        if kind in _IN_NUMBER:
            inside = 0 < index < count - 1 and kinds[index - 1] == "EN" and kinds[index + 1] == "EN"
            kinds[index] = "EN" if inside else "N"
    for order in (range(count), range(count - 1, -1, -1)):
        before = "N"
        for index in order:
            if kinds[index] in _AT_NUMBER and before == "EN":
                kinds[index] = "EN"
            before = kinds[index]
    kinds[:] = ["N" if kind in _AT_NUMBER else kind for kind in kinds]


def _clusters(letters: Iterable[Letter]) -> list[Letter]:
    """Letters from left to right; those that are one glyph, and marks with what they stand on, as one."""
    found, marks = list[Letter](), list[Letter]()
    for text, box in letters:
        if found and text.strip() and found[-1][0].strip() and box == found[-1][1]:
            found[-1] = (found[-1][0] + text, box)
        elif unicodedata.category(text[0]) == "Mn":
            marks.append((text, box))
        else:
            found.append((text, box))
    found = [(_unturned(text), box) for text, box in found]
    found.sort(key=lambda one: one[1][0] + one[1][2])
    bases = [place for place, (base, _) in enumerate(found) if base.strip()]
    middles = [found[place][1][0] + found[place][1][2] for place in bases]
    for text, box in marks if bases else []:
        middle = box[0] + box[2]
        right = bisect(middles, middle)
        nearest = min(range(max(0, right - 1), min(len(bases), right + 1)), key=lambda one: abs(middles[one] - middle))
        place = bases[nearest]
        found[place] = (found[place][0] + text, found[place][1])
    return found


def _unturned(text: str) -> str:
    """Letters of one glyph in their order: the library turns those round that run from right to left."""
    if len(text) == 2:  # lam and alef, which it does not always turn
        return text[::-1] if text[0] in _ALEFS and text[1] == _LAM else text
    return text[::-1] if len(text) > 2 and _kind(text) == "R" else text
