"""The pictures of docs/review.md: `python docs/review_pictures.py`, with Chromium on this machine.

Letters of our own are classified by the embedded model, with evidence, and reviewed on the real page.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from pinpoint.documents.file_limits import FileLimits  # noqa: E402
from pinpoint.review.chosen import Chosen  # noqa: E402
from pinpoint.review.documents import Documents  # noqa: E402
from pinpoint.review.items import read_answers  # noqa: E402
from pinpoint.review.queue import Review  # noqa: E402
from pinpoint.review.server import ReviewServer  # noqa: E402
from pinpoint.serving.files import file_reader  # noqa: E402
from pinpoint.settings import read_settings  # noqa: E402
from tests.chromium import Chromium, Page  # noqa: E402

Shot = tuple[str, int, int, str]  # name, width, height, scheme

LABELS = [
    "invoice", "payment reminder", "quotation", "purchase order", "delivery note", "receipt", "contract",
    "complaint letter", "credit note", "bank statement", "insurance claim", "letter",
]  # fmt: skip
LETTERS = {
    "harbour-joinery.pdf": """Harbour Joinery, 12 Quay Street, Bristol

To Weaver & Sons, 4 Mill Lane, Leeds
14 March 2026

Dear Ms Weaver,

our invoice no. 2026-118 of 2 February, over 1,284.00 EUR for the oak stairs, fell due on 4 March. We have not seen
your payment yet.

Perhaps it was overlooked. Please transfer the amount within ten days to the account below; if it has crossed with
this letter, take this letter as settled.

You asked about the handrail in walnut. We could make it for 410.00 EUR, fitted, until the end of April.

With kind regards
T. Penrose""",
    "greenfield.pdf": """Greenfield Office Supplies

Thank you for your order of 9 March. With this parcel you receive:

6 office chairs, blue
2 filing cabinets, four drawers

Three lamps follow next week. Please check the goods and sign for them; the invoice comes by separate post.""",
    "marchetti.pdf": """Dear Sir or Madam,

the table that you delivered on Tuesday has a crack across the top, and one leg is shorter than the others.

I paid 640.00 EUR on delivery and have the receipt. I ask you to collect the table and to give the money back.

Yours faithfully
L. Marchetti""",
}
SUBJECTS = ["payment", "complaint", "delivery", "order", "repair", "appointment"]  # a letter has several
SHOTS = (("desk", 1280, 800, "light"), ("phone", 390, 844, "light"), ("dark", 1280, 800, "dark"))
SETS = (("sets", 1280, 800, "light"), ("sets-phone", 390, 844, "light"))


def main() -> None:
    """Write the pictures."""
    for labels, more, shots in (
        (LABELS, ["--threshold", "0.95", "--evidence"], SHOTS),
        (SUBJECTS, ["--multi-label"], SETS),
    ):
        with tempfile.TemporaryDirectory() as folder:
            _show(Path(folder), labels, more, shots)


def _show(folder: Path, labels: list[str], more: list[str], shots: Sequence[Shot]) -> None:
    """Pictures of a review of the letters, asked about so."""
    found = read_answers(_answers(folder, labels, more))
    chosen = Chosen(folder / "reviewed.jsonl", several=found.several)
    documents = Documents(file_reader(read_settings()), FileLimits())
    review = Review(found, chosen, found.labels, lambda item: documents.read(item).pages)
    server = ReviewServer(review, documents)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Chromium(folder / "chromium") as chromium, chromium.page() as page:
        _take(page, server.address, shots)
    server.shutdown()
    documents.close()


def _answers(folder: Path, labels: list[str], more: list[str]) -> Path:
    """The letters as PDF, and what the command says of them."""
    inbox, answers = folder / "inbox", folder / "answers.jsonl"
    inbox.mkdir()
    for name, text in LETTERS.items():
        sheet = FPDF(format=(150, 200))
        sheet.add_page()
        sheet.set_font("helvetica", size=11)
        sheet.multi_cell(0, 6, text, align="L")
        (inbox / name).write_bytes(bytes(sheet.output()))
    command = [sys.executable, "-m", "pinpoint", "classify", str(inbox), "--labels", ",".join(labels)]
    told = subprocess.run([*command, *more, "--json"], check=True, stdout=subprocess.PIPE)
    answers.write_bytes(told.stdout)
    return answers


def _take(page: Page, address: str, shots: Sequence[Shot]) -> None:
    for name, width, height, scheme in shots:
        page.size(width, height, scheme=scheme)
        page.open(address)
        page.until("document.body && document.body.dataset.number")
        if name == "dark":
            page.press("p")
            page.until("document.querySelector('#pictures img')?.naturalWidth")
        time.sleep(0.5)  # what moves has come to rest
        shot = Image.open(io.BytesIO(page.shot())).convert("RGB").quantize(64)
        shot.save(ROOT / f"docs/review-{name}.png", optimize=True)


if __name__ == "__main__":
    main()
