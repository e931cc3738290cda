"""RTF: its text, read with striprtf."""

from __future__ import annotations

from importlib.metadata import version

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.visible import counted


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """One page, or more where the file breaks pages itself."""
    from striprtf.striprtf import rtf_to_text

    source = content.decode("latin-1")
    text = rtf_to_text(source.replace("\\page ", "\\par\f ").replace("\\page\\", "\\par\f\\"), errors="replace")  # type: ignore[no-untyped-call]
    pages = [page for page in text.split("\f") if page.strip()] or [""]
    warnings = []
    if embedded := source.count("\\objdata") + source.count("\\pict"):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    if "\\v " in source or "\\v\\" in source:
        warnings.append("hidden text in the file")
    return Extracted("rtf", f"striprtf {version('striprtf')}", [Page(page) for page in pages], warnings)
