"""RTF: its text, read with striprtf."""

from __future__ import annotations

import re
from importlib.metadata import version

from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.visible import counted

_BREAK = re.compile(r"\\(?:page|pagebb|sbkpage)(?![a-z0-9-])([ \\{}\r\n]?)")
_BESIDE = re.compile(r"\{\\(?:header|footer)[lrf]?(?![a-z])([ \\{\r\n])|\{\\footnote(?![a-z])([ \\{\r\n])")
_DELETED = re.compile(r"\{\\deleted(?![a-z])(.)")


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """One page, or more where the file breaks pages itself."""
    from striprtf.striprtf import rtf_to_text

    source = content.decode("latin-1")
    told = _BREAK.sub(lambda found: f"\\par\f{found[1]}", source)
    # What the library passes over, and what it does not, though it is deleted under review.
    told = _BESIDE.sub(lambda found: "{\\par" + (found[1] or found[2]), told)
    told = _DELETED.sub(lambda found: "{\\*\\deleted" + found[1], told)
    text = rtf_to_text(told, errors="replace")  # type: ignore[no-untyped-call]
    pages = [page for page in text.split("\f") if page.strip()] or [""]
    warnings = []
    if embedded := source.count("\\objdata") + source.count("\\pict"):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    if "\\v " in source or "\\v\\" in source:
        warnings.append("hidden text in the file")
    return Extracted("rtf", f"striprtf {version('striprtf')}", [Page(page) for page in pages], warnings)
