"""RTF: its text, read with striprtf."""

from __future__ import annotations

import re
from importlib.metadata import version

from pinpoint.documents import charsets
from pinpoint.documents.extracted import Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.visible import counted

_BREAK = re.compile(r"\\(?:page|pagebb|sbkpage)(?![a-z0-9-])([ \\{}\r\n]?)")
_BESIDE = re.compile(r"\{\\(?:header|footer)[lrf]?(?![a-z])([ \\{\r\n])|\{\\footnote(?![a-z])([ \\{\r\n])")
_BOX = re.compile(r"\\shp(?:grp)?(?![a-z])|\\\*\\shpinst(?![a-z])|(\\shptxt(?![a-z]))")
_CODE_PAGE = re.compile(r"\\ansicpg(\d+)")
_CHARACTER_SET = re.compile(r"\{\\rtf\d* ?\\(mac|pca?)(?![a-z])")
_CHARACTER_SETS = {"mac": "mac_roman", "pc": "cp437", "pca": "cp850"}
# Of the Macintosh, by the numbers of their code pages, which begin at 10000, and of their fonts, which begin at 77.
_OF_MACINTOSH = {0: "mac_roman", 1: "cp932", 2: "big5hkscs", 3: "cp949", 4: "mac_arabic", 5: "iso8859_8",
                 6: "mac_greek", 7: "mac_cyrillic", 8: "gb18030", 10: "mac_romanian", 17: "mac_cyrillic", 21: "cp874",
                 29: "mac_latin2", 79: "mac_iceland", 81: "mac_turkish"}  # fmt: skip
_FONTS_OF_MACINTOSH = {77: 0, 78: 1, 79: 2, 80: 3, 81: 4, 82: 5, 83: 6, 84: 7, 85: 8, 86: 10, 87: 17, 88: 21, 89: 29}
_DELETED = re.compile(r"\{\\deleted(?![a-z])(.)")


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """One page, or more where the file breaks pages itself."""
    from striprtf.striprtf import charset_map, rtf_to_text

    charset_map.update({font: _OF_MACINTOSH[number] for font, number in _FONTS_OF_MACINTOSH.items()})
    source = content.decode("latin-1")
    told = _BREAK.sub(lambda found: f"\\par\f{found[1]}", source)
    # What the library passes over, and what it does not, though it is deleted under review.
    told = _BESIDE.sub(lambda found: "{\\par" + (found[1] or found[2]), told)
    told = _DELETED.sub(lambda found: "{\\*\\deleted" + found[1], told)
    told = _BOX.sub(lambda found: r"\par" if found[1] else "", told)
    told = _CODE_PAGE.sub(r"\\ansi0", told)
    text = rtf_to_text(told, encoding=_encoding(source), errors="replace")  # type: ignore[no-untyped-call]
    pages = [page for page in text.split("\f") if page.strip()] or [""]
    warnings = []
    if embedded := source.count("\\objdata") + source.count("\\pict"):
        warnings.append(f"{counted(embedded, 'embedded file')} not read")
    if "\\v " in source or "\\v\\" in source:
        warnings.append("hidden text in the file")
    return Extracted("rtf", f"striprtf {version('striprtf')}", [Page(page) for page in pages], warnings)


def _encoding(source: str) -> str:
    """Python's name of what letters of one byte are in, where their font does not say it."""
    page = _CODE_PAGE.search(source)
    number = int(page[1]) if page else 0
    if number >= 10_000 and number - 10_000 in _OF_MACINTOSH:
        return _OF_MACINTOSH[number - 10_000]
    known = charsets.codecs_of(f"cp{number}")
    if known:
        return known[0]
    told = _CHARACTER_SET.match(source)
    return _CHARACTER_SETS[told[1]] if told else "cp1252"
