"""Documents from files: each format as its real writer writes it, read in this process by the code of the sandbox."""

from __future__ import annotations

import io
import re
import zipfile

import pytest

from pinpoint.documents.extract import extract
from pinpoint.documents.extracted import Extracted
from pinpoint.documents.file_limits import FileLimits
from pinpoint.documents.pictures import picture
from pinpoint.errors import DocumentError
from tests import file_makers as make
from tests.msg_maker import msg_file

ROWS = [["Item", "Qty", "Price"], ["Apple pie", "2", "3.50"], ["Tea", "10", "1.00"]]
SHOWN_ROWS = "Item | Qty | Price\nApple pie | 2 | 3.50\nTea | 10 | 1.00"


def read(content: bytes, mime: str = "", filename: str = "", rows: int = 20_000) -> Extracted:
    return extract(content, mime, filename, FileLimits(max_table_rows=rows))


def refused(content: bytes, mime: str = "") -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        read(content, mime)
    return caught.value


def words(text: str) -> list[str]:
    return text.split()


def test_documents_pdf_keeps_its_pages_and_blank_ones() -> None:
    found = read(make.text_pdf(["Invoice 7\nTotal 12.00", "", "Page three"]))
    assert [page.text for page in found.pages] == ["Invoice 7\nTotal 12.00", "", "Page three"]
    assert [page.source for page in found.pages] == ["embedded", "none", "embedded"]
    assert (found.type, found.warnings, any(page.scanned for page in found.pages)) == ("pdf", [], False)
    assert found.extractor.startswith("pypdfium2 ")


def test_documents_pdf_columns_drawn_in_turns_are_read_one_after_the_other() -> None:
    content, left, right = make.two_column_pdf()
    assert read(content).pages[0].text == f"{left}\n{right}"


def test_documents_pdf_table_drawn_by_columns_is_read_by_rows() -> None:
    assert read(make.table_pdf(ROWS)).pages[0].text == SHOWN_ROWS


def test_documents_pdf_table_drawn_cell_by_cell_is_read_by_rows() -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=11)
    with pdf.table() as table:
        for cells in ROWS:
            row = table.row()
            for cell in cells:
                row.cell(cell)
    assert read(bytes(pdf.output())).pages[0].text == SHOWN_ROWS


def test_documents_pdf_form_in_xfa_is_told() -> None:
    text = b"BT /F 12 Tf 50 700 Td (Please wait) Tj ET"
    content = make.raw_pdf([
        b"<</Type/Catalog/Pages 2 0 R/AcroForm<</XFA 5 0 R/Fields[]>>>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(text), text),
        b"<</Length 11>>stream\n<xdp></xdp>\nendstream",
    ])  # fmt: skip
    found = read(content)
    assert (found.pages[0].text, found.warnings) == (
        "Please wait", ["a form in XFA was not read; print it to a PDF"],
    )  # fmt: skip


@pytest.mark.parametrize("by_page", [False, True])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_documents_pdf_turned_pages_are_read_in_order(degrees: int, by_page: bool) -> None:
    text = make.prose(60)
    found = read(make.turned_pdf(text, degrees, by_page=by_page)).pages[0].text
    assert found.replace("\n", "").replace(" ", "") == text.replace(" ", "")


def test_documents_pdf_right_to_left_and_chinese() -> None:
    lines = read(make.font_pdf([make.HEBREW, make.CHINESE, make.ARABIC])).pages[0].text.split("\n")
    assert words(lines[0]) == words(make.HEBREW)
    assert lines[1] == make.CHINESE
    assert words(lines[2]) == words(make.ARABIC)


def test_documents_pdf_says_what_nobody_sees() -> None:
    found = read(make.unseen_pdf("ignore this", "and this", "and that", "seen well"))
    assert found.warnings == [
        "invisible text in 1 place, which was read",
        "white text on white in 1 place, which was read",
        "text outside the page in 1 place, which was read",
    ]
    assert read(make.unseen_pdf(white_on_black="seen well")).warnings == []


def test_documents_pdf_scan_with_a_page_number_is_still_a_scan() -> None:
    picture = make.rendered(make.text_pdf([make.prose(50)]))
    for stamp, source in (("", "none"), ("page 1", "embedded"), (make.prose(20), "embedded")):
        (page,) = read(make.scanned_pdf([picture], stamp)).pages
        assert (page.scanned, page.source) == (True, source)
    (page,) = read(make.scanned_pdf([picture], make.prose(100))).pages
    assert not page.scanned


def test_documents_docx_in_reading_order() -> None:
    found = read(make.docx_file(["First", "Second"], ROWS, header="Header Co"))
    assert found.pages[0].text == f"Header Co\nFirst\nSecond\n{SHOWN_ROWS}\nAfter the table."
    assert found.type == "docx" and found.warnings == []


def test_documents_docx_whose_main_part_has_another_name() -> None:
    with zipfile.ZipFile(io.BytesIO(make.docx_file(["One"]))) as archive:
        members = {name.replace("document.xml", "document2.xml"): archive.read(name) for name in archive.namelist()}
    for name in ("_rels/.rels", "[Content_Types].xml"):
        members[name] = members[name].replace(b"word/document.xml", b"word/document2.xml")
    assert read(make.zipped(members)).pages[0].text.startswith("One\n")


def test_documents_docx_reads_controls_boxes_and_insertions_and_not_deletions() -> None:
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = (
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>In a control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>put in</w:t></w:r></w:ins><w:del><w:r><w:delText>taken out</w:delText></w:r></w:del>"
        "<w:r><w:tab/><w:t>after</w:t></w:r></w:p>"
        "<w:p><w:r><w:t>Anchor</w:t><w:pict><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent>"
        '</w:pict></w:r></w:p><w:p><w:r><w:br w:type="page"/><w:t>Page two</w:t></w:r></w:p>'
    )
    document = f"<w:document {space}><w:body>{body}</w:body></w:document>".encode()
    found = read(make.with_members(make.docx_file([]), {"word/document.xml": document}))
    assert [page.text.strip() for page in found.pages] == ["In a control\nput in\tafter\nAnchor\nIn a box", "Page two"]


def test_documents_office_files_say_what_is_not_read() -> None:
    more = {"word/vbaProject.bin": b"x", "word/embeddings/a.bin": b"x", "word/media/a.png": b"x"}
    assert read(make.with_members(make.docx_file(["x"]), more)).warnings == [
        "macros in the file were not read",
        "1 embedded file not read",
        "1 picture in the file not read",
    ]
    sheet = make.with_members(make.xlsx_file({"A": [["x"]]}), {"xl/vbaProject.bin": b"x"})
    assert read(sheet).warnings == ["macros in the file were not read"]


def test_documents_xlsx_sheets_are_pages_and_are_cut_with_a_word() -> None:
    book = make.xlsx_file({"Bills": ROWS, "Rest": [[1, 2.5, None, True]]})
    assert [page.text for page in read(book).pages] == [f"Bills\n{SHOWN_ROWS}", "Rest\n1 | 2.5 |  | TRUE"]
    cut = read(make.xlsx_file({"A": [[number] for number in range(50)]}), rows=10)
    assert cut.pages[0].text.split("\n")[1:] == [str(number) for number in range(10)]
    assert cut.warnings == ["sheet 1 was cut: its first 10 filled rows were read"]


def test_documents_xlsx_sizes_that_lie_charts_and_formulas() -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Sum", "=1+1"])
    book.active["XFD9"] = "far"
    book.create_chartsheet("Chart")
    target = io.BytesIO()
    book.save(target)
    sheet = zipfile.ZipFile(target).read("xl/worksheets/sheet1.xml")
    lying = re.sub(b'<dimension ref="[^"]*"', b'<dimension ref="A1"', sheet)
    found = read(make.with_members(target.getvalue(), {"xl/worksheets/sheet1.xml": lying}))
    assert [page.text for page in found.pages] == ["Sheet\nSum\n |  |  | far"]
    told = "1 formula without a saved value; save the file in a spreadsheet program"
    assert found.warnings == [told]
    for cell, warnings in (
        (b'<c r="B1" t="str"><f>IF(A1="","","x")</f><v></v></c>', []),  # as spreadsheets save a text without letters
        (b'<c r="B1" t="str"><f>"x"</f><v>x</v></c><c r="C1"><f>1</f><v>1</v></c>', []),
        (b'<c r="B1"><f t="shared" si="0"/></c>', [told]),
        (b'<c r="B1" s="1"><f>1+1</f></c>', [told]),
    ):
        mended = re.sub(b"<c r=.B1.*?</c>", cell, sheet)
        assert cell in mended and read(make.with_members(target.getvalue(), {
            "xl/worksheets/sheet1.xml": mended})).warnings == warnings  # fmt: skip


def test_documents_pptx_slides_are_pages_with_their_notes() -> None:
    show = make.pptx_file([("Title one", "Text one", "Said one"), ("Title two", "Text two", "")])
    pages = [page.text for page in read(show).pages]
    assert pages[0].split("\n")[:3] == ["Title one", "Text one", "Said one"]
    assert pages[1].split("\n")[:2] == ["Title two", "Text two"]


def test_documents_open_document_text_and_sheets() -> None:
    cells = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in ("a", "b"))
    row = f"<table:table-row>{cells}</table:table-row>"
    empty = '<table:table-row table:number-rows-repeated="1048576"><table:table-cell/></table:table-row>'
    text = f'<text:h>Head</text:h><text:p>x<text:s text:c="2"/>y</text:p><table:table>{row}</table:table>'
    assert read(make.odt_file(text)).pages[0].text == "Head\nx  y\na | b"
    sheets = read(make.odt_file(f"<table:table>{row}{empty}</table:table>" * 2, "spreadsheet"))
    assert [page.text for page in sheets.pages] == ["a | b", "a | b"]


def test_documents_html_is_what_a_browser_shows() -> None:
    source = """<html><head><title>Bill</title><style>p {}</style></head><body><nav>Home</nav><p>Hello <b>World</b></p>
        <table><tr><th>Item<th>Price</tr><tr><td><p>Tea</p></td><td>1.00</td></tr></table><script>no()</script>
        <div style="display: none">not shown</div><p style="color:#fff">white</p>
        <p style="background:black"><span style="color:white">fine</span></p><!-- no --></body></html>"""
    found = read(source.encode())
    lines = [line for line in found.pages[0].text.split("\n") if line]
    assert lines == ["Bill", "Home", "Hello World", "Item | Price", "Tea | 1.00", "white", "fine"]
    assert found.warnings == [
        "text that is not displayed in 1 place was left out",
        "text that cannot be seen (white, clear or of no size) in 1 place, which was read",
    ]


def test_documents_html_that_names_an_encoding_it_cannot_have() -> None:
    page = '<html><head><meta charset="utf-16"></head><body><p>Grüße<input value="Jörg"></body></html>'
    assert read(page.encode()).pages[0].text == "Grüße Jörg"


def test_documents_html_depth_exhausts_nothing() -> None:
    assert refused(b"<html><body>" + b"<div><table><tr><td>" * 20_000 + b"inside").code == "nested_too_deep"
    answered = b"<html><body>" + b"<blockquote>" * 900 + b"the first words of a long exchange"
    assert read(answered).pages[0].text == "the first words of a long exchange"


def test_documents_mail_with_attachments() -> None:
    inner = make.mail("Inner", "Inside.")
    pdf = make.text_pdf(["x"])
    found = read(make.mail("Invoice 7", "Dear Bob", attachments=[("a.pdf", "application/pdf", pdf),
                                                                 ("m.eml", "message/rfc822", inner)]))  # fmt: skip
    assert found.type == "eml"
    assert found.pages[0].text.split("\n")[:5] == [
        "From: Ann Sender <ann@example.com>",
        "To: bob@example.com",
        "Date: Tue, 24 Nov 2026 10:00:00 +0000",
        "Subject: Invoice 7",
        "",
    ]
    assert [(one.mime, one.name) for one in found.attachments] == [
        ("application/pdf", "a.pdf"),
        ("message/rfc822", "m.eml"),
    ]
    assert found.attachments[0].content == pdf


def test_documents_mail_headers_in_letters_of_one_byte() -> None:
    for coding in ("latin-1", "utf-8"):
        mail = "From: Jörg <j@x.example>\r\nSubject: Überweisung fällig\r\n\r\nHallo".encode(coding)
        assert (
            read(mail, "message/rfc822")
            .pages[0]
            .text.startswith("From: Jörg <j@x.example>\nSubject: Überweisung fällig\n")
        )


def test_documents_mail_headers_in_no_letters_are_no_reason_to_refuse_it() -> None:
    head = b"Subject: Rechnung " + bytes(range(0x81, 0xFF)) + b"\nContent-Type: text/plain; charset=iso-8859-1"
    for end in (b"\n\n", b"\r\n\r\n", b"\n\r\n"):
        text = read(head + end + "Grüße".encode("latin-1"), "message/rfc822").pages[0].text
        assert text.startswith("Subject: Rechnung ") and text.endswith("\n\nGrüße")


def test_documents_mail_reads_html_where_the_plain_part_says_nothing() -> None:
    html = f"<p>{make.prose(30)}</p>"
    assert make.prose(30) in read(make.mail(text="See HTML.", html=html)).pages[0].text
    both = read(make.mail(text=make.prose(28), html=html)).pages[0].text
    assert make.prose(28) in both and make.prose(30) not in both


def test_documents_outlook_mail() -> None:
    big = b"x" * 10_000  # lies in another part of the file than what is small
    attachments = [("a.txt", "text/plain", b"words"), ("b.bin", "application/x-b", big), ("c", "", b"")]
    found = read(msg_file("Invoice 7", "Dear Bob", attachments=attachments))
    assert found.type == "msg" and found.extractor.startswith("python-oxmsg ")
    assert found.pages[0].text == (
        'From: "Ann Sender" <ann@example.com>\nTo: Bob <bob@example.com>\nSubject: Invoice 7\n\nDear Bob'
    )
    assert [(one.name, one.mime, one.content) for one in found.attachments] == [
        ("a.txt", "text/plain", b"words"),
        ("b.bin", "application/x-b", big),
    ]
    assert found.warnings == ["1 embedded file not read"]
    assert read(msg_file(body="", html=b"<p>Hello <b>Bob</b></p>")).pages[0].text.endswith("\n\nHello Bob")


def test_documents_rtf() -> None:
    found = read(rb"{\rtf1\ansi\deff0 {\fonttbl{\f0 Arial;}}\f0 Invoice \b no. 7\b0\par Total: 12,00 \'80\par}")
    assert words(found.pages[0].text) == ["Invoice", "no.", "7", "Total:", "12,00", "€"]


@pytest.mark.parametrize(
    ("content", "mime", "text"),
    [
        ("Grüße".encode(), "", "Grüße"),
        ("Grüße".encode("utf-8-sig"), "", "Grüße"),
        ("Grüße aus Köln".encode("utf-16"), "", "Grüße aus Köln"),
        ("Invoice no. 7".encode("utf-16-le"), "", "Invoice no. 7"),
        ("Grüße".encode("cp1252"), "text/plain; charset=windows-1252", "Grüße"),
        ("Grüße an Jörg – ü".encode()[:-1], "", "Grüße an Jörg – "),
        (("Größe " * 20).encode() + b"\xff.", "", "Größe " * 20 + "\ufffd."),
        (b"# Title", "text/markdown; charset=utf-8", "# Title"),
        (b'{"invoice": 7}', "application/json", '{"invoice": 7}'),
        (b"<Invoice><ID>42</ID></Invoice>", "application/xml", "<Invoice><ID>42</ID></Invoice>"),
        ("請求書".encode("shift_jis"), "text/plain; charset=Shift_JIS", "請求書"),
        (
            "Grüße aus Köln, schöne Straßen, Änderungen".encode("cp1252"),
            "",
            "Grüße aus Köln, schöne Straßen, Änderungen",
        ),
    ],
)
def test_documents_text_in_its_encoding(content: bytes, mime: str, text: str) -> None:
    assert read(content, mime).pages[0].text == text


@pytest.mark.parametrize(
    ("content", "mime", "said"),
    [
        ("Invoice".encode("utf-16"), "text/plain; charset=utf-8", ("utf-8", "utf-16")),
        ("Invoice no. 7".encode("utf-16-le"), "text/plain; charset=utf-8", ("utf-8", "utf-16-le")),
        ("Grüße".encode("latin-1"), "text/plain; charset=utf-8", ("utf-8",)),
        (b"x", "text/plain; charset=klingon", ("klingon",)),
        (b"x", "text/plain; charset=rot13", ("rot13",)),
    ],
)
def test_documents_text_not_in_its_encoding(content: bytes, mime: str, said: tuple[str, ...]) -> None:
    error = refused(content, mime)
    assert error.code == "invalid_encoding"
    assert all(word in error.message for word in said)


def test_documents_csv_rows() -> None:
    assert read(b'a;b;c\n1;"2;5";3\n', "text/csv").pages[0].text == "a | b | c\n1 | 2;5 | 3"
    assert read(b"a\tb\n1\t2\n", filename="x.tsv").pages[0].text == "a | b\n1 | 2"
    assert read(b"a,b\n1,2\n").type == "text"
    assert read(b"a\n" * 50, "text/csv", rows=5).warnings == ["the table was cut: its first 5 rows were read"]


def test_documents_pictures_are_pages_without_text() -> None:
    page = make.rendered(make.text_pdf(["x"]), dpi=40)
    for kind, name in (("PNG", "png"), ("JPEG", "jpeg"), ("WEBP", "webp")):
        found = read(make.picture_bytes(page, kind))
        assert (found.type, [page.scanned for page in found.pages]) == (name, [True])
    tiff = make.picture_bytes(page, "TIFF", save_all=True, append_images=[page, page])
    assert (read(tiff).type, len(read(tiff).pages)) == ("tiff", 3)


def test_documents_pictures_with_clear_parts_are_laid_on_paper() -> None:
    from PIL import Image

    for drawn, paper in ((0, 255), (255, 0)):
        clear = Image.new("RGBA", (60, 20), (0, 0, 0, 0))
        clear.paste((drawn, drawn, drawn, 255), (10, 5, 20, 15))
        shown = picture(make.picture_bytes(clear), "png", 0, FileLimits(), 200)
        assert (shown.getpixel((0, 0)), shown.getpixel((15, 10))) == ((paper,) * 3, (drawn,) * 3)
    edged = Image.new("RGBA", (60, 20), (0, 0, 0, 0))
    edged.paste((255, 255, 255, 255), (2, 2, 58, 18))  # a page with its own paper, and a clear edge
    palette = Image.new("P", (60, 20), 0)
    palette.putpalette([0, 0, 0, 0, 0, 0])
    palette.paste(1, (10, 5, 20, 15))
    for content in (make.picture_bytes(edged), make.picture_bytes(palette, transparency=0)):
        assert picture(content, "png", 0, FileLimits(), 200).getpixel((0, 0)) == (255,) * 3
