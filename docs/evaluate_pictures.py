"""The pictures of docs/evaluate.md: `python docs/evaluate_pictures.py`, with Chromium on this machine.

300 documents of the generator that the embedded model was trained with, as docs/tutorial.md makes them, and the page
that the command writes about them.
"""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.chromium import Chromium  # noqa: E402
from training.documents import KINDS, generate  # noqa: E402

LABELS = ["invoice", "bill", "payment reminder", "debit note", "credit note", "quote"]
COUNT = 300
SHOTS = (("desk", 1280, 1530, "light", 720), ("dark", 1280, 1530, "dark", 720), ("phone", 390, 3800, "light", 600))


def main() -> None:
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, kinds, rng = Path(temporary), {kind.names[0]: kind for kind in KINDS}, random.Random(7)
        truths = [rng.choice(LABELS) for _ in range(COUNT)]
        rows = [{"text": generate(rng, kinds[label])[1][60:360], "label": label} for label in truths]
        (folder / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        command = [sys.executable, "-m", "pinpoint", "evaluate", str(folder / "documents.jsonl"), "--out", str(folder)]
        subprocess.run([*command, "--labels", ",".join(LABELS)], check=True, cwd=ROOT)
        with Chromium(folder / "chromium") as chromium, chromium.page() as page:
            for name, width, height, scheme, shown in SHOTS:
                page.size(width, height, scheme=scheme)
                page.open((folder / "report.html").as_uri())
                page.until("!!document.querySelector('.matrix')")
                picture = Image.open(io.BytesIO(page.shot())).convert("RGB")
                _write(_columns(picture) if name == "phone" else picture, name, shown)


def _columns(picture: Image.Image) -> Image.Image:
    """A long picture's two halves beside each other."""
    half = picture.height // 2
    both = Image.new("RGB", (2 * picture.width + 20, half), "white")
    both.paste(picture.crop((0, 0, picture.width, half)), (0, 0))
    both.paste(picture.crop((0, half, picture.width, 2 * half)), (picture.width + 20, 0))
    return both


def _write(picture: Image.Image, name: str, width: int) -> None:
    small = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    small.quantize(48, dither=Image.Dither.NONE).save(ROOT / f"docs/evaluate-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
