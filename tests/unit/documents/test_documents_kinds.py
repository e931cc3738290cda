"""Kinds of file that other people's programs write: scripts that run otherwise, notes, breaks, wrappers, encodings."""

from __future__ import annotations

import base64
import io
import string
import struct
from collections.abc import Callable
from typing import Any

import pytest

from pinpoint.documents.extract import extract
from pinpoint.documents.extracted import Extracted
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.formats import signed
from pinpoint.documents.pictures import picture
from pinpoint.documents.sniff import sniff
from pinpoint.errors import DocumentError
from tests import file_makers as make

W = b'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:m="http://schemas.'
W += b'openxmlformats.org/officeDocument/2006/math" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/'
W += b'relationships"><w:body>%s</w:body></w:document>'
PARAGRAPH = b"<w:p>%s<w:r><w:t>%s</w:t></w:r></w:p>"


def read(content: bytes, mime: str = "", **limits: int) -> Extracted:
    return extract(content, mime, "", FileLimits(**limits))


def only(content: bytes, mime: str = "") -> str:
    (page,) = read(content, mime).pages
    return page.text


def drawn(letters: list[tuple[float, float, str]], size: int = 12) -> bytes:
    """Pieces of text where they are put (from the left and from the top), in this order, each drawn by itself."""
    # Letters of all scripts in the shapes of Latin ones, told apart by what the font says that they are.
    shapes = [*map(ord, string.ascii_letters)]
    said = {letter: ord(letter) if letter in ",.:" else shapes.pop() for letter in dict.fromkeys("".join(
        piece for _, _, piece in letters
    ))}  # fmt: skip
    names = b"".join(b"<%02x> <%04x>\n" % (code, ord(letter)) for letter, code in said.items())
    means = b"1 begincodespacerange\n<00> <ff>\nendcodespacerange\n%d beginbfchar\n%sendbfchar" % (len(said), names)
    content = b"BT /F %d Tf\n" % size + b"".join(
        b"1 0 0 1 %.2f %.2f Tm <%s> Tj\n" % (x, 800 - y, bytes(said[letter] for letter in piece).hex().encode())
        for x, y, piece in letters
    ) + b"ET"  # fmt: skip
    return make.raw_pdf([
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier/ToUnicode 6 0 R>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(means), means),
    ])  # fmt: skip


def letters_of(line: str, x: float, y: float, step: float) -> list[tuple[float, float, str]]:
    return [(x + step * number, y, letter) for number, letter in enumerate(line) if letter != " "]


def test_documents_pdf_letter_by_letter_is_read_in_words() -> None:
    lines = ["Total: 21,90 EUR", "Paid in cash"]
    # The lower line first, so that the page is not in the order of reading; boxes overlap where steps are short.
    for step in (7.2, 5.5):
        pieces = [*letters_of(lines[1], 90, 140, step), *letters_of(lines[0], 90, 120, step)]
        found = only(drawn(pieces))
        assert "".join(found.split()) == "".join("".join(lines).split())
    assert found.index("Total") < found.index("Paid")


def test_documents_pdf_right_to_left_letter_by_letter() -> None:
    words, number = make.HEBREW.split()[:2], "77"
    step, x, pieces = 7.2, 300.0, list[tuple[float, float, str]]()
    pieces += letters_of("second line", 90, 140, step)
    for word in words:
        for letter in word:
            pieces.append((x, 120, letter))
            x -= step
        x -= step / 2
    pieces += letters_of(number, x - step, 120, step)  # figures run from left to right
    assert only(drawn(pieces)) == f"{' '.join(words)} {number}\nsecond line"


def test_documents_pdf_lines_that_run_down_begin_at_the_right() -> None:
    left, right = make.CHINESE[:5], make.CHINESE[5:]
    pieces = [(160.0, 100 + 8.5 * number, letter) for number, letter in enumerate(left)]
    pieces += [(190.0, 100 + 8.5 * number, letter) for number, letter in enumerate(right)]
    assert only(drawn(pieces)) == f"{right}\n{left}"


FORM = (
    b"<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]/NeedAppearances true/DR<</Font<</Helv 6 0 R>>>>"
    b"/DA(/Helv 12 Tf 0 g)>>>>"
)


def noted(note: bytes, catalog: bytes = b"<</Type/Catalog/Pages 2 0 R>>") -> bytes:
    return make.raw_pdf([
        catalog, b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Annots[5 0 R]"
        b"/Resources<</Font<</F 6 0 R>>>>>>",
        b"<</Length 39>>stream\nBT /F 12 Tf 50 700 Td (Amount) Tj ET    \nendstream",
        b"<</Type/Annot/F 4/Rect[200 600 400 620]" + note + b">>",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Type/XObject/Subtype/Form/BBox[0 0 200 20]/Resources<</Font<</F 6 0 R>>>>/Length 34>>stream\n"
        b"BT /F 12 Tf 2 5 Td (PAID 7) Tj ET \nendstream",
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("note", "catalog", "said"),
    [
        (b"/Subtype/Widget/FT/Tx/T(a)/DA(/Helv 12 Tf 0 g)/V(19.99)", FORM, "19.99"),
        (b"/Subtype/FreeText/Contents(PAID 7)/AP<</N 7 0 R>>", b"", "PAID 7"),
        (b"/Subtype/Stamp/AP<</N 7 0 R>>", b"", "PAID 7"),
        (b"/Subtype/FreeText/Contents(PAID 7)/DA(/Helv 12 Tf 0 g)", b"", "PAID 7"),
        (b"/Subtype/Text/Contents(ask Ann)", b"", "ask Ann"),
        (b"/Subtype/Text/Contents(ask Ann)/F 6", b"", ""),
        (b"/Subtype/Link", b"", ""),
    ],
)
def test_documents_pdf_reads_what_is_pinned_onto_its_page(note: bytes, catalog: bytes, said: str) -> None:
    content = noted(note, catalog) if catalog else noted(note)
    assert only(content).split("\n") == ["Amount", *([said] if said else [])]


def test_documents_pdf_scan_in_strips_or_below_a_caption_is_a_scan() -> None:
    whole = make.rendered(make.text_pdf([make.prose(60)]), dpi=60)
    width, height = whole.size

    def page(strips: int, top: float, caption: str) -> bool:
        pdf = make._pdf()
        pdf.add_page()
        for number in range(strips):
            part = whole.crop((0, number * height // strips, width, (number + 1) * height // strips))
            high = (297 - top) / strips
            pdf.image(part, x=0, y=top + number * high, w=210, h=high)
        pdf.set_xy(10, 5)
        pdf.multi_cell(0, 5, caption)
        (one,) = read(bytes(pdf.output())).pages
        return one.scanned

    assert page(20, 0, "p. 1")
    assert page(1, 40, make.prose(25))
    assert not page(1, 40, make.prose(120))
    assert not page(1, 250, make.prose(25))


def test_documents_docx_reads_charts_formulas_and_chunks() -> None:
    relations = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">%s</Relationships>'
    )
    relation = b'<Relationship Id="%s" Type="http://x/%s" Target="%s"/>'
    chart = (
        b'<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" xmlns:a="http://schemas.'
        b'openxmlformats.org/drawingml/2006/main"><a:p><a:r><a:t>Sales</a:t></a:r></a:p><c:ser><c:tx><c:v>EUR</c:v></c:tx>'
        b"<c:cat><c:v>Q1</c:v><c:v>Q2</c:v></c:cat><c:val><c:v>3</c:v><c:v>4</c:v></c:val></c:ser></c:chartSpace>"
    )
    body = (
        PARAGRAPH % (b"", b"Start") + b"<w:p><m:oMath><m:r><m:t>x+1</m:t></m:r></m:oMath></w:p>"
        b'<w:altChunk r:id="a"/><w:altChunk r:id="b"/>' + PARAGRAPH % (b"<w:pPr><w:pageBreakBefore/></w:pPr>", b"Next")
    )
    content = make.with_members(make.docx_file([]), {
        "word/document.xml": W % body, "word/chunk.html": b"<p>From <b>the web</b></p><style>x</style>",
        "word/old.rtf": b"{\\rtf1 x}", "word/charts/chart1.xml": chart,
        "word/_rels/document.xml.rels": relations % (
            relation % (b"a", b"aFChunk", b"chunk.html") + relation % (b"b", b"aFChunk", b"/word/old.rtf")
            + relation % (b"c", b"chart", b"charts/chart1.xml")
        ),
    })  # fmt: skip
    found = read(content)
    assert [page.text.split("\n") for page in found.pages] == [
        ["Start", "x+1", "From the web"], ["Next", "Sales", " | Q1 | Q2", "EUR | 3 | 4"],
    ]  # fmt: skip
    assert found.warnings == ["1 embedded file not read"]


def test_documents_pptx_is_read_as_it_is_seen() -> None:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    show = Presentation()
    slide = show.slides.add_slide(show.slide_layouts[5])
    for text, x, y in (("right", 5, 3), ("below", 1, 5), ("left", 1, 3.02)):
        slide.shapes.add_textbox(Inches(x), Inches(y), Inches(2), Inches(0.5)).text_frame.text = text
    slide.shapes.title.text = "Title"
    data = CategoryChartData()
    data.categories = ["east"]
    data.add_series("Revenue", (2,))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, 0, 0, Inches(1), Inches(1), data)
    assert only(saved(show)).split("\n") == ["Title", "left", "right", "below", " | east", "Revenue | 2"]


def test_documents_xlsx_shows_what_a_person_sees() -> None:
    from openpyxl import Workbook
    from openpyxl.comments import Comment

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Rate", 0.125])
    sheet["B1"].number_format = "0.0%"
    sheet["A1"].comment = Comment("ask Ann", "Bob")
    sheet.row_dimensions[2].hidden = True
    sheet["A2"] = "unseen"
    found = read(saved(book))
    assert found.pages[0].text == "Sheet\nRate | 12.5%\nunseen\nask Ann"
    assert found.warnings == ["hidden rows or columns in 1 sheet, which were read"]


def test_documents_files_that_hold_little_but_a_picture_hand_it_on() -> None:
    from docx import Document

    shot = make.picture_bytes(make.rendered(make.text_pdf([make.prose(60)]), dpi=40), "JPEG")
    for text, handed in (("Scan", 1), (make.prose(40), 0)):
        document = Document()
        document.add_paragraph(text)
        document.add_picture(io.BytesIO(shot))
        found = read(saved(document))
        assert [one.content for one in found.attachments] == [shot] * handed
        assert (found.warnings == []) == (handed == 1)
    odt = make.odt_file("<text:p>x</text:p>", extra={"Pictures/1.jpg": shot})
    assert [one.content for one in read(odt).attachments] == [shot]


BREAKS = (
    '<text:p>One</text:p><text:p text:style-name="B">Two</text:p><text:p>so<text:soft-page-break/>on</text:p>',
    '<style:style style:name="B"><style:paragraph-properties fo:break-before="page"/></style:style>',
)


def test_documents_odt_breaks_its_pages_packed_and_flat() -> None:
    body, style = BREAKS
    spaces = 'xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" '
    spaces += "".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" ' for name in ("office", "text", "style")
    )
    inside = f"<office:automatic-styles>{style}</office:automatic-styles><office:body><office:text>{body}</office:text>"
    mime = "application/vnd.oasis.opendocument.text"
    head = '<?xml version="1.0"?>\n'
    flat = f'{head}<office:document {spaces}office:mimetype="{mime}">{inside}</office:body></office:document>'
    packed = f"{head}<office:document-content {spaces}>{inside}</office:body></office:document-content>"
    for content in (flat.encode(), make.odt_file("", extra={"content.xml": packed.encode()})):
        assert [page.text for page in read(content).pages] == ["One", "Two\nso", "on"]
    assert read(flat.encode(), "text/xml").type == read(flat.encode(), f"{mime}-flat-xml").type == "odt"
    with pytest.raises(DocumentError) as caught:
        read(make.odt_file("<text:p>x</text:p>"), "text/xml")
    assert caught.value.code == "mime_mismatch"


PAYABLE = "חשבונית מס 7 עבור שירותי ייעוץ נא לשלם תוך שלושים יום תודה"
HEAD = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: S\r\nMIME-Version: 1.0\r\n"


def parts(*others: bytes) -> bytes:
    pieces = (b"Content-Type: text/plain\r\n\r\nBody", *others)
    return HEAD + b"Content-Type: multipart/mixed; boundary=B\r\n\r\n" + b"".join(
        b"--B\r\n" + piece + b"\r\n" for piece in pieces
    )  # fmt: skip


def test_documents_mail_whose_base64_was_cut_is_read_as_far_as_it_goes() -> None:
    whole = base64.b64encode(b"Dear customer, please pay 500 EUR until Friday")
    for cut in range(len(whole) - 6, len(whole)):
        text = only(HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + whole[:cut] + b"\r\n")
        assert "please pay 500 EUR" in text
    inner = base64.b64encode(b"From: q@example.com\r\nTo: r@example.com\r\nSubject: Inner\r\n\r\nInner words")
    found = read(parts(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner))
    assert b"Inner words" in found.attachments[0].content


def signed_with(inside: bytes) -> bytes:
    """Signed data as the library that everybody signs with writes it."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import pkcs7
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    day = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(day).not_valid_after(day + datetime.timedelta(9)).sign(key, hashes.SHA256())
    )  # fmt: skip
    builder = pkcs7.PKCS7SignatureBuilder().set_data(inside).add_signer(certificate, key, hashes.SHA256())
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])


def test_documents_mail_signed_as_a_whole_is_read() -> None:
    inside = b"Content-Type: text/plain\r\n\r\nSigned words"
    seal = signed_with(inside)
    mail = HEAD + b'Content-Type: application/pkcs7-mime; name="smime.p7m"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    found = read(mail + base64.encodebytes(seal))
    assert [(one.content, one.mime) for one in found.attachments] == [(inside, "message/rfc822")]
    assert found.warnings == ["a signature was not checked"]
    bill = make.text_pdf(["Invoice 7"])
    found = read(make.mail(attachments=[("bill.pdf.p7m", "application/octet-stream", signed_with(bill))]))
    assert [(one.content, one.name) for one in found.attachments] == [(bill, "bill.pdf")]
    assert signed.content(base64.encodebytes(seal)) == inside
    with pytest.raises(DocumentError, match="P7M"):
        read(seal)


def test_documents_signed_data_in_pieces_or_damaged() -> None:
    oid = bytes.fromhex("06092a864886f70d010702")
    pieces = b"\x24\x80\x04\x03abc\x04\x02de\0\0"
    inner = b"\xa0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80\x06\x03\x2a\x03\x04\xa0\x80" + pieces + bytes(10)
    assert signed.content(b"\x30\x80" + oid + inner) == b"abcde"
    whole = signed_with(b"words")
    for cut in range(0, len(whole), 7):
        assert signed.content(whole[:cut]) in (None, b"words")
    assert signed.content(b"no base64 at all!") is None


def attribute(number: int, value: bytes) -> bytes:
    return struct.pack("<BHHI", 2, number, 6, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def test_documents_mail_in_outlooks_own_format_gives_its_attachments() -> None:
    long = "Rechnung für März.txt"
    named = struct.pack("<I", 1) + struct.pack("<HHII", 0x1F, 0x3707, 1, len(long) * 2 + 2) + long.encode("utf-16-le")
    packed = struct.pack("<IH", 0x223E9F78, 1) + attribute(0x800C, b"Body words\0")
    for title, properties in ((b"A~1.TXT\0", named + b"\0\0"), (b"b.txt\0", b"")):
        packed += attribute(0x9002, bytes(14)) + attribute(0x8010, title) + attribute(0x800F, b"inside " + title[:1])
        packed += attribute(0x9005, properties) if properties else b""
    found = read(make.mail(attachments=[("winmail.dat", "application/ms-tnef", packed)]))
    assert [(one.name, one.content) for one in found.attachments] == [
        ("", b"Body words"), (long, b"inside A"), ("b.txt", b"inside b"),
    ]  # fmt: skip
    damaged = read(make.mail(attachments=[("winmail.dat", "application/ms-tnef", b"nothing of it")]))
    assert damaged.attachments == [] and "Outlook" in damaged.warnings[0]
    for cut in range(0, len(packed), 5):
        read(make.mail(attachments=[("winmail.dat", "application/ms-tnef", packed[:cut] + b"x")]))


def test_documents_saved_pages_are_mails_without_a_sender() -> None:
    style = b"Content-Type: text/css\r\nContent-Location: a.css\r\n\r\np { color: red }"
    mail = parts(style)
    bare = mail.replace(HEAD, b"MIME-Version: 1.0\r\n")
    for content in (mail, bare):
        found = read(content)
        assert found.type == "eml" and found.pages[0].text.endswith("Body") and found.attachments == []


def test_documents_mail_to_very_many_is_not_taken_apart() -> None:
    many = b", ".join(b'"Name, %d" <a%d@example.com>' % (number, number) for number in range(20_000))
    assert "<a7@example.com>" in only(b"From: a@example.com\r\nSubject: x\r\nTo: " + many + b"\r\n\r\nbody")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("請求書を送ります。\n合計12円".encode("utf-16-le"), "請求書を送ります。\n合計12円"),
        ("Счёт на оплату\r\n".encode("utf-16-be"), "Счёт на оплату\r\n"),
        ("Grüße aus Köln\n".encode() * 2 + "für Müller".encode("cp1252"), "Grüße aus Köln\n" * 2 + "für Müller"),
        (PAYABLE.encode("cp1255"), PAYABLE),
        ("СЧЁТ НА ОПЛАТУ УСЛУГ\nПрошу оплатить в срок".encode("koi8_r"), "СЧЁТ НА ОПЛАТУ УСЛУГ\nПрошу оплатить в срок"),
        (b"ID3 tags are read by players of music", "ID3 tags are read by players of music"),
    ],
)  # fmt: skip
def test_documents_text_in_encodings_that_are_told_by_little(content: bytes, said: str) -> None:
    assert only(content) == said


def test_documents_csv_that_names_its_separator_or_never_ends_a_row() -> None:
    assert only(b"sep=;\r\na,b;c\r\n1;2\r\n", "text/csv") == "a,b | c\n1 | 2"
    wide = read(b",".join([b"x"] * 30), "text/csv", max_table_cells=10)
    assert wide.pages[0].text.count("x") == 10 and "cut" in wide.warnings[0]


def test_documents_rtf_heads_notes_breaks_and_deletions() -> None:
    found = read(
        rb"{\rtf1{\header Head\par}One{\footnote a note}{\deleted gone}\par\pagebb Two \u-10179?\par}"
    )  # fmt: skip
    said = [page.text.split() for page in found.pages]
    assert said == [["Head", "One", "a", "note"], ["Two", "\ufffd"]]


def test_documents_pictures_of_many_greys_and_of_many_frames() -> None:
    import numpy as np
    from PIL import Image

    plain = make.rendered(make.text_pdf([make.prose(40)]), dpi=30)
    greys = np.asarray(plain).astype(np.uint16)
    shown = (greys.astype(float) - greys.min()) * 255 / (greys.max() - greys.min())
    for deep, kind in ((greys * 257, "PNG"), (greys * 16, "PNG"), (greys.astype(np.float32) / 255, "TIFF")):
        content = make.picture_bytes(Image.fromarray(deep), kind)
        eight = picture(content, kind.lower(), 0, FileLimits(), 200).convert("L")
        assert np.abs(np.asarray(eight) - shown).max() < 2
    for kind, told in (("PNG", 1), ("WEBP", 1), ("MPO", 0), ("TIFF", 0)):
        made = make.picture_bytes(
            plain.convert("RGB"), kind, save_all=True, append_images=[plain.convert("RGB").rotate(9)]
        )
        found = read(made)
        assert (len(found.pages), len(found.warnings)) == (2 if kind == "TIFF" else 1, told), kind


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom" + bytes(20), "film"),
        (b"ID3\x03\0\0" + bytes(40), "sound"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(9), "JPEG 2000"),
    ],
)
def test_documents_of_other_kinds_are_named(content: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said) as caught:
        sniff(content)
    assert caught.value.code == "unsupported_type"


def test_documents_comments_before_a_page_are_passed_over_in_one_way_only() -> None:
    # With a way for each pair of marks this would not end in a lifetime.
    assert sniff(b"<!-- " + b"--> <!-- " * 100 + b"x" * 200).name == "text"
    assert sniff(b"<!-- a --> <!-- b -->\n<html>").name == "html"


def saved(thing: Any) -> bytes:
    target = io.BytesIO()
    save: Callable[[io.BytesIO], object] = thing.save
    save(target)
    return target.getvalue()
