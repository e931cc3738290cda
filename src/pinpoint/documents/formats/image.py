"""Pictures: how many pages there are and whether they can be read at all; their text is the recogniser's to find."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "webp": "WEBP"}


def read(content: bytes, mime: str, limits: FileLimits, type_name: str) -> Extracted:
    """A page for each picture of the file, all without text.

    Raises:
        DocumentError: `file_damaged`, `image_too_large`, `too_many_pages`.
    """
    import PIL

    picture = open_picture(content, type_name, limits)
    frames = getattr(picture, "n_frames", 1)
    if frames > limits.max_pages:
        raise DocumentError("too_many_pages", f"{frames} pictures, at most {limits.max_pages}")
    return Extracted(type_name, f"pillow {PIL.__version__}", [Page("", "none", scanned=True)] * max(1, frames))


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
