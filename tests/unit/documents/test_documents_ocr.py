"""Documents from scans: the recogniser itself, in its own process, on pages as scanners and cameras make them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from difflib import SequenceMatcher

import pytest

from pinpoint.documents.fetch import Fetcher, FetchRules
from pinpoint.documents.file_reader import FileReader
from pinpoint.documents.recognise import is_installed
from pinpoint.documents.text import Document, File
from tests import file_makers as make
from tests.unit.documents.conftest import LIMITS

pytestmark = pytest.mark.skipif(not is_installed(), reason="the extra `ocr` is not installed")

TEXT = "Invoice number 4711\nBakery Miller, 12 Mill Street\nTotal amount due 99.50 EUR"


@pytest.fixture(scope="module")
def scanner() -> Iterator[FileReader]:
    made = FileReader(LIMITS, Fetcher(FetchRules()), "on", 1, 1)
    yield made
    made.close()


def read(scanner: FileReader, content: bytes) -> Document:
    (document,) = asyncio.run(scanner.read(File("0", 0, "base64", content)))
    assert isinstance(document, Document), document
    return document


def picture(turned: int = 0, text: str = TEXT) -> object:
    page = make.rendered(make.text_pdf([text]), dpi=100)
    return make.rendered(make.text_pdf([text]), dpi=100, turned=turned).crop(
        (0, 0, page.width, page.height // 4) if turned == 0
        else (0, page.height - page.height // 4, page.width, page.height) if turned == 180
        else (0, 0, page.height // 4, page.width) if turned == 90
        else (page.height - page.height // 4, 0, page.height, page.width)
    )  # fmt: skip


def alike(one: str, other: str) -> float:
    return SequenceMatcher(None, "".join(one.split()), "".join(other.split())).ratio()


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_documents_scan_is_read_whichever_way_it_lies(scanner: FileReader, turned: int) -> None:
    document = read(scanner, make.picture_bytes(picture(turned)))
    assert alike(document.pages[0], TEXT) > 0.95
    assert document.pages[0].split("\n")[0].replace(" ", "") == "Invoicenumber4711"
    assert document.file is not None
    assert document.file.text_source == ("ocr",)
    assert document.file.ocr_confidence[0] is not None and document.file.ocr_confidence[0] > 0.9
    assert document.extractor.startswith("pillow ") and " + rapidocr " in document.extractor


def test_documents_scanned_pdf_and_tiff_keep_their_pages(scanner: FileReader) -> None:
    pages = [picture(text="Receipt 12\nCash 5.00\nThank you for your visit"), picture(text="Invoice 7")]
    scanned = read(scanner, make.scanned_pdf(pages[:1], "p. 1"))
    assert "Receipt" in scanned.pages[0]
    tiff = read(scanner, make.picture_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert "Receipt" in tiff.pages[0] and "Invoice" in tiff.pages[1]
    assert tiff.file is not None and tiff.file.text_source == ("ocr", "ocr")


def test_documents_photograph_lies_as_the_camera_says(scanner: FileReader) -> None:
    from PIL import Image

    lying = picture(90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn clockwise
    document = read(scanner, make.picture_bytes(lying, "JPEG", exif=exif.tobytes()))
    assert alike(document.pages[0], TEXT) > 0.95


def test_documents_picture_without_words_says_so(scanner: FileReader) -> None:
    from PIL import Image

    for blank in (Image.new("L", (300, 200), 255), Image.new("L", (2, 2))):
        (document,) = asyncio.run(scanner.read(File("0", 0, "base64", make.picture_bytes(blank))))
        assert not isinstance(document, Document) and document.error.code == "empty_text"


def test_documents_damaged_picture_fails_alone(scanner: FileReader) -> None:
    whole = make.picture_bytes(picture())
    (document,) = asyncio.run(scanner.read(File("0", 0, "base64", whole[: len(whole) // 2])))
    assert not isinstance(document, Document) and document.error.code == "file_damaged"
