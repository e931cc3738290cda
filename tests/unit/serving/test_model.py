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
