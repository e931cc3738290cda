"""Pictures: how many pages there are and whether they can be read at all; their text is the recogniser's to find."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "webp": "WEBP"}


def read(content: bytes, mime: str, limits: FileLimits, type_name: str) -> Extracted:
    """A page for each picture of a TIFF, and one for any other file, all without text.

    What else a picture has, the next of an animation, or the small one that a telephone adds, shows no other page.

    Raises:
        DocumentError: `file_damaged`, `image_too_large`, `too_many_pages`.
    """
    import PIL

    picture = open_picture(content, type_name, limits)
    frames, told = getattr(picture, "n_frames", 1), list[str]()
    if type_name != "tiff":
        if frames > 1 and type_name != "jpeg":
            told.append(f"{counted(frames - 1, 'picture')} of an animation not read")
        frames = 1
    if frames > limits.max_pages:
        raise DocumentError("too_many_pages", f"{frames} pictures, at most {limits.max_pages}")
    pages = [Page("", "none", scanned=True)] * max(1, frames)
    return Extracted(type_name, f"pillow {PIL.__version__}", pages, told)


def open_picture(content: bytes, type_name: str, limits: FileLimits, page: int = 0) -> Image.Image:
    """One picture of a file, upright by what the camera says, its size looked at before a pixel is unpacked.

    Raises:
        DocumentError: `file_damaged`, `image_too_large`.
    """
    from PIL import Image, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = None  # the bound is below
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(content), formats=[_FORMATS[type_name]])
            picture.seek(page)
    except (UnidentifiedImageError, OSError, EOFError, SyntaxError, ValueError) as error:
        raise damaged() from error
    width, height = picture.size
    if width * height > limits.max_image_pixels:
        raise DocumentError(
            "image_too_large", f"{width} × {height} pixels, at most {limits.max_image_pixels} are read; scale it down"
        )
    return picture


def damaged() -> DocumentError:
    """What is said of a picture that cannot be unpacked."""
    return DocumentError("file_damaged", "the picture is cut short or damaged; send it again")
