"""Draw docs/picture.svg, one request and its answer: `python docs/picture.py`, or with an answer on standard input.

python handler.py | python docs/picture.py
"""

import json
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
WIDTH, ROW = 860, 24
TEXT_LINES, BAR = 7, 180
FONT = "font-family='ui-monospace, Menlo, Consolas, monospace' font-size='14'"


def draw(job: dict[str, Any], answer: dict[str, Any]) -> str:
    """The SVG of a job in the short form and of its answer."""
    request, found = job["input"], answer["results"][0]["answers"]["category"]
    lines = [" ".join(line.split()) for line in request["text"].splitlines() if line.strip()]
    labels = request["labels"]
    left = [*lines[:TEXT_LINES], f"… {len(lines) - TEXT_LINES} more lines", "", "labels:"]
    left += [", ".join(labels[start : start + 3]) for start in range(0, len(labels), 3)]
    height = ROW * (len(left) + 3)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' {FONT}>",
        f"<rect width='{WIDTH}' height='{height}' rx='10' fill='#f6f8fa'/>",
        _text(20, 30, "request", "#57606a"),
        _text(440, 30, "answer", "#57606a"),
    ]
    parts += [_text(20, 60 + ROW * row, line[:46], "#24292f") for row, line in enumerate(left)]
    for row, (label, score) in enumerate(zip(found["labels"], found["scores"], strict=True)):
        y = 60 + ROW * row
        colour = "#1a7f37" if label == found["label"] else "#57606a"
        parts.append(f"<rect x='575' y='{y - 12}' width='{max(1.0, BAR * score):.1f}' height='14' fill='{colour}'/>")
        parts += [_text(440, y, label, colour), _text(765, y, f"{score:.6f}", colour)]
    parts.append(_text(440, 72 + ROW * len(found["labels"]), f"decision: {found['decision']}", "#24292f"))
    parts.append(_text(440, 96 + ROW * len(found["labels"]), f"model: {answer['model']['name']}", "#24292f"))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: int, y: int, words: str, colour: str) -> str:
    return f"<text x='{x}' y='{y}' fill='{colour}' xml:space='preserve'>{escape(words)}</text>"


if __name__ == "__main__":
    if sys.stdin.isatty():
        printed = subprocess.run([sys.executable, "handler.py"], cwd=ROOT, capture_output=True, check=True).stdout
    else:
        printed = sys.stdin.buffer.read()
    job = json.loads((ROOT / "test_input.json").read_text(encoding="utf-8"))
    (ROOT / "docs/picture.svg").write_text(draw(job, json.loads(printed)), encoding="utf-8")
