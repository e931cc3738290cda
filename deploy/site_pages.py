"""The site's pages that lie at the root of the repository: README.md is its first page. A hook of mkdocs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}


def moved(text: str) -> str:
    """Links of a page at the root, as they are from docs/."""
    text = re.sub(r"\]\(docs/", "](", text)
    for name, page in PAGES.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text


def moved_up(text: str) -> str:
    """Links of a page in docs/ to one at the root, as they are in the site."""
    for name, page in PAGES.items():
        text = text.replace(f"](../{name}", f"]({page}")
    return text


def with_all(nav: list[Any], documents: list[str]) -> list[Any]:
    """The navigation with what it lacks in a section of its own, so that a new document is never out of reach."""
    named = set(re.findall(r"[\w-]+\.md", str(nav)))
    lacking = [name for name in documents if name not in named]
    return [*nav, {"More": lacking}] if lacking else nav


def on_config(config: Any) -> Any:
    """Complete the navigation; called by mkdocs."""
    config.nav = with_all(config.nav, sorted(path.name for path in (ROOT / "docs").glob("*.md")))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages; called by mkdocs."""
    from mkdocs.structure.files import File

    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=moved((ROOT / name).read_text(encoding="utf-8"))))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return moved_up(markdown)
