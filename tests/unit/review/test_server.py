"""The page's server: who may ask, what it says, and that what is chosen is written."""

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinpoint.documents.file_limits import FileLimits
from pinpoint.review.chosen import Chosen
from pinpoint.review.documents import PNG, Documents
from pinpoint.review.items import read_answers
from pinpoint.review.queue import Review
from pinpoint.review.server import HEADERS, TOKEN_HEADER, ReviewServer
from pinpoint.serving.files import file_reader
from pinpoint.settings import Settings
from tests import file_makers as make
from tests.unit.review.answers import result, write

EVIDENCE = [{"page": 0, "start": 0, "end": 3, "change": 2.0}]


class Asked:
    """A server, asked."""

    def __init__(self, server: ReviewServer, out: Path) -> None:
        self.server, self.out = server, out

    def __call__(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        own = {TOKEN_HEADER: self.server.token}
        if body is not None:
            own["Content-Type"] = "application/json"
        sent = {**own, **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def told(self, path: str, body: Any = None) -> dict[str, Any]:
        status, _, content = self(path, body)
        assert status == 200, content
        found: dict[str, Any] = json.loads(content)
        return found


@pytest.fixture(scope="module")
def documents() -> Iterator[Documents]:
    settings = Settings(ocr="off")
    found = Documents(file_reader(settings), FileLimits())
    yield found
    found.close()


@pytest.fixture
def asked(tmp_path: Path, documents: Documents) -> Iterator[Asked]:
    (tmp_path / "two.pdf").write_bytes(make.text_pdf(["Invoice no. 1", "second page"]))
    path = write(
        tmp_path / "answers.jsonl",
        result("a", "abcdef", 0.9, evidence=EVIDENCE),
        result("b", "<script>alert(1)</script>", 0.5),
        {**result("file", None, 0.7), "file": str(tmp_path / "two.pdf")},
        {**result("gone", None, 0.95), "file": str(tmp_path / "gone.pdf")},
    )
    answers, chosen = read_answers(path), Chosen(tmp_path / "out.jsonl")
    review = Review(answers, chosen, answers.labels, lambda item: documents.read(item).pages)
    server = ReviewServer(review, documents)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield Asked(server, tmp_path / "out.jsonl")
    server.shutdown()
    server.server_close()
    chosen.close()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_review_from_the_first_document_to_an_undo(asked: Asked) -> None:
    state = asked.told("/api/state")
    assert (state["next"], state["done"], state["total"], state["undoable"]) == (0, 0, 4, False)
    item = asked.told("/api/item?number=0")
    assert item["id"] == "b" and item["pages"] == [{"page": 0, "pieces": [{"text": "<script>alert(1)</script>"}]}]
    assert asked.told("/api/choose", {"number": 0, "label": "receipt"})["next"] == 1
    (line,) = lines(asked.out)
    assert (line["id"], line["text"]) == ("b", item["pages"][0]["pieces"][0]["text"])
    assert (line["label"], line["predicted"]) == ("receipt", "invoice")
    assert asked.told("/api/skip", {"number": 1})["next"] == 2
    state = asked.told("/api/undo", {})
    assert (state["next"], state["done"]) == (0, 0) and lines(asked.out) == []
    assert asked.told("/api/undo", {})["next"] == 0


def test_of_sets_all_right_labels_are_written_and_what_was_answered(tmp_path: Path, documents: Documents) -> None:
    path = write(tmp_path / "sets.jsonl", result("a", "both", scores=[0.9, 0.8, 0.1]), result("b", "none", 0.99))
    answers, chosen = read_answers(path), Chosen(tmp_path / "out.jsonl", several=True)
    server = ReviewServer(Review(answers, chosen, answers.labels, lambda item: item.pages), documents)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    asked = Asked(server, tmp_path / "out.jsonl")
    try:
        assert asked.told("/api/state")["several"] is True
        assert asked.told("/api/item?number=0")["members"] == ["invoice", "receipt"]
        for wrong in ("invoice", ["invoice", "invoice"], ["deed"], ["invoice", 3], None, {"invoice": True}):
            assert asked("/api/choose", {"number": 0, "label": wrong})[0] == 400
        assert lines(asked.out) == []
        asked.told("/api/choose", {"number": 0, "label": ["contract", "invoice"]})
        asked.told("/api/choose", {"number": 1, "label": []})
        first, second = lines(asked.out)
        assert (first["label"], first["predicted"]) == (["contract", "invoice"], ["invoice", "receipt"])
        assert (second["label"], second["text"]) == ([], "none") and "score" not in second
    finally:
        server.shutdown()
        server.server_close()
        chosen.close()


def test_a_file_is_read_and_drawn_and_written_with_its_text(asked: Asked) -> None:
    item = asked.told("/api/item?number=1")
    assert item["id"] == "file" and item["pictured"] and item["page_count"] == 2
    assert item["pages"][1]["pieces"][0]["text"].strip() == "second page"
    for page in (0, 1):
        status, headers, picture = asked(f"/api/picture?number=1&page={page}")
        assert (status, headers["content-type"], picture[:8]) == (200, "image/png", PNG)
    assert asked("/api/picture?number=1&page=2")[0] == 422 and asked("/api/picture?number=0&page=0")[0] == 422
    asked.told("/api/choose", {"number": 1, "label": "invoice"})
    (line,) = lines(asked.out)
    assert line["file"].endswith("two.pdf") and line["text"].startswith("Invoice no. 1")


def test_a_file_that_is_gone_says_so_and_takes_no_label(asked: Asked) -> None:
    assert "cannot be read" in asked.told("/api/item?number=3")["problem"]
    assert asked("/api/choose", {"number": 3, "label": "invoice"})[0] == 422 and lines(asked.out) == []


def test_evidence_is_among_the_pieces(asked: Asked) -> None:
    assert asked.told("/api/item?number=2")["pages"][0]["pieces"] == [{"text": "abc", "change": 2.0}, {"text": "def"}]


def test_only_the_page_itself_is_told_without_the_token(asked: Asked) -> None:
    for path in ("/", "/page.css", "/page.js", "/icon.svg"):
        status, headers, content = asked(path, X_Pinpoint_Token="")
        assert status == 200 and content and all(headers[name.lower()] == value for name, value in HEADERS.items())
        assert asked.server.token.encode() not in content
    for token in ("", "x", asked.server.token[:-1], "\u00e4"):
        for path in ("/api/state", "/api/item?number=0", "/api/picture?number=1&page=0"):
            assert asked(path, X_Pinpoint_Token=token)[0] == 403
        assert asked("/api/choose", {"number": 0, "label": "invoice"}, X_Pinpoint_Token=token)[0] == 403
    assert lines(asked.out) == []


def test_other_pages_are_kept_out(asked: Asked) -> None:
    port = asked.server.server_port
    choice = {"number": 0, "label": "invoice"}
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1"):
        assert asked("/", Host=host)[0] == 403 and asked("/api/choose", choice, Host=host)[0] == 403
    for origin in ("https://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"):
        assert asked("/api/choose", choice, Origin=origin)[0] == 403
    assert lines(asked.out) == []
    assert asked("/api/choose", choice, Origin=f"http://localhost:{port}", Host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        ({"number": True, "label": "invoice"}, 400),
        ({"number": 99, "label": "invoice"}, 400),
        ({"number": -1, "label": "invoice"}, 400),
        ({"number": 0, "label": "no such label"}, 400),
        ({"number": 0, "label": ["invoice"]}, 400),
        (b'{"number": ' + b"[" * 40_000 + b"}", 400),
        (b" " * 200_000, 400),
    ],
)
def test_bad_choices_are_refused(asked: Asked, body: Any, status: int) -> None:
    assert asked("/api/choose", body)[0] == status and lines(asked.out) == []


def test_a_form_is_no_choice_and_a_done_document_stays(asked: Asked) -> None:
    choice = {"number": 0, "label": "invoice"}
    assert asked("/api/choose", choice, Content_Type="text/plain")[0] == 400
    assert asked("/api/choose", method="GET")[0] == 404 and asked("/none")[0] == 404
    assert asked("/api/item?number=x")[0] == 400 and asked("/api/item")[0] == 400
    asked.told("/api/choose", choice)
    assert asked("/api/choose", {**choice, "label": "receipt"})[0] == 400
    assert [line["label"] for line in lines(asked.out)] == ["invoice"]


def test_another_start_goes_on_where_it_was(asked: Asked, documents: Documents) -> None:
    asked.told("/api/choose", {"number": 0, "label": "contract"})
    review = asked.server.review
    review.chosen.close()
    again = Review(review.answers, Chosen(asked.out), review.labels, lambda item: documents.read(item).pages)
    asked.server.review = again
    state = asked.told("/api/state")
    assert (state["next"], state["done"], state["undoable"]) == (1, 1, True)
    assert asked.told("/api/undo", {})["next"] == 0
    review.chosen._file = again.chosen._file  # closed once, by the fixture


def test_numbers_that_no_page_can_take_are_left_out_or_told(asked: Asked, tmp_path: Path) -> None:
    huge, nan, inf = 10**400, float("nan"), float("inf")
    evidence = [{"page": 0, "start": n, "end": n + 1, "change": value} for n, value in enumerate([huge, nan, inf, 2.0])]
    figures = {"confidence": huge, "margin": nan, "label_mass": inf}
    path = write(
        tmp_path / "odd.jsonl",
        result("odd", "abcdef", 0.5, evidence=evidence, **figures),
        result("broken", "abcdef", 0.9, explanation=nan, label=nan),
    )
    answers, chosen = read_answers(path), asked.server.review.chosen
    pages_of = asked.server.review._pages_of
    asked.server.review = Review(answers, chosen, answers.labels, pages_of)
    item = asked.told("/api/item?number=0")
    assert item["id"] == "odd" and not set(figures) & set(item)
    assert item["pages"][0]["pieces"] == [{"text": "abc"}, {"text": "d", "change": 2.0}, {"text": "ef"}]
    status, _, content = asked("/api/item?number=1")
    assert status == 422 and "a number that cannot be shown" in json.loads(content)["error"]
    asked.told("/api/choose", {"number": 1, "label": "receipt"})
    assert lines(asked.out)[0]["predicted"] is None


def test_a_size_of_thousands_of_digits_is_refused(asked: Asked) -> None:
    assert asked("/api/skip", b"{}", Content_Length="9" * 5000)[0] == 400


def test_choices_of_other_answers_are_not_taken_back(tmp_path: Path, documents: Documents) -> None:
    answers = read_answers(write(tmp_path / "a.jsonl", result("a", "x")))
    chosen = Chosen(tmp_path / "out.jsonl")
    chosen.add("earlier", "invoice", {})
    review = Review(answers, chosen, answers.labels, lambda item: documents.read(item).pages)
    assert not review.state()["undoable"] and review.undo()["next"] == 0 and list(chosen.labels) == ["earlier"]
    chosen.close()
