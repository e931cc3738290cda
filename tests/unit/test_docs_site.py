"""The site of the documents is made without a warning: no link, anchor or page leads nowhere."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from deploy import site_pages

ROOT = Path(__file__).parents[2]


class Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> list[str]:
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.commands.build import build as made
    from mkdocs.config import load_config

    warnings = Warnings()
    logging.getLogger("mkdocs").addHandler(warnings)
    try:
        config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"), **more)
        config.plugins.on_startup(command="build", dirty=False)
        made(config)
    finally:
        logging.getLogger("mkdocs").removeHandler(warnings)
    return warnings.said


@pytest.mark.filterwarnings("ignore")
def test_no_link_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(tmp_path, monkeypatch) == []
    first = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert 'href="tutorial.html"' in first and 'src="picture.svg"' in first
    assert "fonts.googleapis" not in first


@pytest.mark.filterwarnings("ignore")
def test_a_broken_link_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tutorial.md").write_text("[a](b.md) [c](tutorial.md#d)", encoding="utf-8")
    monkeypatch.setattr(site_pages, "PAGES", {})
    said = build(tmp_path, monkeypatch, docs_dir=str(tmp_path / "docs"), nav=["tutorial.md"], hooks=[])
    assert len(said) == 2 and "'b.md'" in said[0] and "#d" in said[1]


def test_links_of_the_root_are_those_of_the_site() -> None:
    assert site_pages.moved("[a](docs/api.md#x) ![p](docs/picture.svg) [c](CHANGELOG.md)") == (
        "[a](api.md#x) ![p](picture.svg) [c](changelog.md)"
    )
    assert (
        site_pages.moved_up("[r](../README.md#run-it) [s](../SECURITY.md)") == "[r](index.md#run-it) [s](security.md)"
    )


def test_a_new_document_is_in_the_navigation() -> None:
    nav: list[Any] = [{"A": "a.md"}, {"B": [{"C": "c.md"}]}]
    assert site_pages.with_all(nav, ["a.md", "c.md"]) == nav
    assert site_pages.with_all(nav, ["a.md", "new.md"]) == [*nav, {"More": ["new.md"]}]


def test_a_page_stands_in_the_navigation_once() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    named = re.findall(r"[\w-]+\.md", nav)
    assert len(named) > 20 and len(set(named)) == len(named)
