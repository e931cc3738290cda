"""report.html in a browser: at both widths nothing is wider than the page, and nothing is cut off inside it."""

import json
import random
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from pinpoint.evaluate import metrics, pictures
from pinpoint.evaluate.page import page
from pinpoint.evaluate.report import build_report
from tests import chromium

CHROMIUM = chromium.found()
WIDTHS = (1280, 390)
LABELS = [f"{word} {kind} of some length" for word in ("invoice", "contract", "statement") for kind in "abcdefgh"]

# Frames stand for windows: a headless window is never as narrow as a phone. Text that is wider than its box, a box
# that reaches out of the page, a part that must be scrolled to be seen.
MEASURE = """
<body style="margin:0">%s<pre id="found"></pre><script>
addEventListener('load', () => {
  const found = {};
  for (const frame of document.querySelectorAll('iframe')) {
    const page = frame.contentDocument;
    for (const one of page.querySelectorAll('details')) one.open = true;
    const edge = page.documentElement.clientWidth, box = one => one.getBoundingClientRect();
    const wide = [...page.querySelectorAll('body *')].filter(one => box(one).right > edge + 1 || box(one).left < -1);
    const cut = [...page.querySelectorAll('.scroll, .card, section, dd, .tiles p, th, td')].filter(one =>
      one.scrollWidth > one.clientWidth + 1);
    const words = [...page.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height);
    found[frame.clientWidth] = {
      scroll: page.documentElement.scrollWidth, boxes: page.querySelectorAll('body *').length,
      wide: wide.map(one => one.outerHTML.slice(0, 90)), cut: cut.map(one => one.outerHTML.slice(0, 90)),
      smallest: Math.min(...words),
    };
  }
  document.getElementById('found').textContent = JSON.stringify(found);
});
</script></body>
"""


def report(count: int = 240) -> dict[str, Any]:
    """A report with everything on it: long labels, wrong answers of all kinds, slices, a comparison, a price."""
    chance = random.Random(1)
    lines = list[dict[str, Any]]()
    for number in range(count):
        truth = chance.choice(LABELS)
        order = sorted(LABELS, key=lambda label: (label != truth or chance.random() < 0.3, chance.random()))
        score = chance.uniform(0.3, 1)
        answer = {
            "label": order[0], "score": score, "labels": order, "decision": "accept", "confidence": None,
            "certified": score > 0.9,
            "scores": [score, *([(1 - score) / (len(order) - 1)] * (len(order) - 1))],
        }  # fmt: skip
        changed = {"label": chance.choice(order[:2]), "score": 0.5}
        lines.append({
            "id": f"a/rather/long/path/of/{number}/" + "x" * 60 + ".pdf", "text": f"{number} " + "unbroken" * 12,
            "truth": truth, "labels": LABELS, "answer": answer, "source": chance.choice(["mail", "a_scanner" * 4]),
            "input": {"tokens": chance.choice([20, 300, 9000]), "tokens_dropped": 0, "text_source": ["ocr"]},
            "variants": {"reversed": changed, "reworded": changed}, "prompt_tokens": 900.0, "seconds": 0.01,
        })  # fmt: skip
    model = {
        "name": "a-model-with-a-long-name/and-a-path",
        "revision": "f" * 40,
        "precision": "int8",
        "prompt_version": 2,
    }
    run = {
        "model": model, "data": {"documents": count, "digest": "0" * 16}, "pinpoint": "1",
        "question": {"instructions": "Which? " * 20, "options": {"target_error": 0.02}},
        "again": {"documents": 9, "wordings": {}},
    }  # fmt: skip
    told = build_report(lines, run, [str(number) for number in range(count)], price=0.00116)
    told["against"] = {"documents": 9, "accuracy_there": 0.5, "accuracy_here": 0.6, "gained": 2, "lost": 1, "p": 1.0,
                       "only_here": 1, "only_there": 0}  # fmt: skip
    return told


@pytest.mark.skipif(CHROMIUM is None, reason=chromium.NOT_THERE)
def test_nothing_is_cut_off_on_a_desk_and_on_a_phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 40)
    (tmp_path / "report.html").write_text(page(report()))
    frame = '<iframe src="report.html" style="border:0;width:%dpx;height:900px"></iframe>'
    frames = "".join(frame % width for width in WIDTHS)
    (tmp_path / "measure.html").write_text(MEASURE % frames)
    done = subprocess.run(
        [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000", f"file://{tmp_path / 'measure.html'}"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert '<pre id="found">{' in done.stdout, done.stderr[-2000:]
    found = json.loads(unescape(done.stdout.split('<pre id="found">')[1].split("</pre>")[0]))
    for width in WIDTHS:
        told = found[str(width)]
        assert told["boxes"] > 500, "the page was not there"
        assert told["scroll"] <= width and told["wide"] == told["cut"] == []
        assert told["smallest"] >= 9, "words in pictures too small to be read, in pixels"


def test_the_page_says_where_labels_were_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "RESAMPLES", 4)
    told = report()
    assert "read before the document" not in page(told)
    told["run"]["question"]["labels_first"] = True
    assert "read before the document" in page(told)


def test_pictures_take_their_colours_from_the_page() -> None:
    bins = [{"documents": 20, "score": 0.5, "right": 0.4, "interval": (0.2, 0.6)},
            {"documents": 20, "score": 0.99, "right": 1.0, "interval": (0.8, 1.0)},
            {"documents": 21, "score": 1.0, "right": 1.0, "interval": (0.8, 1.0)}]  # fmt: skip
    drawn = pictures.reliability(bins, "score")
    assert drawn.startswith('<svg viewBox="0 0 ') and "http" not in drawn and "<metadata" not in drawn
    assert {"var(--ink)", "var(--muted)", "var(--good)", "var(--line)"} <= set(
        drawn.replace(";", " ").replace('"', " ").split()
    )
    assert drawn == pictures.reliability(bins, "score"), "the same figures, the same page"
    assert ">20<" in drawn and ">41<" in drawn, "bins that stand close share a number"
    for colour in (pictures.INK, pictures.MUTED, pictures.GOOD, pictures.BAD, pictures.GRID):
        assert colour not in drawn
