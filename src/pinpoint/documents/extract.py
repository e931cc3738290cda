"""One file, inside a reading process: its type is told, and the reader of that type imported and run."""

from __future__ import annotations

from dataclasses import replace

from pinpoint.documents.extracted import Extracted
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.file_types import IMAGES, FileType
from pinpoint.documents.sniff import sniff
from pinpoint.documents.text import has_surrogate
from pinpoint.errors import DocumentError


def extract(content: bytes, mime: str, filename: str, limits: FileLimits) -> Extracted:
    """Return what is in a file.

    Args:
        content: the file.
        mime: what it is declared as; may be empty.
        filename: its name; may be empty.
        limits: what it may hold.

    Raises:
        DocumentError: it cannot be read; nothing that it holds is in the message.
    """
    found = sniff(content, mime, filename)
    try:
        extracted = _read(found, content, mime, limits)
    except DocumentError:
        raise
    except MemoryError:
        raise DocumentError("file_memory", "reading the file takes more memory than a file may take") from None
    except RecursionError:
        raise DocumentError("nested_too_deep", "the file is nested too deep to be read") from None
    except Exception as error:  # whatever a library raises for bytes that it was not made for
        raise DocumentError(
            "file_damaged", f"the file cannot be read as {found.mime} ({type(error).__name__}); send it again"
        ) from None
    if any(has_surrogate(page.text) for page in extracted.pages):
        # Half a letter that a library made of a damaged one: the sender wrote none.
        extracted = replace(extracted, pages=[replace(page, text=_whole(page.text)) for page in extracted.pages])
    chars = sum(len(page.text) for page in extracted.pages)
    if chars > limits.max_text_chars:
        raise DocumentError("file_text_too_long", f"{chars} characters of text, at most {limits.max_text_chars}")
    return extracted


def _whole(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _read(found: FileType, content: bytes, mime: str, limits: FileLimits) -> Extracted:
    # Imported where they are needed: together they would cost a reading process half a second.
    name = found.name
    if name == "pdf":
        from pinpoint.documents.formats import pdf

        return pdf.read(content, mime, limits)
    if name in IMAGES:
        from pinpoint.documents.formats import image

        return image.read(content, mime, limits, name)
    if name in ("docx", "pptx"):
        from pinpoint.documents.formats import office_xml

        return (office_xml.read_docx if name == "docx" else office_xml.read_pptx)(content, mime, limits)
    if name == "xlsx":
        from pinpoint.documents.formats import xlsx

        return xlsx.read(content, mime, limits)
    if name in ("odt", "ods", "odp"):
        from pinpoint.documents.formats import open_document

        return open_document.read(content, mime, limits, name)
    if name == "html":
        from pinpoint.documents.formats import html

        return html.read(content, mime, limits)
    if name == "eml":
        from pinpoint.documents.formats import mail

        return mail.read(content, mime, limits)
    if name == "msg":
        from pinpoint.documents.formats import msg

        return msg.read(content, mime, limits)
    if name == "rtf":
        from pinpoint.documents.formats import rtf

        return rtf.read(content, mime, limits)
    from pinpoint.documents.formats import plain

    return plain.read(content, mime, limits, name)
