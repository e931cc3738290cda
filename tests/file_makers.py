"""Files as real writers write them, and files as nobody should: the bytes of each, made anew.

The font that is embedded is made here as well: a box for every letter, so that no font of the machine is needed.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from email.message import EmailMessage
from functools import cache
from typing import Any

WORDS = [
    "the",
    "supplier",
    "sends",
    "goods",
    "to",
    "the",
    "customer",
    "and",
    "asks",
    "for",
    "payment",
    "within",
    "thirty",
    "days",
    "of",
    "the",
    "date",
    "on",
    "this",
    "paper",
    "while",
    "the",
    "carrier",
    "keeps",
    "one",
    "copy",
    "for",
    "the",
    "books",
    "and",
    "hands",
    "over",
    "the",
    "other",
    "with",
    "a",
    "stamp",
    "as",
    "proof",
    "of",
    "what",
    "was",
    "received",
]
HEBREW = "חשבונית מס עבור שירותי ייעוץ"
CHINESE = "发票号码金额合计人民币"
ARABIC = "فاتورة رقم"


def prose(words: int, start: int = 0) -> str:
    return " ".join(WORDS[(start + number * 7) % len(WORDS)] for number in range(words))


@cache
def box_font() -> str:
    """The name of a file with a font that has a box for each letter of the scripts above."""
    import tempfile

    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    letters = sorted({*HEBREW, *CHINESE, *ARABIC, *map(chr, range(33, 127))} - {" "})
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for place in ((100, 700), (500, 700), (500, 0)):
        pen.lineTo(place)
    pen.closePath()
    names = [".notdef", "space", *(f"u{ord(letter):04X}" for letter in letters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({32: "space", **{ord(letter): f"u{ord(letter):04X}" for letter in letters}})
    empty = TTGlyphPen(None).glyph()
    builder.setupGlyf({name: empty if name == "space" else pen.glyph() for name in names})
    builder.setupHorizontalMetrics({name: (600, 0) for name in names})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Box", "styleName": "Regular"})
    builder.setupOS2(sTypoAscender=800, sTypoDescender=-200, usWinAscent=800, usWinDescent=200)
    builder.setupPost()
    with tempfile.NamedTemporaryFile(suffix=".ttf", delete=False) as file:
        builder.save(file)
    return file.name


def _pdf(**options: Any) -> Any:
    from fpdf import FPDF

    pdf = FPDF(format="A4", **options)
    pdf.set_auto_page_break(False)
    pdf.set_font("helvetica", size=11)
    return pdf


def text_pdf(pages: Sequence[str]) -> bytes:
    """A PDF with a page for each text."""
    pdf = _pdf()
    for text in pages:
        pdf.add_page()
        if text:
            pdf.multi_cell(0, 6, text)
    return bytes(pdf.output())


def two_column_pdf(lines: int = 30) -> tuple[bytes, str, str]:
    """Two columns whose lines are drawn in turns, as many programs do, and the text of each column."""
    pdf = _pdf()
    pdf.add_page()
    left = [f"{prose(7, number)} l{number}" for number in range(lines)]
    right = [f"{prose(7, number + 11)} r{number}" for number in range(lines)]
    pdf.set_font("helvetica", size=9)
    for number, (one, other) in enumerate(zip(left, right, strict=True)):
        pdf.text(15, 30 + 6 * number, one)
        pdf.text(110, 30 + 6 * number, other)
    return bytes(pdf.output()), "\n".join(left), "\n".join(right)


def table_pdf(rows: Sequence[Sequence[str]]) -> bytes:
    """A table that is drawn column by column."""
    pdf = _pdf()
    pdf.add_page()
    for column in range(len(rows[0])):
        for row, cells in enumerate(rows):
            pdf.text(15 + 60 * column, 30 + 8 * row, cells[column])
    return bytes(pdf.output())


def turned_pdf(text: str, degrees: int, *, by_page: bool) -> bytes:
    """Text that runs up, down or on its head; `by_page` with the page turned so that it is shown upright."""
    pdf = _pdf()
    pdf.add_page()
    lines = [text[start : start + 60] for start in range(0, len(text), 60)]
    with pdf.rotation(degrees, 105, 148):
        for number, line in enumerate(lines):
            pdf.text(40, 60 + 7 * number, line)
    if not by_page:
        return bytes(pdf.output())
    import pypdfium2

    document = pypdfium2.PdfDocument(bytes(pdf.output()))
    document[0].set_rotation(degrees % 360)
    target = io.BytesIO()
    document.save(target)
    return target.getvalue()


def font_pdf(lines: Sequence[str]) -> bytes:
    """Lines in scripts that the fonts of every PDF reader lack."""
    pdf = _pdf()
    pdf.add_font("box", fname=box_font())
    pdf.add_page()
    pdf.set_font("box", size=12)
    for number, line in enumerate(lines):
        # Letters are drawn from left to right: those of a script that runs the other way begin at its end.
        pdf.text(20, 30 + 10 * number, line[::-1] if line[0] in HEBREW + ARABIC else line)
    return bytes(pdf.output())


def unseen_pdf(invisible: str = "", white: str = "", outside: str = "", white_on_black: str = "") -> bytes:
    """A page of plain words, and words that nobody sees."""
    from fpdf.enums import TextMode

    pdf = _pdf()
    pdf.add_page()
    pdf.multi_cell(0, 6, prose(60))
    if white_on_black:
        pdf.set_fill_color(0, 0, 0)
        pdf.rect(15, 150, 150, 20, style="F")
        pdf.set_text_color(255, 255, 255)
        pdf.text(20, 160, white_on_black)
    if white:
        pdf.set_text_color(255, 255, 255)
        pdf.text(20, 200, white)
    pdf.set_text_color(0, 0, 0)
    if outside:
        pdf.text(300, 100, outside)
    if invisible:
        with pdf.local_context(text_mode=TextMode.INVISIBLE):
            pdf.text(20, 220, invisible)
    return bytes(pdf.output())


def locked_pdf() -> bytes:
    """A PDF that opens with a password."""
    pdf = _pdf()
    pdf.add_page()
    pdf.text(20, 20, "secret words")
    pdf.set_encryption(owner_password="owner", user_password="user")
    return bytes(pdf.output())


def rendered(pdf: bytes, page: int = 0, dpi: int = 150, turned: int = 0) -> Any:
    """A picture of a page, as a scanner makes one, turned against the clock."""
    import pypdfium2

    picture = pypdfium2.PdfDocument(pdf)[page].render(scale=dpi / 72).to_pil().convert("L")
    return picture.rotate(turned, expand=True) if turned else picture


def picture_bytes(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    picture.save(target, kind, **options)
    return target.getvalue()


def scanned_pdf(pictures: Iterable[Any], stamp: str = "") -> bytes:
    """A PDF of pictures, as scanners write it."""
    pdf = _pdf()
    for picture in pictures:
        pdf.add_page()
        pdf.image(picture, x=0, y=0, w=210)
        if stamp:
            pdf.text(180, 290, stamp)
    return bytes(pdf.output())


def docx_file(paragraphs: Sequence[str], rows: Sequence[Sequence[str]] = (), header: str = "") -> bytes:
    from docx import Document

    document = Document()
    if header:
        document.sections[0].header.paragraphs[0].text = header
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(rows=0, cols=len(rows[0]))
        for cells in rows:
            for cell, text in zip(table.add_row().cells, cells, strict=True):
                cell.text = text
    document.add_paragraph("After the table.")
    return _saved(document)


def xlsx_file(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(book)


def pptx_file(slides: Sequence[tuple[str, str, str]]) -> bytes:
    """Slides of a title, a text and notes."""
    from pptx import Presentation

    show = Presentation()
    for title, text, notes in slides:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
        slide.notes_slide.notes_text_frame.text = notes
    return _saved(show)


def odt_file(body: str, kind: str = "text", extra: Mapping[str, bytes] | None = None) -> bytes:
    """An OpenDocument file around the XML of its body."""
    spaces = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "text", "table", "style")
    ) + ' xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'  # fmt: skip
    content = f"<office:document-content{spaces}><office:body><office:{kind}>{body}</office:{kind}></office:body>"
    mark = f"application/vnd.oasis.opendocument.{kind}".encode()
    return zipped(
        {"mimetype": mark, "content.xml": f"{content}</office:document-content>".encode(), **(extra or {})},
        stored=("mimetype",),
    )


def mail(
    subject: str = "Invoice 7", text: str = "", html: str = "", attachments: Sequence[tuple[str, str, bytes]] = ()
) -> bytes:
    """A mail; an attachment is its name, its type and its bytes."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann Sender <ann@example.com>", "bob@example.com", subject
    message["Date"] = "Tue, 24 Nov 2026 10:00:00 +0000"
    message.set_content(text or "See the attachment.")
    if html:
        message.add_alternative(html, subtype="html")
    for name, kind, content in attachments:
        main, _, sub = kind.partition("/")
        if kind == "message/rfc822":
            import email
            import email.policy

            message.add_attachment(email.message_from_bytes(content, policy=email.policy.default), filename=name)
        else:
            message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def zipped(members: Mapping[str, bytes], stored: Sequence[str] = ()) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content, zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED)
    return target.getvalue()


def with_members(file: bytes, members: Mapping[str, bytes]) -> bytes:
    """An archive with members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return zipped({**{name: archive.read(name) for name in archive.namelist()}, **members})


def png_of(width: int, height: int) -> bytes:
    """The beginning of a picture that says it has so many pixels, and holds one line of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    line = zlib.compress(bytes(width + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", line) + chunk(b"IEND", b"")


def raw_pdf(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalogue."""
    content, places = bytearray(b"%PDF-1.7\n"), list[int]()
    for number, one in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(content) + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, table)


def nested_flate_pdf(levels: int = 3, zeros: int = 200_000_000) -> bytes:
    """A page whose content inflates, and inflates, and inflates again into hundreds of megabytes of blanks."""
    content = _repeated(b" ", zeros)
    for _ in range(levels - 1):
        content = zlib.compress(content, 9)
    filters = b"/FlateDecode " * levels
    return raw_pdf([
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R>>",
        b"<</Length %d/Filter[%s]>>stream\n%s\nendstream" % (len(content), filters, content),
    ])  # fmt: skip


def many_pages_pdf(pages: int) -> bytes:
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(pages))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]>>"
    return raw_pdf(
        [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages), *[page] * pages]
    )


def zip_bomb(file: bytes, member: str, size: int) -> bytes:
    """An Office file one of whose members inflates to so many bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            if name != member:
                archive.writestr(name, source.read(name))
        with archive.open(member, "w", force_zip64=True) as place:
            for _ in range(size // 1_000_000):
                place.write(bytes(1_000_000))
    return target.getvalue()


def _repeated(byte: bytes, count: int) -> bytes:
    """So many bytes, deflated, without ever holding them."""
    packer, block = zlib.compressobj(9), byte * 1_000_000
    # After a full flush nothing refers to what was before, so the second block can stand there any number of times.
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    second = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + second * (count // len(block) - 1) + packer.flush()


def _saved(thing: Any) -> bytes:
    target = io.BytesIO()
    thing.save(target)
    return target.getvalue()
