"""Encodings by the names that mails and pages call them, and what is meant by them.

Names are those of the Encoding Standard (encoding.spec.whatwg.org), which says what browsers have come to mean: by
`gb2312` all of GB 18030, by `shift_jis` what Windows adds to it, by `iso-8859-1` Windows-1252. Python knows fewer
names, and takes them at their word, so that one letter which a name does not allow would spoil a text.
"""

from __future__ import annotations

import codecs
import re

_WIDER = {  # of Python's names, what is tried in turn
    "iso8859-1": ("cp1252", "latin-1"),
    "iso8859-9": ("cp1254", "iso8859-9"),
    "iso8859-11": ("cp874", "iso8859-11"),
    "tis-620": ("cp874", "iso8859-11"),
    "gb2312": ("gb18030",),
    "gbk": ("gb18030",),
    "big5": ("big5hkscs", "cp950"),
    "cp950": ("cp950", "big5hkscs"),
    "shift_jis": ("cp932", "shift_jis_2004"),
    "euc_jp": ("euc_jp", "euc_jis_2004"),
    "euc_kr": ("cp949",),
}
_MEANT = {  # names that Python has not, those aside that say a number
    "utf-8": ("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8", "utf8mb4", "utf-8mb4"),
    "utf-16-le": ("csunicode", "iso-10646-ucs-2", "ucs-2", "unicode", "unicodefeff"),
    "utf-16-be": ("unicodefffe",),
    "iso8859-6": ("csiso88596e", "csiso88596i", "iso-8859-6-e", "iso-8859-6-i"),
    "iso8859-7": ("sun_eu_greek",),
    "iso8859-8": ("csiso88598e", "csiso88598i", "iso-8859-8-e", "iso-8859-8-i", "logical", "visual"),
    "iso8859-15": ("csisolatin9",),
    "koi8-r": ("koi", "koi8"),
    "koi8-u": ("koi8-ru",),
    "mac-roman": ("csmacintosh", "mac", "x-mac-roman"),
    "mac-cyrillic": ("x-mac-cyrillic", "x-mac-ukrainian"),
    "cp874": ("dos-874", "windows-874"),
    "gb2312": ("csgb2312", "gb_2312", "gb_2312-80", "x-gbk"),
    "big5": ("cn-big5", "x-x-big5"),
    "euc_jp": ("cseucpkdfmtjapanese",),
    "shift_jis": ("windows-31j", "x-sjis"),
    "euc_kr": ("cseuckr", "csksc56011987", "iso-ir-149", "ks_c_5601-1989", "ksc_5601", "windows-949"),
}
_NAMES = {name: codec for codec, names in _MEANT.items() for name in names}
_NUMBERED = re.compile(r"(?:x-)?(?:cp|windows|iso|ibm)-?(?:(8859)-?(\d{1,2})|(\d{3,5}))")  # x-cp1250, iso88592
# What Python calls an encoding, and no text is written in.
_NO_CHARSETS = frozenset({"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined"})
_JAPANESE = "iso2022_jp"
_TO_JIS = re.compile(rb"\x1b\$[@B]")  # the escapes that all of its texts begin with
_JIS_2004 = b"\x1b$(Q"


def codecs_of(name: str) -> tuple[str, ...]:
    """Python's codecs for an encoding, the likeliest first; none where no encoding is called so."""
    name = name.strip().lower()
    found = _codec(_NAMES.get(name, name)) or _codec(name.removeprefix("x-"))
    if not found and (told := _NUMBERED.fullmatch(name)):
        found = _codec(f"iso8859-{told[2]}" if told[1] else f"cp{told[3]}")
    return _WIDER.get(found, (found,)) if found else ()


def decoded(content: bytes, name: str) -> str:
    """Bytes that are said to be in this encoding, as text.

    Raises:
        LookupError: no encoding is called so.
        UnicodeDecodeError: the bytes are not in it.
    """
    tried = codecs_of(name)
    if not tried:
        raise LookupError(name)
    if tried[0] == _JAPANESE:
        return _japanese(content)
    for codec in tried[:-1]:
        try:
            return content.decode(codec)
        except UnicodeDecodeError:
            pass
    return content.decode(tried[-1])


def is_seven_bit_japanese(content: bytes) -> bool:
    """Whether bytes that look like ASCII are Japanese by its escapes."""
    return _TO_JIS.search(content) is not None


def _codec(name: str) -> str:
    """Python's name of an encoding of text, or nothing."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return ""
    return found.name if getattr(found, "_is_text_encoding", True) and found.name not in _NO_CHARSETS else ""


def _japanese(content: bytes) -> str:
    try:
        return content.decode("iso2022_jp_ext")
    except UnicodeDecodeError:  # figures in circles and the like, which mail programs put into a row that is free
        return _TO_JIS.sub(_JIS_2004, content).decode("iso2022_jp_2004")
