"""Archives of XML, as Office and OpenDocument files are: opened within limits, parsed without entities.

What an archive says of its sizes bounds what `zipfile` inflates of it, so that the sum of what it says is a bound of
all of it. Nothing is ever written to a disk; a name that points outside is refused all the same, since nobody honest
writes one.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING

from pinpoint.documents.file_limits import FileLimits
from pinpoint.errors import DocumentError

if TYPE_CHECKING:
    from lxml import etree

_DRIVE = re.compile(r"[A-Za-z]:")
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.I)
_ENCRYPTED = 0x1


def member_names(content: bytes) -> list[str]:
    """The names in an archive, none where its directory cannot be read."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, RecursionError):
        return []


class Archive:
    """An open archive whose members are read whole."""

    def __init__(self, content: bytes, limits: FileLimits) -> None:
        """Look at its directory.

        Raises:
            DocumentError: `file_damaged`, `file_expands`, `unsafe_archive`, `file_encrypted`.
        """
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise _damaged() from error
        members = self._zip.infolist()
        if len(members) > limits.max_members:
            raise DocumentError(
                "file_expands", f"{len(members)} files in the archive, at most {limits.max_members} are read"
            )
        inflated = sum(member.file_size for member in members)
        if inflated > limits.max_inflated_bytes:
            raise DocumentError(
                "file_expands", f"{inflated} bytes once inflated, at most {limits.max_inflated_bytes} are read"
            )
        for member in members:
            name = member.filename.replace("\\", "/")
            if name.startswith("/") or ".." in name.split("/") or _DRIVE.match(name):
                raise DocumentError("unsafe_archive", "a name in the archive points outside of it")
            if member.flag_bits & _ENCRYPTED:
                raise DocumentError("file_encrypted", "the file needs a password; send it without one")
        self.names = {member.filename for member in members}

    def read(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            DocumentError: `file_damaged`.
        """
        try:
            return self._zip.read(name)
        except (KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError) as error:
            raise _damaged() from error

    def xml(self, name: str, *, doctype: bool = False) -> etree._Element:
        """The root of a member.

        Args:
            name: of the member.
            doctype: whether it may declare a document type, without entities.

        Raises:
            DocumentError: `file_damaged`, `unsafe_xml`.
        """
        return parsed(self.read(name), doctype=doctype)

    def refuse_doctypes(self) -> None:
        """Refuse any document type in any member, for a library that parses them by itself.

        Raises:
            DocumentError: `file_damaged`, `unsafe_xml`.
        """
        for name in sorted(self.names):
            if name.lower().endswith((".xml", ".rels", ".vml")):
                prolog = self.read(name).replace(b"\0", b"")
                if _DOCTYPE.search(prolog):
                    raise _unsafe()

    def counted(self, *folders: str) -> int:
        """How many members lie below one of these folders."""
        return sum(name.startswith(folders) and not name.endswith("/") for name in self.names)


def parsed(content: bytes, *, doctype: bool = False) -> etree._Element:
    """The root of XML that came from outside; see `Archive.xml`."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        if _DOCTYPE.search(content.replace(b"\0", b"")):
            raise _unsafe() from error
        raise _damaged() from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and (not doctype or declared.entities()):
        raise _unsafe()
    return root


def _damaged() -> DocumentError:
    return DocumentError("file_damaged", "the file is cut short or damaged; send it again")


def _unsafe() -> DocumentError:
    return DocumentError("unsafe_xml", "XML in the file declares entities or a document type; save it anew")
