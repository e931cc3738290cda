"""The engine as a single instance: what is read ahead of its load ends with it, however it ends."""

import pytest

from pinpoint.errors import ModelError
from pinpoint.serving import model
from pinpoint.settings import Settings


class Ahead:
    """Counts how often it was begun and stopped."""

    bytes, seconds = 0, 0.0
    begun = stopped = 0

    def stop(self) -> None:
        """One more."""
        self.stopped += 1


def test_what_is_read_ahead_of_a_load_that_fails_ends_with_it_and_is_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ahead = Ahead()

    def begin(name: str, revision: str, most_bytes: int) -> Ahead:
        assert (name, revision) == ("./mine", "main") and most_bytes > 0
        ahead.begun += 1
        return ahead

    def fails(*given: object) -> None:
        assert ahead.begun > ahead.stopped, "while it is loaded"
        raise ModelError("model_unreadable", "it is damaged", "MODEL_NAME")

    monkeypatch.setattr(model, "_scorer", None)
    monkeypatch.setattr(model, "_ahead", None)
    monkeypatch.setattr(model, "read_ahead_of", begin)
    monkeypatch.setattr(model, "make_scorer", fails)
    settings = Settings(model_name="./mine")
    model.read_ahead(settings)
    for times in (1, 2):
        with pytest.raises(ModelError):
            model.get_scorer(settings)
        assert (ahead.begun, ahead.stopped) == (times, times)


def test_objects_of_the_first_import_are_not_gone_over_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import sys

    frozen = list[int]()
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(1))
    monkeypatch.setitem(sys.modules, "torch", sys)
    with model.objects_that_stay():
        assert gc.isenabled(), "who imported torch may have objects that do not stay"
    assert not frozen
    monkeypatch.delitem(sys.modules, "torch")
    with model.objects_that_stay():
        assert not gc.isenabled()
    assert gc.isenabled() and len(frozen) == 1
    with pytest.raises(RuntimeError, match="of an import"), model.objects_that_stay():
        raise RuntimeError("of an import")
    assert gc.isenabled() and len(frozen) == 1, "nothing is kept of an import that failed"
    gc.disable()
    try:
        with model.objects_that_stay():
            pass
        assert not gc.isenabled() and len(frozen) == 1, "who switched it off has a reason"
    finally:
        gc.enable()
