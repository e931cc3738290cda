"""`make fuzz`: files that nobody made on purpose, through every reader and through jobs as a whole, for some minutes.

Hypothesis draws a file of a real writer and what is done to it (bytes changed, cut out, doubled, put in from another
file; of archives, inside of a member), and a job around it. Counted are:

    inputs      files and jobs that were tried
    crashes     anything but an answer or a refusal, in the process of the worker
    hangs       refusals because reading took too long
    outside     answers that the contract does not know
    escapes     attempts of a confined process to reach the network, files or the environment that succeeded
    contained   reading processes that died of their file, which the worker survived

Exit code 1 where one of the middle four is not 0. What fails is written to the folder `runs/fuzz`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import typer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pinpoint.documents.extracted import Extracted
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.sandbox import Pool
from pinpoint.error_codes import ERROR_CODES
from pinpoint.errors import DocumentError
from pinpoint.serving import worker as worker_module
from pinpoint.serving.worker import Worker
from pinpoint.settings import Settings
from tests import file_makers as make
from tests.fakes import FakeEngine
from tests.msg_maker import msg_file

LIMITS = FileLimits(wall_s=20, cpu_s=15, max_inflated_bytes=50_000_000)
LABELS = ["invoice", "receipt", "contract"]
ROUND = 100  # examples between two looks at the clock
FOLDER = Path("runs/fuzz")
WORDS = (
    b"%PDF-1.7", b"endobj", b"stream", b"/Length 99999999", b"/Kids[2 0 R]", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;",
    b"PK\x03\x04", b"PK\x05\x06", b"\xff\xd8\xff", b"\0" * 64, b"<table>" * 50, b"{\\rtf1", b"--b", b"\xff\xfe",
    b"Content-Type: message/rfc822", b"\xed\xa0\x80", b"9" * 40, b"-1", b"../" * 8,
)  # fmt: skip


def corpus() -> dict[str, bytes]:
    """A file of each kind."""
    picture = make.rendered(make.text_pdf([make.prose(20)]), dpi=30)
    rows = [["Item", "Price"], ["Tea", "1.00"]]
    return {
        "pdf": make.text_pdf([make.prose(40), "Total"]),
        "columns": make.two_column_pdf(8)[0],
        "table": make.table_pdf(rows),
        "unseen": make.unseen_pdf("a", "b", "c", "d"),
        "scan": make.scanned_pdf([picture]),
        "docx": make.docx_file(["One", "Two"], rows, "Head"),
        "xlsx": make.xlsx_file({"A": rows}),
        "pptx": make.pptx_file([("T", "B", "N")]),
        "odt": make.odt_file("<text:p>x</text:p>"),
        "html": b"<html><head><title>T</title></head><body><table><tr><td>a<td>b</table><p style='color:white'>x",
        "eml": make.mail("S", "text", "<p>h</p>", [("a", "text/plain", b"x"), ("m", "message/rfc822", make.mail())]),
        "msg": msg_file(attachments=[("a.txt", "text/plain", b"x"), ("b", "", b"y" * 5000)]),
        "rtf": rb"{\rtf1\ansi\deff0 {\fonttbl{\f0 Arial;}}\f0 Invoice \b 7\b0\par \'80\par}",
        "png": make.picture_bytes(picture),
        "jpeg": make.picture_bytes(picture, "JPEG"),
        "tiff": make.picture_bytes(picture, "TIFF", save_all=True, append_images=[picture]),
        "webp": make.picture_bytes(picture, "WEBP"),
        "csv": b"a;b\n1;\"2\n3\"\n",
        "text": "Grüße, 請求書".encode(),
    }  # fmt: skip


CORPUS = corpus()
place = st.floats(0, 1, exclude_max=True)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("set"), place, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), place, place),
        st.tuples(st.just("double"), place, place),
        st.tuples(st.just("word"), place, st.sampled_from(WORDS)),
        st.tuples(st.just("end"), place, st.just(0)),
    ),
    max_size=6,
)


def edited(content: bytes, changes: list[tuple[Any, ...]]) -> bytes:
    """A file after some changes."""
    for kind, where, what in changes:
        at = int(where * len(content))
        if kind == "set":
            content = content[:at] + what + content[at + len(what) :]
        elif kind == "word":
            content = content[:at] + what + content[at:]
        elif kind == "cut":
            content = content[:at] + content[at + int(what * 200) :]
        elif kind == "double":
            content = content[:at] + content[at : at + int(what * 2000)] * 3 + content[at:]
        else:
            content = content[:at]
        content = content[:2_000_000]
    return content


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A file with changes; of an archive mostly inside of one member, so that it stays an archive."""
    content = CORPUS[draw(st.sampled_from(sorted(CORPUS)))]
    changes = draw(edits)
    if content.startswith(b"PK") and draw(st.integers(0, 3)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = draw(st.sampled_from(sorted(archive.namelist())))
            return make.with_members(content, {name: edited(archive.read(name), changes)})
    if not draw(st.integers(0, 5)):
        content += CORPUS[draw(st.sampled_from(sorted(CORPUS)))]
    return edited(content, changes)


# Mostly none, so that what is behind the comparison with the bytes is reached.
MIMES = (*[""] * 8, "application/pdf", "text/plain", "text/html; charset=utf-8", "message/rfc822", "text/csv", "x" * 50)


class Fuzz:
    """Tries inputs and counts what came of them."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.codes = Counter[str]()
        self.pool = Pool("read", 2, LIMITS)
        engine = FakeEngine()
        worker_module.get_scorer = lambda settings: engine  # type: ignore[assignment,attr-defined,return-value]
        self.worker = Worker(Settings(ocr="off", file_s=20))
        self.known = {entry.code for entry in ERROR_CODES}

    def file(self, content: bytes, mime: str) -> None:
        """One file, through its reader."""
        self.counts["inputs"] += 1
        try:
            found = asyncio.run(self.pool.call({"mime": mime, "filename": ""}, content, LIMITS.wall_s))
            if not isinstance(found, Extracted) or not found.pages:
                self._note("outside", content)
            self.codes["read"] += 1
        except DocumentError as error:
            self._refused(error.code, error.message, content)
        except Exception as error:  # what is looked for
            self._note("crashes", content, repr(error))

    def job(self, documents: list[dict[str, Any]], options: dict[str, Any]) -> None:
        """One job of several documents, through the worker."""
        self.counts["inputs"] += 1
        raw = {"documents": documents, "labels": LABELS, "options": options}
        try:
            came = asyncio.run(self.worker.handle({"id": "", "input": raw}))
            wire = json.dumps(came, allow_nan=False)
        except Exception as error:  # what is looked for
            self._note("crashes", repr(raw).encode(), repr(error))
            return
        if "error" in came:
            self._refused(came["error"].partition(":")[0], came["error"], wire.encode())
            return
        for result in came["results"]:
            if result["status"] == "error":
                self._refused(result["error"]["code"], result["error"]["message"], wire.encode())
            elif not _is_answer(result):
                self._note("outside", wire.encode())

    def _refused(self, code: str, message: str, content: bytes) -> None:
        self.codes[code] += 1
        if code in ("file_timeout", "deadline_exceeded"):
            self._note("hangs", content, code)
        elif code == "parser_failed":
            self._note("contained", content)
        elif code in ("internal", "not_serialisable", "readers_unavailable"):
            self._note("crashes", content, code)
        elif code not in self.known or not message.isprintable() or "Traceback" in message:
            self._note("outside", content, code)

    def _note(self, what: str, content: bytes, why: str = "") -> None:
        self.counts[what] += 1
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{what}-{hashlib.sha256(content).hexdigest()[:12]}").write_bytes(content)
        if why:
            print(f"{what}: {why}", file=sys.stderr)


def _is_answer(result: dict[str, Any]) -> bool:
    answer, read = result["answers"]["category"], result["input"]
    return (
        answer["label"] in LABELS
        and sorted(answer["labels"]) == sorted(LABELS)
        and abs(sum(answer["scores"]) - 1) < 1e-4
        and read["pages"] >= 1
        and set(read.get("text_source", [])) <= {"embedded", "ocr", "none"}
        and all(isinstance(warning, str) and re.fullmatch("[ -~]+", warning) for warning in result["warnings"])
    )


def escapes() -> tuple[int, int]:
    """Attempts of a confined process to reach out, and how many succeeded."""
    from tests.unit.documents.test_documents_sandbox import ESCAPES

    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text("key", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", ESCAPES, str(os.getppid()), str(secret), str(Path(folder) / "written"), "9"],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    came = json.loads(done.stdout)["came"]
    return len(came), sum(one != "refused" for one in came.values())


def main(
    minutes: float = typer.Option(5.0, help="How long to try."),
    as_json: bool = typer.Option(False, "--json", help="Figures as JSON."),
) -> None:
    """Try files and jobs until the time is over."""
    fuzz, ends_s = Fuzz(), time.monotonic() + minutes * 60
    tried, succeeded = escapes()
    fuzz.counts.update({"escapes_tried": tried, "escapes": succeeded})
    told = settings(
        max_examples=ROUND, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @told
    @given(content=files(), mime=st.sampled_from(MIMES))
    def one_file(content: bytes, mime: str) -> None:
        if time.monotonic() < ends_s:
            fuzz.file(content, mime)

    encoded = files().map(lambda content: base64.b64encode(content).decode())
    members = st.fixed_dictionaries(
        {"base64": st.one_of(encoded, st.text(max_size=20))},
        optional={
            "mime": st.one_of(st.none(), st.sampled_from(MIMES), st.text(max_size=10)),
            "filename": st.text(max_size=10),
            "attachments": st.sampled_from(["pages", "documents", "none"]),
        },
    )
    options = st.fixed_dictionaries(
        {},
        optional={
            "split": st.booleans(),
            "first_pages": st.integers(1, 3),
            "ignore_blank_pages": st.booleans(),
            "long_document": st.sampled_from(["pages", "head_tail", "error"]),
        },
    )

    @told
    @given(documents=st.lists(members, min_size=1, max_size=4), options=options)
    def one_job(documents: list[dict[str, Any]], options: dict[str, Any]) -> None:
        if time.monotonic() < ends_s:
            fuzz.job(documents, options)

    while time.monotonic() < ends_s:
        one_file()
        one_job()
    fuzz.pool.close()
    fuzz.worker._files.close()
    names = ("inputs", "crashes", "hangs", "outside", "escapes_tried", "escapes", "contained")
    figures = {name: fuzz.counts[name] for name in names}
    print(json.dumps({**figures, "codes": dict(fuzz.codes.most_common())}, indent=None if as_json else 2))
    raise typer.Exit(1 if any(figures[name] for name in ("crashes", "hangs", "outside", "escapes")) else 0)


if __name__ == "__main__":
    typer.run(main)
