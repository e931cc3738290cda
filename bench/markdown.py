"""Tables of a page that is made of figures."""

from __future__ import annotations

from collections.abc import Iterator


def capital(title: str) -> str:
    """A title at the beginning of a line."""
    return title[0].upper() + title[1:]


def table_header(*names: str) -> Iterator[str]:
    """The first two lines of a table."""
    yield table_row(*names)
    yield "|" + " --- |" * len(names) + "\n"


def table_row(*cells: str) -> str:
    """One line of it."""
    return "| " + " | ".join(cells) + " |\n"
