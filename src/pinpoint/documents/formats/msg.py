"""MSG, a mail as Outlook saves it: headers, body and attachments, read with python-oxmsg."""

from __future__ import annotations

import io
from importlib.metadata import version

from pinpoint.documents.extracted import Attachment, Extracted, Page
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats.html import visible_text
from pinpoint.documents.visible import counted
from pinpoint.errors import DocumentError


def read(content: bytes, mime: str, limits: FileLimits) -> Extracted:
    """Headers and body as one page, and the attachments as they are.

    Raises:
        DocumentError: `too_many_attachments`.
    """
    from oxmsg import Message

    message = Message.load(io.BytesIO(content))
    headers = {
        "From": message.sender,
        "To": ", ".join(f"{one.name} <{one.email_address}>" for one in message.recipients),
        "Date": message.sent_date.isoformat() if message.sent_date else None,
        "Subject": message.subject,
    }
    text = [f"{name}: {value}" for name, value in headers.items() if value]
    body, warnings = message.body or "", list[str]()
    if not body.strip() and message.html_body:
        html = message.html_body
        body, warnings = visible_text(html if isinstance(html, str) else html.decode("utf-8", "replace"))
    found = list(message.attachments)
    if len(found) > limits.max_attachments:
        raise DocumentError(
            "too_many_attachments", f"{len(found)} attachments, at most {limits.max_attachments} are read"
        )
    attachments = [
        Attachment(one.file_bytes, one.mime_type or "", one.file_name or "") for one in found if one.file_bytes
    ]
    if len(attachments) < len(found):
        warnings.append(f"{counted(len(found) - len(attachments), 'embedded file')} not read")
    return Extracted(
        "msg", f"python-oxmsg {version('python-oxmsg')}", [Page("\n".join([*text, "", body]))], warnings, attachments
    )
