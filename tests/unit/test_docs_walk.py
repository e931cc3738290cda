"""docs/walk.md has every command of the README with what came out of it."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WALK: dict[str, Any] = runpy.run_path(str(ROOT / "docs/walk.py"))
PAGE = (ROOT / "docs/walk.md").read_text(encoding="utf-8")
# There is no key here, and a model that does not fit a card is an error.
FAIL = ("--endpoint ENDPOINT_ID", '--gpu "RTX 4090"')


def test_every_command_of_the_readme_was_walked() -> None:
    told = WALK["commands"]((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [command for command, _ in WALK["walked"](PAGE)] == told, "python docs/walk.py CLONE"
    assert len(told) > 20 and "make run" in told


def test_what_came_out_is_kept_and_what_failed_was_to_fail() -> None:
    for command, told in WALK["walked"](PAGE):
        ran = "```text\n" in told
        assert ran or told.startswith("Not run: "), command
        assert "Traceback" not in told, command
        assert ("exit code" in told) == any(words in command for words in FAIL), command
    assert "invalid_api_key" in PAGE and "proved: what is scored is what the model computes" in PAGE


def test_commands_are_read_without_comments_and_once() -> None:
    text = "```bash\n# why\na --b c   # e\n\nf\n```\n```json\n{}\n```\n```bash\nf\ng\n```\n"
    assert WALK["commands"](text) == ["a --b c", "f", "g"]
