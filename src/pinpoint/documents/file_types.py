"""The types of file that are read: how each is called, and by which declared types its senders know it."""

from __future__ import annotations

from dataclasses import dataclass

# Said of a file by senders who do not know it: no claim that could be wrong.
UNDECLARED = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/x-download", "application/force-download"}
)


@dataclass(frozen=True, slots=True)
class FileType:
    """One type of file.

    Attributes:
        name: as it stands in answers.
        mime: its registered type, as messages name it.
        also: what else it is declared as.
        extensions: of its names, which decide between types that their bytes do not tell apart.
        text: whether it is text whose encoding has to be found.
    """

    name: str
    mime: str
    also: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    text: bool = False

    def answers_to(self, mime: str) -> bool:
        """Whether a declared type is one of its own."""
        return mime == self.mime or mime in self.also


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_MACROS = "application/vnd.ms-"

_PACKED = ("application/zip", "application/x-zip-compressed")  # true of all of them, if not the whole of it

FILE_TYPES = {
    one.name: one
    for one in (
        FileType("pdf", "application/pdf", ("application/x-pdf",), ("pdf",)),
        FileType(
            "docx", f"{_OOXML}wordprocessingml.document",
            (*_PACKED, "application/msword", f"{_OOXML}wordprocessingml.template",
             f"{_MACROS}word.document.macroenabled.12",
             f"{_MACROS}word.template.macroenabled.12"), ("docx", "docm", "dotx", "dotm"),
        ),
        FileType(
            "xlsx", f"{_OOXML}spreadsheetml.sheet",
            (*_PACKED, f"{_MACROS}excel", f"{_OOXML}spreadsheetml.template", f"{_MACROS}excel.sheet.macroenabled.12",
             f"{_MACROS}excel.template.macroenabled.12"), ("xlsx", "xlsm", "xltx", "xltm"),
        ),
        FileType(
            "pptx", f"{_OOXML}presentationml.presentation",
            (*_PACKED, f"{_MACROS}powerpoint", f"{_OOXML}presentationml.slideshow",
             f"{_OOXML}presentationml.template",
             f"{_MACROS}powerpoint.presentation.macroenabled.12", f"{_MACROS}powerpoint.slideshow.macroenabled.12"),
            ("pptx", "pptm", "ppsx", "potx"),
        ),
        FileType(
            "odt", f"{_ODF}text",
            (*_PACKED, f"{_ODF}text-template", f"{_ODF}text-flat-xml"), ("odt", "ott", "fodt"),
        ),
        FileType(
            "ods", f"{_ODF}spreadsheet",
            (*_PACKED, f"{_ODF}spreadsheet-template", f"{_ODF}spreadsheet-flat-xml"), ("ods", "ots", "fods"),
        ),
        FileType(
            "odp", f"{_ODF}presentation",
            (*_PACKED, f"{_ODF}presentation-template", f"{_ODF}presentation-flat-xml"), ("odp", "otp", "fodp"),
        ),
        FileType("html", "text/html", ("application/xhtml+xml",), ("html", "htm", "xhtml"), text=True),
        FileType("eml", "message/rfc822", ("application/eml",), ("eml",)),
        FileType("msg", f"{_MACROS}outlook", (f"{_MACROS}office",), ("msg",)),
        FileType("rtf", "application/rtf", ("text/rtf", "application/msword"), ("rtf",)),
        FileType("png", "image/png", ("image/x-png",), ("png",)),
        FileType("jpeg", "image/jpeg", ("image/jpg", "image/pjpeg"), ("jpg", "jpeg")),
        FileType("tiff", "image/tiff", ("image/tif",), ("tif", "tiff")),
        FileType("webp", "image/webp", (), ("webp",)),
        FileType("csv", "text/csv", ("application/csv", f"{_MACROS}excel"), ("csv",), text=True),
        FileType("tsv", "text/tab-separated-values", ("text/tsv",), ("tsv", "tab"), text=True),
        FileType("text", "text/plain", (), ("txt", "text", "log", "md"), text=True),
    )
}  # fmt: skip

# What else is plain text, by what it is declared as; of a type that is read in another way, it says nothing.
_WRITTEN = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml", "application/x-ndjson",
     "application/jsonl", "application/sql", "application/javascript", "application/x-tex"}
)  # fmt: skip

MAILS = ("eml", "msg")  # whose attachments are documents of their own where that is asked
IMAGES = ("png", "jpeg", "tiff", "webp")


def is_plain_text(mime: str) -> bool:
    """Whether a declared type is some plain text: Markdown, JSON, XML, a calendar."""
    if any(one.answers_to(mime) for one in FILE_TYPES.values()):
        return FILE_TYPES["text"].answers_to(mime)
    if mime in _WRITTEN or mime.startswith("text/"):
        return True
    return mime.startswith("application/") and mime.endswith(("+json", "+xml"))  # and no picture in XML


def declared_type(mime: str) -> str:
    """A declared type without its parameters, in lower case."""
    return mime.partition(";")[0].strip().lower()


def declared_charset(mime: str) -> str:
    """The `charset` of a declared type, or nothing."""
    for parameter in mime.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return ""


def extension(filename: str) -> str:
    """The end of a file's name, in lower case and without the dot."""
    return filename.rpartition(".")[2].lower() if "." in filename else ""
