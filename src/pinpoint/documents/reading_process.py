"""The reading process: gives up what it does not need, then reads one file after the other until its pipe closes.

    size of head, of body │ head: JSON │ body: the file      →
                          ←  size of head, of body │ head: JSON, see `extracted` │ body: attachments

It is started by `sandbox` as a program of its own with an empty environment and one descriptor, its standard input,
which is a socket to the worker. It imports the readers of formats as files of them come.
"""

from __future__ import annotations

import json
import mimetypes
import os
import resource
import struct
import sys
from typing import Any

SIZES = struct.Struct("<QQ")
_CHUNK_BYTES = 1 << 20
_PIPE = 0


def main(task: str) -> None:
    """Serve until nobody asks any more; `task` is what for, "read", "recognise" or "show"."""
    from pinpoint.documents.confine import confine

    told = _take()
    if told is None:
        return
    limits = json.loads(told[0])
    mimetypes.init([])  # openpyxl asks for it, and it would look into files that are shut then
    in_force = confine(limits["memory_bytes"], [*sys.path, sys.prefix, sys.base_prefix])
    if task == "recognise":
        from pinpoint.documents.recognise import prepare

        prepare()
    else:
        import pypdfium2  # noqa: F401
    _give(json.dumps({"in_force": in_force}).encode("ascii"), [])
    while True:
        told = _take()
        if told is None:
            return
        _give(*_answer(json.loads(told[0]), told[1]))


def _answer(asked: dict[str, Any], content: bytes) -> tuple[bytes, list[bytes]]:
    from pinpoint.documents.extracted import to_frame
    from pinpoint.documents.file_limits import FileLimits
    from pinpoint.errors import DocumentError

    limits = FileLimits(**asked["limits"])
    _bound_cpu(int(limits.ocr_wall_s) if asked["task"] == "recognise" else limits.cpu_s)
    try:
        if asked["task"] == "read":
            from pinpoint.documents.extract import extract

            outcome = extract(content, asked["mime"], asked["filename"], limits)
        elif asked["task"] == "show":
            from pinpoint.documents.pictures import show

            outcome = show(content, asked["type"], asked["page"], limits)
        else:
            from pinpoint.documents.recognise import recognise

            outcome = recognise(content, asked["type"], asked["page"], limits)
    except DocumentError as error:
        return to_frame(error)
    except MemoryError:
        return to_frame(DocumentError("file_memory", "reading the file takes more memory than a file may take"))
    head, body = to_frame(outcome)
    if len(head) + sum(map(len, body)) > limits.output_bytes:
        return to_frame(DocumentError("file_expands", f"more than {limits.output_bytes} bytes came out of the file"))
    return head, body


def _bound_cpu(seconds: int) -> None:
    """So many more seconds of this process's time, then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, most))


def _take() -> tuple[bytes, bytes] | None:
    """Head and body of what is asked, None where nobody asks any more."""
    sizes = _exactly(SIZES.size)
    if sizes is None:
        return None
    head_bytes, body_bytes = SIZES.unpack(sizes)
    head, body = _exactly(head_bytes), _exactly(body_bytes)
    return None if head is None or body is None else (head, body)


def _exactly(size: int) -> bytes | None:
    pieces, left = list[bytes](), size
    while left:
        piece = os.read(_PIPE, min(left, _CHUNK_BYTES))
        if not piece:
            return None
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _give(head: bytes, body: list[bytes]) -> None:
    for piece in (SIZES.pack(len(head), sum(map(len, body))), head, *body):
        view = memoryview(piece)
        while view:
            view = view[os.write(_PIPE, view) :]


if __name__ == "__main__":
    main(sys.argv[1])
