"""Documents from files: what a reading process can do, which is nothing, and what its end means, which is one file."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pinpoint.documents import confine, reading_process, sandbox
from pinpoint.documents.extracted import Extracted, Untrusted, from_frame, to_frame
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.sandbox import Pool
from pinpoint.errors import DocumentError
from tests import file_makers as make

PDF = make.text_pdf(["Invoice 7"])

# What a file that has taken its reader over would try; each line of output is an attempt and what came of it.
ESCAPES = """
import ctypes, json, os, resource, signal, socket, subprocess, sys, threading
from pinpoint.documents.confine import confine

parent, secret, target = int(sys.argv[1]), sys.argv[2], sys.argv[3]
in_force = confine(1_500_000_000, [*sys.path, sys.prefix, sys.base_prefix])
libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def connect():
    socket.create_connection(("127.0.0.1", int(sys.argv[4])), 2)


def open_for(mode, path):
    with open(path, mode) as file:
        file.read(1) if mode == "r" else file.write("x")


def many():
    return [open("/dev/null") for _ in range(2000)]


ATTEMPTS = {
    "network: tcp": connect,
    "network: udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "network: unix": lambda: socket.socket(socket.AF_UNIX),
    "network: netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "network: io_uring": lambda: call(425, 4, ctypes.create_string_buffer(256)),
    "files: read": lambda: open_for("r", secret),
    "files: passwords": lambda: open_for("r", "/etc/passwd"),
    "files: write": lambda: open_for("w", target),
    "files: temporary": lambda: open_for("w", "/tmp/escaped"),
    "files: list": lambda: os.listdir("/root") and os.listdir("/home") and os.listdir("/tmp"),
    "files: remove": lambda: os.unlink(secret),
    "files: many": many,
    "environment: of the worker": lambda: open_for("r", f"/proc/{parent}/environ"),
    "environment: memory of the worker": lambda: open_for("r", f"/proc/{parent}/mem"),
    "processes: program": lambda: subprocess.run(["/bin/true"], check=True),
    "processes: fork": os.fork,
    "processes: signal": lambda: os.kill(parent, signal.SIGTERM),
    "processes: trace": lambda: call(101, 16, parent, 0, 0),
    "processes: limits of the worker": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (10, 10)),
    "limits: more memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
    "limits: memory": lambda: bytearray(3_000_000_000),
    "rights: namespace": lambda: call(272, 0x20000),
    "rights: mount": lambda: call(165, b"none", b"/mnt", b"tmpfs", 0, None),
}
came = {}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
        came[name] = "done"
    except (OSError, MemoryError, ValueError) as error:
        came[name] = "refused"
threading.Thread(target=int).start()  # that, libraries need
print(json.dumps({"in_force": in_force, "came": came, "environ": sorted(os.environ)}))
"""


@pytest.fixture
def own_pool() -> Iterator[Pool]:
    made = Pool("read", 2, FileLimits(wall_s=10, cpu_s=5))
    yield made
    made.close()


def read(pool: Pool, content: bytes = PDF, seconds: float = 10.0) -> Extracted:
    return asyncio.run(pool.call({"mime": "", "filename": ""}, content, seconds))


def processes(pool: Pool) -> list[int]:
    return [reader._process.pid for reader in pool._idle]


def test_documents_are_read_by_a_process_that_waits(own_pool: Pool) -> None:
    assert read(own_pool).pages[0].text == "Invoice 7"
    first = processes(own_pool)
    assert read(own_pool).pages[0].text == "Invoice 7"
    assert processes(own_pool) == first and first != [os.getpid()]


@pytest.mark.skipif(sys.platform != "linux", reason="the confinement is Linux's")
def test_documents_reader_escapes_nowhere(tmp_path: Path) -> None:
    import json

    secret, target = tmp_path / "secret", tmp_path / "written"
    secret.write_text("key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = subprocess.run(
            [sys.executable, "-c", ESCAPES, str(os.getpid()), str(secret), str(target), str(server.getsockname()[1])],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    if not {"landlock", "seccomp"} <= set(told["in_force"]):
        pytest.skip(f"this kernel allows a process to give up only {told['in_force']}")
    assert {name for name, came in told["came"].items() if came != "refused"} == set()
    assert len(told["came"]) == 23 and secret.exists() and not target.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are looked up where Linux has them")
def test_documents_reader_inherits_neither_secrets_nor_descriptors(
    own_pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNPOD_AI_API_KEY", "a-key-of-the-platform")
    with open(tmp_path / "open", "w") as held, socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(held.fileno(), True)
        os.set_inheritable(server.fileno(), True)
        read(own_pool)
    (pid,) = processes(own_pool)
    reader = psutil.Process(pid)
    assert set(reader.environ()) <= {"LANG", "LD_LIBRARY_PATH", "LC_CTYPE", *sandbox._THREADS}
    assert reader.nice() == max(psutil.Process().nice(), confine.NICENESS), "the worker's own threads go first"
    assert reader.net_connections() == [] or all(not one.laddr for one in reader.net_connections())
    assert len(os.listdir(f"/proc/{pid}/fd")) == 3
    assert str(tmp_path) not in "".join(reader.cmdline())


def test_documents_late_reader_is_replaced_and_its_file_fails_alone(own_pool: Pool) -> None:
    read(own_pool)
    (before,) = processes(own_pool)
    os.kill(before, signal.SIGSTOP)
    with pytest.raises(DocumentError) as caught:
        read(own_pool, seconds=0.5)
    assert caught.value.code == "file_timeout"
    assert not psutil.pid_exists(before)
    assert read(own_pool).pages[0].text == "Invoice 7"
    assert processes(own_pool) != [before]


def test_documents_reader_that_dies_is_replaced_and_its_file_fails_alone(own_pool: Pool) -> None:
    read(own_pool)
    (before,) = processes(own_pool)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(DocumentError) as caught:
        read(own_pool)
    assert caught.value.code == "parser_failed"
    assert read(own_pool).pages[0].text == "Invoice 7"


def test_documents_reader_that_nobody_waits_for_is_ended(own_pool: Pool) -> None:
    read(own_pool)
    (before,) = processes(own_pool)
    os.kill(before, signal.SIGSTOP)

    async def give_up() -> float:
        task = asyncio.create_task(own_pool.call({"mime": "", "filename": ""}, PDF, 60.0))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        began_s = time.monotonic()
        await own_pool.call({"mime": "", "filename": ""}, PDF, 10.0)
        await own_pool.call({"mime": "", "filename": ""}, PDF, 10.0)
        return time.monotonic() - began_s

    assert asyncio.run(give_up()) < 30
    assert not psutil.pid_exists(before)


def test_documents_event_loop_goes_on_while_files_are_read(own_pool: Pool) -> None:
    read(own_pool)
    (before,) = processes(own_pool)
    os.kill(before, signal.SIGSTOP)

    async def both() -> int:
        slow = asyncio.create_task(own_pool.call({"mime": "", "filename": ""}, PDF, 1.0))
        ticks = 0
        while not slow.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(DocumentError):
            await slow
        return ticks

    assert asyncio.run(both()) > 20


def test_documents_readers_are_replaced_in_time(own_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "FILES_EACH", 2)
    seen = list[int]()
    for _ in range(4):
        read(own_pool)
        seen += processes(own_pool)
    assert len(seen) == 2 and len(set(seen)) == 2
    monkeypatch.setattr(sandbox, "FILES_EACH", 100)
    monkeypatch.setitem(sandbox.GROWN_BYTES, "read", 1)
    read(own_pool)
    assert processes(own_pool) == []


def test_documents_readers_end_with_their_pool(own_pool: Pool) -> None:
    read(own_pool)
    (pid,) = processes(own_pool)
    own_pool.close()
    assert not psutil.pid_exists(pid)


def test_documents_no_reader_can_be_started(own_pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_START", "import sys; sys.exit(1)")
    with pytest.raises(DocumentError) as caught:
        read(own_pool)
    assert caught.value.code == "readers_unavailable"


def told(page: str = '["a", "ocr", 1, false]', attachments: str = "[]", **changes: str) -> bytes:
    """JSON as a reader sends it, with changes."""
    fields = {"type": '"eml"', "extractor": '"x"', "pages": f"[{page}]", "warnings": "[]", "attachments": attachments}
    inside = ", ".join(f'"{name}": {value}' for name, value in {**fields, **changes}.items())
    return f"{{{inside}}}".encode()


@pytest.mark.parametrize(
    "head",
    [
        b"{", b"[]", b"5", b"null", b'"x"', b"{}", b"[" * 100_000,
        b'{"code": "Robert\'); --", "message": "x"}', b'{"code": 5, "message": "x"}',
        told(type='"exe"'), told(type="[]"), told(pages="[]"), told(pages="5"), told(warnings="[5]"),
        told('["a", "guess", null, false]'), told('[5, "ocr", null, false]'), told('["a", "ocr", 7, false]'),
        told('["a", "ocr", 1, 0]'), told('["a", "ocr", 1]'),
        told(attachments='[["", "", 9]]'), told(attachments='[["", "", -1]]'), told(attachments='[["", "", 0.0]]'),
    ],
)  # fmt: skip
def test_documents_answer_of_a_reader_is_believed_only_where_it_is_one(head: bytes) -> None:
    assert from_frame(told(), b"", max_pages=10).pages[0].text == "a"
    with pytest.raises(Untrusted):
        from_frame(head, b"", max_pages=10)


def test_documents_frame_there_and_back() -> None:
    found = from_frame(*frame(reading()), max_pages=10)
    assert found == reading()
    with pytest.raises(Untrusted):
        from_frame(*frame(reading()), max_pages=0)
    with pytest.raises(DocumentError) as caught:
        from_frame(*frame(DocumentError("pdf_encrypted", "a\x1bb")), max_pages=10)
    assert (caught.value.code, caught.value.message, caught.value.args[0]) == ("pdf_encrypted", "a�b", "pdf_encrypted")


def reading() -> Extracted:
    from pinpoint.documents.extracted import Attachment, Page

    return Extracted("eml", "x 1", [Page("a", "ocr", 0.5), Page("b")], ["w"], [Attachment(b"123", "a/b", "n")])


def frame(outcome: Extracted | DocumentError) -> tuple[bytes, bytes]:
    head, body = to_frame(outcome)
    return head, b"".join(body)


def test_documents_reader_without_landlock_becomes_nobody_only_where_nobody_can_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "shut").mkdir(mode=0o700)
    assert confine.readable_by_all(["/usr/lib", "/no/such/folder"])
    assert not confine.readable_by_all(["/usr/lib", str(tmp_path / "shut")])


def test_documents_reader_reads_nothing_in_this_process(in_pool: Callable[..., Extracted]) -> None:
    in_pool(PDF)
    assert reading_process.SIZES.size == 16
    script = (
        "import sys; from pinpoint.serving import worker, files; from pinpoint.settings import Settings; "
        "files.file_reader(Settings()); "
        "print([name for name in ('pypdfium2', 'lxml', 'openpyxl', 'PIL', 'rapidocr', 'oxmsg') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
