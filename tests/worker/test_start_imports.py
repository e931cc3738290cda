"""What a worker's process imports when it loads its model, and what it leaves alone."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from pinpoint.engine.readings import Laps
from pinpoint.serving import model
from pinpoint.settings import Settings
from tests import warm

WATCHED = ("transformers.modeling_utils", "scipy", "sklearn", "matplotlib")


def test_the_libraries_of_evaluate_stay_out_of_a_worker_s_process(tmp_path: Path) -> None:
    """In a process that has imported transformers as a worker does (tests/warm.py)."""
    assert all(find_spec(name) for name in WATCHED), "else there is nothing to leave out"
    script = tmp_path / "what.py"
    script.write_text(
        "import json, sys, transformers.utils\n"
        f"print(json.dumps([[name for name in {WATCHED} if name in sys.modules], "
        "transformers.utils.is_scipy_available()]))\n"
    )
    done = warm.run([str(script)], dict(os.environ))
    assert done.returncode == 0, done.stderr
    imported, seen = json.loads(done.stdout)
    assert imported == ["transformers.modeling_utils"]
    assert seen, "whoever asks later is told the truth"


def test_the_model_is_loaded_after_transformers_came_in_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    came = list[str]()

    def note() -> None:
        came.append("transformers")

    def load(settings: Settings, laps: Laps) -> None:
        assert list(laps.seconds) == ["imports", "context"]
        came.append("load")
        raise InterruptedError

    monkeypatch.setattr("pinpoint.engine.transformers_import.import_without_scipy", note)
    monkeypatch.setattr("pinpoint.engine.loading.load.load", load)
    with pytest.raises(InterruptedError):
        model.make_scorer(Settings(device="cpu"))
    assert came == ["transformers", "load"]
