"""Lines of a page that was photographed: by how much they slant, where they lie once upright, whether to look closer.

A line is its four corners, from where its text begins, clockwise, in pixels of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pinpoint.documents.layout import Box

Corners = Sequence[tuple[float, float]]

_LONG = 2.5  # times as wide as high: a line whose direction can be told
_STRAIGHT = math.radians(0.5)
_LOW_PX = 22  # a line, as boxes are drawn around it, below which letters run together for the recogniser
_GOOD_PX = 40  # a line that it reads well
_GAIN = 1.3  # times as large: less is not worth a second look
_MOST_ENLARGED = 3.0
_MARGIN = 2.0  # of a line's height around what is looked at


def slant(lines: Sequence[Corners]) -> float:
    """The angle of most of the text, in radians, clockwise."""
    weighed = list[tuple[float, float]]()
    for (x0, y0), (x1, y1), _, (x3, y3) in lines:
        width, height = math.hypot(x1 - x0, y1 - y0), math.hypot(x3 - x0, y3 - y0)
        if width > _LONG * height:
            weighed.append((math.atan2(y1 - y0, x1 - x0), width))
    weighed.sort()
    half, passed = sum(width for _, width in weighed) / 2, 0.0
    for angle, width in weighed:
        passed += width
        if passed >= half:
            return angle
    return 0.0


def upright(lines: Sequence[Corners]) -> list[Box]:
    """The boxes of the lines once the page is turned so that its text runs level."""
    angle = slant(lines)
    if abs(angle) < _STRAIGHT:
        angle = 0.0
    across, down = math.cos(angle), math.sin(angle)
    boxes = list[Box]()
    for corners in lines:
        turned = [(x * across + y * down, y * across - x * down) for x, y in corners]
        xs, ys = [x for x, _ in turned], [y for _, y in turned]
        boxes.append((min(xs), min(ys), max(xs), max(ys)))
    return boxes


def closer(lines: Sequence[Corners], width: int, height: int, longest: int) -> tuple[Box, float] | None:
    """Where to look again and how much to enlarge it, where lines are too low to be read well; else None.

    Args:
        lines: that were found.
        width: of the picture, in pixels.
        height: of it.
        longest: side of what the recogniser looks at; a larger picture is made smaller by it.
    """
    heights = sorted(math.hypot(line[3][0] - line[0][0], line[3][1] - line[0][1]) for line in lines)
    if not heights:
        return None
    middle = max(heights[len(heights) // 2], 1.0)
    seen = min(1.0, longest / max(width, height))
    # A picture that is seen as large as it is holds no more: enlarged, it was read as before (480 and 640 pixels).
    if seen >= 1.0 or middle * seen >= _LOW_PX:
        return None
    edge = _MARGIN * middle
    xs, ys = [x for line in lines for x, _ in line], [y for line in lines for _, y in line]
    area = (
        max(0.0, min(xs) - edge), max(0.0, min(ys) - edge),
        min(float(width), max(xs) + edge), min(float(height), max(ys) + edge),
    )  # fmt: skip
    most = longest / max(area[2] - area[0], area[3] - area[1], 1.0)
    scale = min(_GOOD_PX / middle, most, _MOST_ENLARGED)
    return (area, scale) if scale >= _GAIN * seen else None
