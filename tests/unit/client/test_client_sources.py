"""Client sources: files, folders, tables and stores as documents; what cannot be read is an error or a line."""

from __future__ import annotations

import base64
import bz2
import csv
import gzip
import json
import lzma
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinpoint.client.bulk import paths, remote, streams, tables
from pinpoint.client.bulk.items import Item, Reading, check, items
from pinpoint.client.bulk.journal import Journal
from pinpoint.client.bulk.tally import Tally
from pinpoint.client.bulk.writing import AHEAD, to_begin
from pinpoint.client.documents import Document
from pinpoint.client.jobs import packed
from pinpoint.errors import DocumentError, PinpointError
from pinpoint.prices import PRICES, price_of


@pytest.fixture(autouse=True)
def limit_of_csv() -> Iterator[None]:
    """Cells of any length are a matter of the whole process, and of these tests alone here."""
    limit = csv.field_size_limit()
    yield
    csv.field_size_limit(limit)


def read(*sources: Path | str, **reading: Any) -> dict[str, Any]:
    """Each document's fields by its id, or the code of its error."""
    found = dict[str, Any]()
    for item in items([str(one) for one in sources], Reading(**reading)):
        assert item.id not in found
        try:
            document = item.load()
            assert document.id == item.id
            found[item.id] = json.loads(b"{" + document.fields + b"}")
        except DocumentError as error:
            found[item.id] = error.code
    return found


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(PinpointError) as raised:
        call()
    return raised.value.code


def test_files_of_a_folder_come_by_name_once_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.csv", "a/b.txt", ".hidden", ".git/x", "large.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x" * (100 if name == "large.bin" else 3))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    found = read(tmp_path, max_file_bytes=50, attachments="none")
    assert list(found) == [f"{tmp_path}/{name}" for name in ("a/b.txt", "a/z.csv", "b.txt", "large.bin")]
    assert found[f"{tmp_path}/large.bin"] == "file_too_large"
    one = found[f"{tmp_path}/a/z.csv"]  # in a folder a table is a document
    assert one == {"base64": base64.b64encode(b"xxx").decode(), "filename": "z.csv", "attachments": "none"}
    (tmp_path / "all.csv").mkdir()
    (tmp_path / "all.csv" / "c.txt").write_text("x")
    assert list(read(tmp_path / "all.csv")) == [f"{tmp_path}/all.csv/c.txt"], "a folder, whatever its name ends in"
    assert list(read(f"{tmp_path}/*.txt", tmp_path / "a" / "b.txt")) == [f"{tmp_path}/b.txt", f"{tmp_path}/a/b.txt"]


def test_links_lead_nowhere_twice_and_a_folder_that_cannot_be_read_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "shut").mkdir(parents=True)
    (tmp_path / "a" / "b.txt").write_text("x")
    (tmp_path / "top.txt").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to("self")
    scandir = os.scandir

    def shut(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", shut)
    own = [f"{tmp_path}/a/b.txt", f"{tmp_path}/a/shut", f"{tmp_path}/top.txt"]
    for source in (tmp_path, f"file://{tmp_path}"):
        found = read(source)
        assert [one.removeprefix("file://") for one in found] == own
        assert found[list(found)[1]] == "unreadable_file" and found[list(found)[2]]["filename"] == "top.txt"
    # `**` too, which glob would follow through every link to a folder above.
    assert list(read(f"{tmp_path}/**/*.txt")) == [own[0], own[2]]
    assert list(read(f"{tmp_path}/**/a/*.txt")) == list(read(f"{tmp_path}/a/**"))[:1] == [own[0]]
    monkeypatch.chdir(tmp_path)
    assert list(read("**/*.txt")) == ["a/b.txt", "top.txt"]
    assert code(lambda: check(["**/*.pdf"], Reading())) == "unreadable_file"
    assert code(lambda: read(tmp_path / "a" / "shut")) == "unreadable_file"
    # Of what is like a name, files alone: neither folders nor what is in them.
    assert list(paths.files(f"{tmp_path}/*")) == [own[2]]
    assert not list(paths.files(f"{tmp_path}/**/a"))
    monkeypatch.setattr(paths, "_below", lambda folder: iter([f"{folder}x.txt"]))
    assert list(paths.files("/**/*.txt")) == ["/x.txt"]


def test_a_file_that_cannot_be_looked_at_is_told_and_not_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("x" * 300)  # longer than a name may be; else a drive that fails, a folder that is shut
    assert read(tmp_path) == {f"{tmp_path}/a": "unreadable_file"}


def test_a_folder_is_read_however_deep_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1100):  # deeper than Python calls itself
        os.mkdir("d")
        os.chdir("d")
    Path("a.txt").write_text("x")
    os.chdir(tmp_path)
    assert [name.count("/") for name in read("d")] == [1100]
    subprocess.run(["rm", "-r", "d"], check=True)  # pytest's own removal calls itself


def test_what_has_no_end_is_too_large_and_a_name_that_is_not_utf8_is_no_matter(tmp_path: Path) -> None:
    assert read("/dev/zero", max_file_bytes=50) == {"/dev/zero": "file_too_large"}
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"x")
    assert [one["filename"] for one in read(tmp_path).values()] == ["caf\ufffd.txt"]


def test_a_file_that_goes_between_the_look_and_the_reading_is_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    [item] = items([str(tmp_path / "a.txt")], Reading())
    (tmp_path / "a.txt").unlink()
    assert code(item.load) == "unreadable_file"


def test_a_run_s_own_output_is_no_document_of_the_folder_it_lies_in(tmp_path: Path) -> None:
    for name in ("a.txt", "out.jsonl", "out.jsonl.progress"):
        (tmp_path / name).write_text("x")
    for scheme in ("", "file://"):
        found = read(f"{scheme}{tmp_path}", own=(f"{tmp_path}/out.jsonl",))
        assert list(found) == [f"{scheme}{tmp_path}/a.txt"]


def test_sources_that_stand_for_nothing_are_told_before_anything_is_read(tmp_path: Path) -> None:
    for source in (f"{tmp_path}/none", f"{tmp_path}/*.pdf", "a\0b"):
        assert code(lambda source=source: check([str(tmp_path), source], Reading())) == "unreadable_file"  # type: ignore[misc]


def test_json_lines_are_documents_of_the_contract_and_bad_ones_errors_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        '{"id": "a", "text": "one", "label": "x"}', "", '{"id": 7, "pages": ["p", "q"]}', "no json", "[1]",
        '{"id": "u", "url": "https://x/y", "mime": "text/plain"}', '{"id": "n", "text": 5}',
        '{"text": "t", "url": "u"}',
        '{"text": ""}', '{"id": true, "text": "t"}', '{"id": "p", "pages": [1]}', "{" * 5000,
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    assert read(path) == {
        "a": {"text": "one"}, "7": {"pages": ["p", "q"]}, f"{path}:4": "invalid_line", f"{path}:5": "invalid_line",
        "u": {"url": "https://x/y", "mime": "text/plain"}, "n": "invalid_line", f"{path}:8": "invalid_line",
        f"{path}:9": "invalid_line", f"{path}:10": {"text": "t"}, "p": "invalid_line", f"{path}:12": "invalid_line",
    }  # fmt: skip
    path.write_text('{"body": "b", "key": "k"}\n')
    assert read(path, text="body", id="key") == {"k": {"text": "b"}}


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), max_size=6),
    separator=st.sampled_from([",", ";", "\t"]),
    mark=st.booleans(),
)
def test_tables_give_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str], separator: str, mark: bool
) -> None:
    path = tmp_path_factory.mktemp("t") / ("in.tsv" if separator == "\t" else "in.csv")
    with path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(["id", "text", "more"])
        writer.writerows([[f"r{n}", text, "x"] for n, text in enumerate(rows)])
    assert read(path) == {f"r{n}": {"text": text} for n, text in enumerate(rows)}


def test_tables_that_cannot_be_read_are_a_line(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    for content, told in (
        (b"a,b\n1,2\n", "missing_column"), (b"", "missing_column"), (b"text\n\xff\xfe\xff\n", "invalid_encoding"),
    ):  # fmt: skip
        path.write_bytes(content)
        assert code(lambda: read(path)) == told
        if told == "missing_column":
            assert code(lambda: check([str(path)], Reading())) == told, "before anything is sent"
    path.write_bytes(b"text\nx\n")
    assert code(lambda: read(path, id="key")) == "missing_column"
    csv.field_size_limit(100)  # of whoever reads tables beside us
    path.write_text("text\n" + "x" * 300_000)
    assert read(path) == {f"{path}:1": {"text": "x" * 300_000}}
    path.write_bytes(b"text,id\nonly the text\n,b\n")
    assert read(path) == {f"{path}:1": {"text": "only the text"}, "b": "invalid_line"}


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("Id, Text\n7, a\n", {"7": "a"}),
        ("sep=|\nid|text\n7|a;b,c\n", {"7": "a;b,c"}),
        ("sep=\t\r\nid\ttext\r\n7\ta,b,c\r\n", {"7": "a,b,c"}),
        ("sep=;\n", "missing_column"),
        ("id,text\n7,a,,\n8,a, b\n", {"7": "a", "in.csv:2": "invalid_line"}),
        ("text\nr1,a\n", {"in.csv:1": "invalid_line"}),
        ('id\ttext\t"mo\nre"\n7\ta\tb\n', {"7": "a"}),
        ("id,text,ID,Text\n7,a,8,b\n", {"7": "a"}),
        ('id,text\n7,"a\n8,b\n', "invalid_line"),
        ('id,"text\n7,a\n', "invalid_line"),
        ("id,text,text\n7,a,b\n", "missing_column"),
        ("id,text\n7,\n8\n", {"7": "invalid_line", "8": "invalid_line"}),
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, content: str, found: dict[str, str] | str) -> None:
    path = tmp_path / "in.csv"
    path.write_text(content, newline="")
    if isinstance(found, str):
        assert code(lambda: read(path)) == found
    else:
        told = {name.removeprefix(f"{tmp_path}/"): one for name, one in read(path).items()}
        assert {name: one if isinstance(one, str) else one["text"].strip() for name, one in told.items()} == found


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_tables_are_unpacked_as_they_are_read(
    tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"in.csv.{ending}"
    path.write_bytes(pack(b"text\na\n"))
    assert read(path) == {f"{path}:1": {"text": "a"}}
    lines = tmp_path / f"in.jsonl.{ending}"
    packed = pack(b'{"text": "a"}\n' * 9)
    for wrong in (packed[:-9], packed[:10] + b"\xff" * 5 + packed[15:], b"no such thing"):
        lines.write_bytes(wrong)
        assert code(lambda: read(lines)) == "unreadable_file"


def test_lines_are_bounded_and_in_one_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_LINE", 50)
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'\xef\xbb\xbf\n{"text": "a"}\r\n{"text": "' + b"x" * 200 + b'"}\n{"text": "b"}')
    assert list(read(path).values()) == [{"text": "a"}, "invalid_line", {"text": "b"}]
    path.write_text('{"text": "a"}\n', encoding="utf-16")
    assert code(lambda: read(path)) == "invalid_encoding"
    table = tmp_path / "in.csv"
    table.write_text('text\n"' + "x" * 80)
    assert code(lambda: read(table)) == "invalid_line"


def test_columns_of_parquet_may_be_bytes_numbers_or_in_another(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    path = tmp_path / "in.parquet"
    rows = [
        {"ID": 1.5, "base64": b"file", "mail": {"body": "one", "key": b"k"}, "mime": None},
        {"ID": float("nan"), "base64": b"", "mail": None, "mime": "text/plain"},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read(path) == {"1.5": {"base64": base64.b64encode(b"file").decode()}, f"{path}:2": "invalid_line"}
    assert read(path, text="mail.body", id="mail.key") == {"k": {"text": "one"}, f"{path}:2": "invalid_line"}
    parquet.write_table(pyarrow.table({"text": [b"t\xc3\xa4", b"\xff"], "id": [b"\xff", b"b"]}), path)
    assert read(path) == {"ff": {"text": "tä"}, "b": "invalid_encoding"}
    parquet.write_table(pyarrow.table({"mail.body": ["a"], "mail.key": ["k"], "mail": [b"x"]}), path)
    assert read(path, text="mail.body", id="mail.key") == {"k": {"text": "a"}}
    parquet.write_table(pyarrow.table({"text": ["a"], "mime": [5]}), path)
    assert read(path) == {f"{path}:1": "invalid_line"}


def test_parquet_is_read_a_few_rows_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
    path = tmp_path / "in.parquet"
    rows = [{"id": n, "text": f"text {n}" if n != 3 else None, "other": b"x"} for n in range(600)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    found = read(path)
    assert len(found) == 600 and found["3"] == "invalid_line" and found["599"] == {"text": "text 599"}
    asked, plain = list[dict[str, Any]](), parquet.ParquetFile.iter_batches

    def noting(self: Any, **how: Any) -> Any:
        asked.append(how)
        return plain(self, **how)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", noting)
    held = parquet.read_metadata(path).row_group(0).total_byte_size
    for most, wanted in ((tables.PARQUET_BYTES, tables.PARQUET_ROWS), (held // 100, 5), (1, 1)):
        monkeypatch.setattr(tables, "PARQUET_BYTES", most)
        assert read(path) == found
        assert asked[-1]["batch_size"] == pytest.approx(wanted, abs=1) and asked[-1]["columns"] == ["id", "text"]
    path.write_bytes(b"PAR1 no, it is not")
    assert code(lambda: read(path)) == "unreadable_file"


@pytest.fixture
def store() -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec", reason="stores need fsspec")
    system = fsspec.filesystem("memory")
    files = {"in/a.txt": b"one", "in/deep/b.txt": b"two", "in/.c": b"x", "t.jsonl": b'{"text": "t"}\n'}
    for name, content in files.items():
        system.pipe(f"/bucket/{name}", content)
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)


def test_files_and_tables_of_a_store_are_read_by_their_addresses(store: str) -> None:
    found = read(f"{store}/in", f"{store}/t.jsonl")
    assert [one.rpartition("bucket/")[2] for one in found] == ["in/a.txt", "in/deep/b.txt", "t.jsonl:1"]
    assert next(iter(found.values()))["filename"] == "a.txt"
    assert [base64.b64decode(one["base64"]) for one in list(found.values())[:2]] == [b"one", b"two"]
    assert [one.rpartition("bucket/")[2] for one in read(f"{store}/in/**/*.txt")] == ["in/a.txt", "in/deep/b.txt"]
    assert code(lambda: read(f"{store}/nothing")) == "unreadable_file"
    assert code(lambda: read("nosuchstore://x/y")) == "unreadable_file"


def test_no_file_of_a_store_is_left_out_for_its_name(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`a//b` is a name in object stores: their drivers list a folder without a name as the one above it."""
    system = type(pytest.importorskip("fsspec", reason="stores need fsspec").filesystem("memory"))
    keys = ("x.txt", "sub/y.txt", "sub//z.txt", "sub//.h/z.txt", "sub//d/z.txt", ".git/config", "sub/.w.txt")
    root = "/bucket/odd"

    def ls(self: Any, path: str, detail: bool = True, **more: Any) -> Any:
        here = path.rstrip("/")  # as s3fs has it
        found = {}
        for key in keys:
            name = f"{root}/{key}"
            if name.startswith(f"{here}/"):
                first, *deeper = name.removeprefix(f"{here}/").split("/")
                found[f"{here}/{first}"] = "directory" if deeper else "file"
        return [{"name": name, "type": kind, "size": 1} for name, kind in found.items()]

    monkeypatch.setattr(system, "ls", ls)
    monkeypatch.setattr(system, "find", lambda self, path, **more: [f"{root}/{key}" for key in keys])
    monkeypatch.setattr(system, "isfile", lambda self, path: False)
    found = [one.name.partition("odd/")[2] for one in remote.files(f"{store}/odd")]
    assert found == ["x.txt", "sub/y.txt", "sub//d/z.txt", "sub//z.txt"]


def test_files_of_a_store_are_loaded_several_at_a_time_and_come_in_their_order(tmp_path: Path) -> None:
    together = threading.Barrier(AHEAD, timeout=60)  # breaks where fewer load at a time

    def load(number: int) -> Document:
        if number == 3:
            raise DocumentError("unreadable_file", "cannot be read: asked for")
        together.wait()
        return Document.of(str(number), {"text": "x"})

    def shown() -> Iterator[Item]:
        for number in range(2 * AHEAD + 1):
            yield Item(str(number), lambda number=number: load(number), file=True, far=True)  # type: ignore[misc]
        yield Item("near", lambda: Document.of("near", {"text": "x"}))
        raise PinpointError("unreadable_file", "the rest cannot be listed")

    journal = Journal(tmp_path / "journal", {})
    journal.begin_pass()
    refused = list[str]()
    jobs = packed(to_begin(shown(), journal, Tally(), lambda name, results: refused.append(name), again=False), 4)
    found = list[str]()
    with pytest.raises(PinpointError, match="the rest cannot be listed"):
        for job in jobs:
            found += [one.id for one in job]
    assert found == [str(number) for number in range(2 * AHEAD + 1) if number != 3] + ["near"] and refused == ["3"]
    journal.close()


@pytest.mark.parametrize("lives", [True, False])
def test_no_file_is_blamed_where_a_store_is_gone_in_the_middle(tmp_path: Path, lives: bool) -> None:
    """A token that has expired fails each of the files that are left; a few bad ones in a row fail by themselves."""
    names = [f"{kind}{number}" for number, kind in enumerate("g" * 5 + "b" * 3 + "g" * 5 + "b" * 40 + "g" * 5)]
    gone = False

    def load(name: str) -> Document:
        nonlocal gone
        gone = gone or (not lives and name == "b13")
        if gone or name.startswith("b"):
            raise DocumentError("unreadable_file", "cannot be read: token expired")
        return Document.of(name, {"text": "x"})

    shown = (Item(name, lambda name=name: load(name), file=True, far=True) for name in names)  # type: ignore[misc]
    journal = Journal(tmp_path / "journal", {})
    journal.begin_pass()
    refused, found = list[str](), list[str]()
    read = to_begin(shown, journal, Tally(), lambda name, results: refused.append(name), again=False)
    if lives:
        found = [one.id for one in read]
        assert (found, refused) == ([one for one in names if one[0] == "g"], [one for one in names if one[0] == "b"])
    else:
        with pytest.raises(PinpointError, match=r"11 files of the store in a row cannot be read.*token expired"):
            found.extend(one.id for one in read)
        assert refused == ["b5", "b6", "b7"] and set(found) <= {one for one in names if one[0] == "g"}
    journal.close()


@pytest.mark.parametrize(
    ("given", "alike"),
    [
        (["in", "./in/a.txt", "in/*.txt"], ["in", "in/a.txt", "in/*.txt"]),
        (["./in/a.txt", "in/"], ["in/a.txt", "in/"]),
        (["in", "./in", "in/"], ["in", "in", "in"]),
        ([".", "./a.txt", "a.txt", "{here}/a.txt"], [".", "./a.txt", "./a.txt", "./a.txt"]),
        (["{here}/in/b", "in", "inner"], ["in/b", "in", "inner"]),
        (["../x", "in", "inner"], ["../x", "in", "inner"]),
        (["./in", "in/" + "d/" * 1500 + "x"], ["./in", "./in/" + "d/" * 1500 + "x"]),
        ([f"in/{number}" for number in range(5000)],) * 2,
    ],
)
def test_a_place_has_one_spelling_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], alike: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths.spelled_alike([one.format(here=tmp_path) for one in given]) == alike
    assert paths.spelled_alike(alike) == alike


def test_a_folder_and_a_file_of_it_under_another_name_are_no_document_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "in" / name).write_text("x")
    found = {one.id for one in items([str(tmp_path / "in/a.txt"), "./in", "in/b.txt"], Reading())}
    assert found == {"./in/a.txt", "./in/b.txt"}


def test_a_folder_of_a_store_that_cannot_be_listed_ends_the_run(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = type(pytest.importorskip("fsspec", reason="stores need fsspec").filesystem("memory"))
    listed = system.ls

    def fails(self: Any, path: str, *args: Any, **more: Any) -> Any:
        if path.endswith("deep"):
            raise OSError("no answer")
        return listed(self, path, *args, **more)

    monkeypatch.setattr(system, "ls", fails)
    assert code(lambda: read(f"{store}/in")) == "unreadable_file"


def test_the_price_of_a_worker_is_a_number_or_a_card(tmp_path: Path) -> None:
    assert price_of("0.002") == 0.002 and price_of("h100") == price_of("H100 SXM") == PRICES["H100"]
    assert price_of("rtx4090") == price_of("4090") == price_of("RTX 4090") == PRICES["RTX 4090"]
    for words in ("", "RTX", "Voodoo", "-1", "4.5", "nan"):
        assert code(lambda words=words: price_of(words)) == "unknown_card"  # type: ignore[misc]


def test_workers_are_paid_for_while_they_run_or_start() -> None:
    now_s = 100.0
    tally = Tally(clock=lambda: now_s)
    looks: Any = (({"running": 2, "idle": 5}, 110.0), ({"running": 1, "initializing": 3}, 130.0), ({}, 200.0))
    for workers, then_s in looks:
        tally.look_at_workers(workers)
        now_s = then_s
    tally.look_at_workers({"running": "?"})
    assert tally.worker_s == 2 * 10 + 4 * 20
