"""The server on an engine without a model, whose passes take as long as the document says: `slow 300` is 0.3 s."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pinpoint.cli import app
from pinpoint.prompting.span_tree import Forest
from pinpoint.serving import worker
from pinpoint.settings import Settings
from tests.fakes import FakeEngine

SLOW = re.compile(r"slow (\d+)")


class SlowEngine(FakeEngine):
    """Reads what it is asked to do out of the prompt."""

    @contextmanager
    def run(self, forest: Forest, *, explain: bool = False) -> Iterator[Any]:
        asked = [self.prompts.encoder.tokenizer.decode(forest.prompt(ask.span)) for ask in forest.asks]
        if any("fail" in prompt for prompt in asked):
            raise RuntimeError("a secret of the document")
        time.sleep(max((int(ms) / 1e3 for prompt in asked for ms in SLOW.findall(prompt)), default=0.0))
        with super().run(forest, explain=explain) as done:
            yield done


def load(settings: Settings) -> Any:
    time.sleep(float(settings.model_revision) if settings.model_revision[0].isdigit() else 0)
    return SlowEngine()


if __name__ == "__main__":
    vars(worker)["get_scorer"] = load
    sys.argv = ["pinpoint", "serve", *sys.argv[1:]]
    app()
