"""Optical character recognition of one page, inside a reading process: RapidOCR on onnxruntime, on the CPU.

Its models lie inside its package, so nothing is downloaded. It is an extra (`pip install -r requirements-ocr.txt`),
imported when the first scan comes. A page that lies on its side or upside down is turned, told from the boxes of its
lines and from the direction in which the recogniser's own classifier finds their letters.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats.plain import CELL_BREAK
from pinpoint.documents.layout import reading_rows, spaced
from pinpoint.documents.pictures import picture
from pinpoint.documents.slant import Corners, closer, upright
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    import numpy as np

INSTALL = "pip install -r requirements-ocr.txt"
_DPI = 200
_SHORTEST_SIDE = 8
_TALL = 1.5  # times as high as wide: a line that runs up or down
_SETTINGS = {
    "Global.log_level": "critical",
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


def is_installed() -> bool:
    """Whether the extra is there; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime"))


def prepare() -> None:
    """Load the models, so that the first page does not wait for them."""
    _engine()._load_det_model()
    _engine()._load_cls_model()
    _engine()._load_rec_model()


def recognise(content: bytes, type_name: str, page: int, limits: FileLimits) -> Extracted:
    """The text of one page, with the mean confidence of its lines.

    Args:
        content: the file.
        type_name: of it.
        page: from 0.
        limits: of pixels.

    Raises:
        DocumentError: `file_damaged`, `image_too_large`, `pdf_encrypted`.
    """
    import numpy as np
    from PIL import ImageOps

    found = ImageOps.exif_transpose(picture(content, type_name, page, limits, _DPI)).convert("RGB")
    if min(found.size) < _SHORTEST_SIDE:
        return Extracted(type_name, version(), [Page("", "none")])
    # The models were trained on BGR.
    return Extracted(type_name, version(), [_read(np.asarray(found)[:, :, ::-1])])


def version() -> str:
    """What recognises, with its version."""
    from importlib.metadata import version as of

    return f"rapidocr {of('rapidocr')}"


def _read(pixels: np.ndarray) -> Page:
    import numpy as np

    lines, upside_down, sideways = _lines(pixels)
    if sideways:
        pixels = np.ascontiguousarray(np.rot90(pixels))
        lines, upside_down, _ = _lines(pixels)
    if upside_down:
        pixels = np.ascontiguousarray(np.rot90(pixels, 2))
        lines, _, _ = _lines(pixels)
    lines = _looked_closer(pixels, lines)
    if not lines:
        return Page("", "none")
    boxes = upright([line.corners for line in lines])
    texts = [line.text for line in lines]
    text = "\n".join(spaced(boxes, row, texts, CELL_BREAK) for row in reading_rows(boxes))
    return Page(text, "ocr", round(sum(line.score for line in lines) / len(lines), 4))


@dataclass(frozen=True, slots=True)
class _Line:
    """What was read, how surely (0 to 1), and the corners of where it stands."""

    corners: Corners
    text: str
    score: float


def _looked_closer(pixels: np.ndarray, lines: list[_Line]) -> list[_Line]:
    """The lines, or where they are low those of a second look at the part of the picture that they are in."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    found = closer([line.corners for line in lines], width, height, int(_engine().max_side_len))
    if found is None:
        return lines
    (left, top, right, bottom), scale = found
    part = Image.fromarray(pixels[int(top) : int(bottom) + 1, int(left) : int(right) + 1])
    part = part.resize(
        (max(1, round(part.width * scale)), max(1, round(part.height * scale))), Image.Resampling.BICUBIC
    )
    again, _, _ = _lines(np.asarray(part))
    return max(lines, again, key=lambda those: sum(line.score * len(line.text) for line in those))


def _lines(pixels: np.ndarray) -> tuple[list[_Line], bool, bool]:
    """Lines; whether most stand on their head; whether most run up or down."""
    engine = _engine()
    whole = engine.load_img(pixels)
    scaled, record = engine.preprocess_img(whole)
    detected, classified, recognised, crops = engine.run_ocr_steps(scaled, record)
    output = engine.build_final_output(whole, detected, classified, recognised, crops, record)
    if output is None or output.boxes is None or not output.txts:
        return [], False, False
    lines, tall = list[_Line](), 0
    for corners, text, score in zip(output.boxes, output.txts, output.scores, strict=True):
        places = [(float(x), float(y)) for x, y in corners]
        xs, ys = [x for x, _ in places], [y for _, y in places]
        lines.append(_Line(places, str(text), min(1.0, max(0.0, float(score)))))
        tall += len(str(text)) > 2 and max(ys) - min(ys) > _TALL * (max(xs) - min(xs))
    long = sum(len(line.text) > 2 for line in lines)
    turned = [label == "180" for label, _ in classified.cls_res or []]
    return lines, sum(turned) * 2 > len(turned), tall * 2 > long


@cache
def _engine() -> Any:
    try:
        from rapidocr import RapidOCR
    except ImportError:
        raise DocumentError("needs_ocr", f"the page is a picture; to read such pages: {INSTALL}") from None
    return RapidOCR(params=_SETTINGS)
