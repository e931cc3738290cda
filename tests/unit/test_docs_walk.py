"""docs/walk.md has every command of README, tutorial and deploy.md with what came out of it."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WALK: dict[str, Any] = runpy.run_path(str(ROOT / "docs/walk.py"))
PAGE = (ROOT / "docs/walk.md").read_text(encoding="utf-8")
# A model that does not fit a card is an error.
FAIL = ('--gpu "RTX 4090"',)


def test_every_command_was_walked() -> None:
    told = [one for page in WALK["PAGES"] for one in WALK["commands"]((ROOT / page).read_text(encoding="utf-8"))]
    assert [command for command, _ in WALK["walked"](PAGE)] == told, "make walk"
    assert len(told) > 35 and "make run" in told


def test_what_came_out_is_kept_and_what_failed_was_to_fail() -> None:
    for command, told in WALK["walked"](PAGE):
        ran = "```text\n" in told
        assert ran or told.startswith("Not run: "), command
        assert "Traceback" not in told, command
        assert ("exit code" in told) == any(words in command for words in FAIL), command
    assert "proved: what is scored is what the model computes" in PAGE and "Not run: needs an account" not in PAGE


def test_commands_are_read_without_comments_and_once() -> None:
    text = "```bash\n# why\na --b c   # e\n\nf\n```\n```json\n{}\n```\n```bash\nf\ng \\\n  h\ni <<'E'\n# j\nE\n```\n"
    assert WALK["commands"](text) == ["a --b c", "f", "g \\\n  h", "i <<'E'\n# j\nE"]


def test_the_readme_has_the_form_in_which_the_walk_writes_its_answer() -> None:
    (shown,) = WALK["ANSWER"].findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert WALK["readme_answer"](json.loads(shown)) == shown


def test_nothing_that_needs_an_account_is_sent_to_its_address() -> None:
    for page in WALK["PAGES"]:
        for command in WALK["commands"]((ROOT / page).read_text(encoding="utf-8")):
            if not command.startswith(tuple(WALK["LEFT_OUT"])):
                run = WALK["stood_in"](command)
                assert not re.search(r"ENDPOINT_ID|api\.runpod|RUNPOD_API_KEY=|YOU/|quantize.*mistralai", run), run
