"""A page as a picture, inside a reading process: a PDF's page rendered, a picture of a file unpacked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pinpoint.documents.extracted import Attachment, Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from PIL import Image

PICTURED = ("pdf", "png", "jpeg", "tiff", "webp")
LONGEST_SIDE = 4_000  # pixels: A4 at 340 dpi; beyond, a picture is scaled down as it is unpacked
SHOWN_DPI, SHOWN_SIDE = 110, 1_600  # for people: legible on a screen, some 300 kB


def picture(
    content: bytes, type_name: str, page: int, limits: FileLimits, dpi: int, longest: int = LONGEST_SIDE
) -> Image.Image:
    """One page, no side of it longer than `longest` pixels.

    Raises:
        DocumentError: `file_damaged`, `image_too_large`, `pdf_encrypted`.
    """
    if type_name == "pdf":
        return _rendered(content, page, dpi, longest)
    return _unpacked(content, type_name, page, limits, longest)


def show(content: bytes, type_name: str, page: int, limits: FileLimits) -> Extracted:
    """One page for people to look at: a PNG, as what is attached.

    Raises:
        DocumentError: `unsupported_type`, and as `picture` does.
    """
    import PIL
    from PIL import ImageOps

    if type_name not in PICTURED:
        raise DocumentError("unsupported_type", "files of this type have no picture")
    shown = ImageOps.exif_transpose(picture(content, type_name, page, limits, SHOWN_DPI, SHOWN_SIDE)).convert("RGB")
    target = io.BytesIO()
    shown.save(target, "PNG")
    return Extracted(
        type_name, f"pillow {PIL.__version__}", [Page("", "none")], (),
        [Attachment(target.getvalue(), "image/png", "page.png")],
    )  # fmt: skip


def _rendered(content: bytes, page: int, dpi: int, longest: int) -> Image.Image:
    from pinpoint.documents.formats import pdf

    document = pdf.open_document(content)
    if not 0 <= page < len(document):
        raise DocumentError("file_damaged", "the page is not there")
    one = document[page]
    width, height = one.get_size()
    scale = min(dpi / 72, longest / max(width, height, 1.0))
    rendered: Image.Image = one.render(scale=scale, may_draw_forms=False).to_pil()
    return rendered


def _unpacked(content: bytes, type_name: str, page: int, limits: FileLimits, longest: int) -> Image.Image:
    from pinpoint.documents.formats import image

    opened = image.open_picture(content, type_name, limits, page)
    try:
        opened.draft("RGB", (longest, longest))  # a JPEG is unpacked at a fraction of its size
        opened.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise image.damaged() from error
    opened = _in_eight_bits(opened)
    opened.thumbnail((longest, longest))
    return _laid_on_paper(opened)


def _in_eight_bits(deep: Image.Image) -> Image.Image:
    """A picture whose greys are numbers of any size, from its darkest to its lightest."""
    if not deep.mode.startswith(("I", "F")):
        return deep
    low, high = deep.convert("F").getextrema()
    if not (isinstance(low, float) and isinstance(high, float) and low < high):
        return deep.convert("L")
    scale = 255.0 / (high - low)
    eight = deep.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    eight.info.update({name: deep.info[name] for name in ("exif",) if name in deep.info})
    return eight


def _laid_on_paper(shown: Image.Image) -> Image.Image:
    """A picture with clear parts on white, or on black where what is drawn is light."""
    if "A" not in shown.getbands() and "transparency" not in shown.info:
        return shown
    from PIL import Image, ImageStat

    whole = shown.convert("RGBA")
    clear = whole.getchannel("A")
    seen = clear.point(lambda value: 255 if value > 127 else 0)
    light = seen.getbbox() is not None and ImageStat.Stat(whole.convert("L"), seen).mean[0] > 127
    covered = ImageStat.Stat(seen).mean[0] > 127  # a picture with a clear edge, whose own paper is what is light
    paper = Image.new("RGBA", whole.size, (0, 0, 0, 255) if light and not covered else (255, 255, 255, 255))
    paper.alpha_composite(whole)
    upright = paper.convert("RGB")
    upright.info.update({name: shown.info[name] for name in ("exif",) if name in shown.info})
    return upright
