"""What reading one file may take: bytes, pages, time and memory. Beyond any of them the file fails alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileLimits:
    """The most that one file may hold or cost."""

    max_file_bytes: int = 20_000_000  # what the platform takes in a request; a longer file comes by `url`
    max_inflated_bytes: int = 200_000_000  # of all members of an archive, or of a body on its way
    max_members: int = 10_000  # of an archive: a workbook of a thousand sheets has some three thousand
    max_pages: int = 10_000  # as for `pages`
    max_text_chars: int = 4_000_000  # of all pages, as for all strings of a request
    max_table_rows: int = 20_000  # of one sheet; the first are read and the rest is said
    max_table_cells: int = 400_000  # of one file
    max_image_pixels: int = 100_000_000  # A4 at 1,000 dpi, 300 MB as RGB
    max_attachments: int = 50  # of one mail with all that it holds
    max_depth: int = 2  # of attachments in attachments
    wall_s: float = 30.0  # of one reading
    cpu_s: int = 30
    memory_bytes: int = 1_500_000_000  # address space of a reading process; its libraries map 0.3 GB of it
    output_bytes: int = 64_000_000  # text and attachments of one file
    ocr_wall_s: float = 60.0  # of one page
    ocr_memory_bytes: int = 4_000_000_000  # the recogniser maps 1 to 2 GB
    ocr_pages: int = 50  # of one file
    ocr_s: float = 120.0  # of all its pages
