"""The server on an engine without a model, whose passes end when they are told to: `hold 3` with the file `3` in HOLDS.

It is loaded once the file is there that is given as its revision.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pinpoint.cli import app
from pinpoint.prompting.span_tree import Forest
from pinpoint.serving import worker
from pinpoint.settings import Settings
from tests.fakes import FakeEngine

HELD = re.compile(r"hold (\d+)")
LOOK_S = 0.01


class HeldEngine(FakeEngine):
    """Reads what it is asked to do out of the prompt."""

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[Any]:
        asked = [self.prompts.encoder.tokenizer.decode(forest.prompt(ask.span)) for ask in forest.asks]
        if any("fail" in prompt for prompt in asked):
            raise RuntimeError("a secret of the document")
        for name in {name for prompt in asked for name in HELD.findall(prompt)}:
            wait_for(Path(os.environ["HOLDS"]) / name)
        with super().run(forest, explain=explain) as done:
            yield done


def load(settings: Settings) -> Any:
    wait_for(Path(settings.model_revision))
    return HeldEngine()


def wait_for(file: Path) -> None:
    while not file.exists():
        time.sleep(LOOK_S)


if __name__ == "__main__":
    vars(worker)["get_scorer"] = load
    sys.argv = ["pinpoint", "serve", *sys.argv[1:]]
    app()
