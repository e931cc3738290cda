"""The page in headless Chromium: reviewed by keyboard, at a desk's width and a phone's, by light and in the dark."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pinpoint.documents.file_limits import FileLimits
from pinpoint.review.chosen import Chosen
from pinpoint.review.documents import Documents
from pinpoint.review.items import read_answers
from pinpoint.review.queue import Review
from pinpoint.review.server import ReviewServer
from pinpoint.serving.files import file_reader
from pinpoint.settings import Settings
from tests import file_makers as make
from tests.chromium import NOT_THERE, Chromium, Page, found
from tests.unit.review.answers import result, write

pytestmark = pytest.mark.skipif(found() is None, reason=NOT_THERE)

LABELS = ["invoice", "receipt", "contract", *(f"kind {n} of paper" for n in range(30)), "x" * 200, "مستند قانوني"]
HOSTILE = (
    "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>\n"
    "\u202egnp.exe\u202c \u200b\x07 " + "unbroken" * 400 + "\n" + "line\n" * 500
)
EVIDENCE = [{"page": 0, "start": 0, "end": 6, "change": 2.5}, {"page": 0, "start": 8, "end": 14, "change": -1.0}]
SIZES = [(1280, 800), (390, 844)]
DOCUMENTS = 10


class Shown:
    """A review on a page."""

    def __init__(self, page: Page, server: ReviewServer, out: Path) -> None:
        self.page, self.server, self.out = page, server, out

    def open(self) -> None:
        self.page.open(self.server.address)
        self.page.until("document.body && document.body.dataset.number !== undefined")

    def press(self, key: str) -> None:
        """A key, and what it does, done."""
        self.page.press(key)
        self.page.until("!busy")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Chromium(tmp_path_factory.mktemp("chromium")) as chromium, chromium.page() as opened:
        yield opened


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Iterator[Shown]:
    (tmp_path / "scan.pdf").write_bytes(make.text_pdf(["Invoice no. 1", "second page"]))
    texts = [f"First {n}.\n\nSecond {n}." for n in range(DOCUMENTS - 2)]
    rows = [result(f"text {n}", text, 0.9 - n / 100, labels=LABELS, evidence=EVIDENCE) for n, text in enumerate(texts)]
    rows.append(
        result("hostile <b>name</b> " + "y" * 300, HOSTILE, 0.4, labels=LABELS, decision="review", reasons=["x_y"])
    )
    rows.append({**result("paper", None, 0.3, labels=LABELS), "file": str(tmp_path / "scan.pdf")})
    with served(page, tmp_path, rows) as opened:
        yield opened


@pytest.fixture
def sets(page: Page, tmp_path: Path) -> Iterator[Shown]:
    """Documents with several labels: the first two are likely, or all of them are not."""
    rows = list[dict[str, Any]]()
    for n in range(DOCUMENTS - 1):
        likely = [0.9, 0.8 - n / 100, *(0.4 - k / 100 for k in range(len(LABELS) - 2))]
        rows.append(result(f"text {n}", f"First {n}.\n\nSecond {n}.", labels=LABELS, scores=likely))
    rows.append(
        result("hostile", HOSTILE, labels=LABELS, scores=[0.3] * len(LABELS), label=None, decision="abstain",
               reasons=["no_label_reached_threshold", "low_label_mass"])
    )  # fmt: skip
    with served(page, tmp_path, rows) as opened:
        yield opened


@contextmanager
def served(page: Page, folder: Path, rows: list[dict[str, Any]]) -> Iterator[Shown]:
    answers = read_answers(write(folder / "answers.jsonl", *rows))
    chosen = Chosen(folder / "out.jsonl", several=answers.several)
    documents = Documents(file_reader(Settings(ocr="off")), FileLimits())
    server = ReviewServer(Review(answers, chosen, answers.labels, lambda item: documents.read(item).pages), documents)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    page.complaints.clear()
    yield Shown(page, server, chosen.path)
    server.shutdown()
    server.server_close()
    documents.close()
    chosen.close()


def test_ten_documents_are_reviewed_by_keyboard(shown: Shown) -> None:
    page = shown.page
    page.size(1280, 800)
    shown.open()
    assert page.run("document.getElementById('count').textContent") == f"0 of {DOCUMENTS}"
    expected = list[str]()
    for turn in range(DOCUMENTS):
        key = str(1 + turn % 3)
        expected.append(page.run(f"item.labels[{key} - 1]"))
        shown.press(key)
    assert page.until("!document.getElementById('end').hidden")
    told = shown.lines()
    assert [line["label"] for line in told] == expected and len({line["id"] for line in told}) == DOCUMENTS
    assert all(line["text"] and line["predicted"] == "invoice" for line in told)
    assert told[0]["text"] == HOSTILE.replace("\x07", "") and told[1]["file"].endswith("scan.pdf")
    assert page.complaints == [] and page.run("window.broken") is None


def test_ten_sets_are_reviewed_by_keyboard(sets: Shown) -> None:
    page = sets.page
    page.size(1280, 800)
    sets.open()
    assert page.run("item.id") == "hostile" and page.run("[...members]") == []
    sets.press("Enter")  # none of the labels, as it was answered
    expected: list[list[str]] = [[]]
    for turn in range(1, DOCUMENTS):
        assert page.run("[...members]") == LABELS[:2]
        sets.press(str(1 + turn % 3))  # out with the first, out with the second, or in with a third
        kept = [[LABELS[1]], [LABELS[0]], LABELS[:3]][(1 + turn % 3) - 1]
        assert (
            page.run("[...document.querySelectorAll('.choice[aria-pressed=true]')].map(e => e.dataset.label)") == kept
        )
        assert sets.lines() == [{**line, "label": label} for line, label in zip(sets.lines(), expected, strict=True)]
        sets.press("Enter")
        expected.append(kept)
    assert page.until("!document.getElementById('end').hidden")
    assert "--multi-label" in page.run("document.getElementById('end-command').textContent")
    assert [line["label"] for line in sets.lines()] == expected
    assert [line["predicted"] for line in sets.lines()] == [[], *[LABELS[:2]] * (DOCUMENTS - 1)]
    sets.press("u")
    assert page.run("[...members]") == LABELS[:2] and len(sets.lines()) == DOCUMENTS - 1
    assert page.complaints == []


def test_of_a_set_labels_are_found_cleared_and_clicked(sets: Shown) -> None:
    page = sets.page
    page.size(1280, 800)
    sets.open()
    sets.press("s")
    sets.press("0")
    assert page.run("[...members]") == [] and sets.lines() == []
    assert "none" in page.run("document.getElementById('save').textContent")
    page.press("/")
    page.write("KIND 20 of")
    page.press("Enter")
    # It has no key, and is in sight as long as it is in the set; another Enter saves.
    assert page.run("[...members]") == ["kind 20 of paper"] and sets.lines() == []
    assert page.run("document.querySelectorAll('.choice')[9].dataset.label") == "kind 20 of paper"
    page.run("document.querySelectorAll('.choice')[4].click()")
    page.run("document.querySelectorAll('.choice')[4].focus()")
    assert page.run("[...members]") == ["kind 20 of paper", LABELS[4]]
    sets.press("Enter")  # saves, wherever the last click was
    assert [sorted(line["label"]) for line in sets.lines()] == [sorted(["kind 20 of paper", LABELS[4]])]
    page.run("document.getElementById('skip').focus()")
    before = page.run("item.id")
    page.run("document.getElementById('save').click()")
    page.until("!busy")
    assert len(sets.lines()) == 2 and page.run("item.id") != before and page.complaints == []


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_of_sets_nothing_is_cut_off_either(sets: Shown, width: int, height: int, scheme: str) -> None:
    page = sets.page
    page.size(width, height, scheme=scheme)
    sets.open()
    _whole(sets, UNSEEN.replace("['skip'", "['save', 'skip'"), "Enter")


def test_skip_undo_search_and_evidence_have_keys(shown: Shown) -> None:
    page = shown.page
    page.size(1280, 800)
    shown.open()
    shown.press("s")
    assert page.run("item.id") == "paper" and shown.lines() == []
    page.press("/")
    assert page.run("document.activeElement.id") == "search"
    page.write("KIND 2 of")
    assert page.run("offered") == ["kind 2 of paper"]
    shown.press("Enter")
    assert [line["label"] for line in shown.lines()] == ["kind 2 of paper"]
    shown.press("u")
    assert shown.lines() == [] and page.run("item.id") == "paper"
    page.press("/")
    page.write("1")  # a figure in the search is no choice
    page.press("Escape")
    assert shown.lines() == [] and page.run("document.activeElement.id") == "text"
    shown.press("1")
    page.press("e")
    assert page.run("document.querySelector('mark.here').textContent") == page.run("item.pages[0].pieces[0].text")
    page.press("e")
    assert page.run("document.querySelector('mark.here').className") == "against here"


def test_a_page_of_a_file_is_drawn(shown: Shown) -> None:
    page = shown.page
    page.size(1280, 800)
    shown.open()
    shown.press("s")
    page.press("p")
    page.until("document.querySelector('#pictures img')?.naturalWidth > 300")
    assert page.overflow() == [] and page.complaints == []
    page.press("p")
    assert not page.run("document.getElementById('text').hidden")


def test_hostile_text_is_text(shown: Shown) -> None:
    page = shown.page
    shown.open()
    assert page.run("document.querySelector('.page').textContent").startswith("<script>window.broken = 1</script><img")
    assert page.run("document.querySelectorAll('#text script, #text img, h2 b').length") == 0
    assert page.run("[...document.querySelectorAll('.hidden-character')].map(e => e.textContent)") == [
        "U+202E", "U+202C", "U+200B",
    ]  # fmt: skip
    assert page.run("window.broken") is None and page.complaints == []


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_off_and_all_can_be_read(shown: Shown, width: int, height: int, scheme: str) -> None:
    page = shown.page
    page.size(width, height, scheme=scheme)
    shown.open()
    _whole(shown, UNSEEN, "1")


def _whole(shown: Shown, unseen: str, next_key: str) -> None:
    """Of three documents nothing is cut off, out of sight or too faint to be read."""
    for _ in range(3):
        assert shown.page.overflow() == []
        assert shown.page.run(unseen) == []
        assert shown.page.run(FAINT) == []
        shown.press(next_key)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_refused_documents_are_counted_and_no_word_of_it_is_cut_off(
    page: Page, tmp_path: Path, width: int, height: int
) -> None:
    page.size(width, height)
    refused = [{"id": f"{n}", "status": "error", "error": {"code": "empty_text", "message": "x"}} for n in range(1000)]
    with served(page, tmp_path, [result("text", "First."), *refused]) as shown:
        shown.open()
        assert page.run("document.getElementById('saved').textContent") == "Refused, not shown: 1000"
        assert page.run("(one => [one.scrollHeight - one.clientHeight, one.scrollWidth - one.clientWidth])"
                        "(document.getElementById('saved'))") == [0, 0]  # fmt: skip


def test_a_second_tab_catches_up_with_the_first(shown: Shown) -> None:
    shown.open()
    shown.server.review.choose(shown.page.run("item.number"), LABELS[1])  # as the other tab would
    shown.press("1")
    assert "done already" in shown.page.run("document.getElementById('saved').textContent")
    assert shown.page.run("item.id") == "paper" and [line["label"] for line in shown.lines()] == [LABELS[1]]


def test_a_page_without_its_token_says_what_to_do(shown: Shown) -> None:
    page = shown.page
    page.open(shown.server.address.partition("#")[0])
    assert "token" in page.until("document.getElementById('trouble')?.hidden === false && document.body.innerText")


def test_another_page_of_the_same_browser_writes_and_reads_nothing(shown: Shown) -> None:
    page = shown.page
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, args=(0.01,), daemon=True).start()
        page.open(f"http://127.0.0.1:{elsewhere.server_port}/")
        page.until("document.title === 'elsewhere'")
        # It may ask its own server, so it is the other one that refuses.
        assert page.run("fetch('/').then(answer => answer.status)") == 200
        assert page.run(ATTACK % shown.server.server_port) == ["TypeError"] * 4
        elsewhere.shutdown()
    assert shown.lines() == []


class Elsewhere(BaseHTTPRequestHandler):
    """A page that has nothing to do with ours."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>elsewhere</title>")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


# What a page of another origin can try: a form's post, one with a token of its own, one that wants no answer, a look.
ATTACK = """
(async () => {
  const post = (more) => ({ method: 'POST', body: '{"number": 0, "label": "invoice"}', ...more });
  const tried = [];
  for (const [path, options] of [
    ['choose', post({ headers: { 'Content-Type': 'text/plain' } })],
    ['choose', post({ headers: { 'Content-Type': 'application/json', 'X-Pinpoint-Token': 'x' } })],
    ['choose', post({ mode: 'no-cors' })],
    ['state', {}],
  ]) {
    try { tried.push((await fetch('http://127.0.0.1:%d/api/' + path, options)).status); }
    catch (error) { tried.push(error.name); }
  }
  return tried;
})()
"""
# Buttons that are not in the window, though a reader needs them at once.
UNSEEN = """
['skip', 'undo', 'text'].concat([...document.querySelectorAll('.choice')].slice(0, 3)).filter(e => {
  const box = (typeof e === 'string' ? document.getElementById(e) : e).getBoundingClientRect();
  return box.height < 20 || box.top < 0 || box.top + Math.min(box.height, 40) > innerHeight;
}).map(e => e.id || e)
"""
# Words whose contrast with what lies behind them is less than 4.5 to 1 (WCAG 2.2, AA); disabled buttons may.
FAINT = """
(() => {
  const drawn = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const light = (rgb) => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const paint = (colours) => {
    for (const colour of colours) { drawn.fillStyle = colour; drawn.fillRect(0, 0, 1, 1); }
    return light([...drawn.getImageData(0, 0, 1, 1).data].slice(0, 3));
  };
  return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest(':disabled') &&
      [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).filter(e => {
    const behind = [];
    for (let at = e; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const [a, b] = [paint(behind), paint([...behind, getComputedStyle(e).color])].sort((x, y) => x - y);
    return (b + 0.05) / (a + 0.05) < 4.5;
  }).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 20));
})()
"""
