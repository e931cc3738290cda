"""Task files: what is written is read, what does not fit is refused in words."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import pinpoint
from pinpoint.decide.task_file import CONFIDENCE_BINS, Certificate, Fitted, Reference, Setup, TaskFile
from pinpoint.engine.readings import ModelInfo
from pinpoint.errors import PinpointError

INFO = ModelInfo("embedded", "main", "int8", 1, "4b933644ea952e71")
SETUP = Setup.of(INFO, on_card=False)


def taught(**changes: Any) -> TaskFile:
    fields: dict[str, Any] = {
        "setup": SETUP, "task": "category", "kind": "choice", "labels": ["invoice", "receipt"],
        "made": date(2026, 11, 28), "examples": 40, "fitted": Fitted(temperature=1.5, offsets=[0.0, 1.25]),
    }  # fmt: skip
    return TaskFile(**(fields | changes))


def test_what_is_saved_is_loaded_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    promise = Certificate(
        target_error=0.05, confidence_level=0.9, threshold=0.7, n_held_out=100, n_accepted=60, n_wrong=0, bound=0.04
    )
    reference = Reference(
        n=40, label_distribution=[0.5, 0.5], mean_label_mass=0.9, confidence_histogram=[0.1] * CONFIDENCE_BINS
    )
    file = taught(certificates=[promise], reference=reference)
    path = tmp_path / "tasks" / "mail.json"
    file.save(path)
    assert TaskFile.load(path) == file
    assert [one.name for one in path.parent.iterdir()] == ["mail.json"]
    assert promise.coverage == 0.6


def test_its_calibration_is_what_was_fitted() -> None:
    calibration = taught(mask=[1]).calibration()
    assert (calibration.labels, calibration.temperature, calibration.masked) == (2, 1.5, (1,))
    assert calibration.offsets is not None and calibration.offsets.tolist() == [0.0, 1.25]
    assert taught(fitted=Fitted()).calibration().is_identity


def test_without_enough_examples_a_score_is_not_called_confidence() -> None:
    assert taught(examples=10).fills_confidence
    assert taught(examples=3, held_out=7).fills_confidence
    assert not taught(examples=9).fills_confidence


def test_the_set_up_names_build_and_device() -> None:
    assert SETUP.engine == f"pinpoint-{pinpoint.__version__} cpu"
    assert Setup.of(INFO, on_card=True).engine.endswith(" cuda")


@pytest.mark.parametrize("name", list(Setup.model_fields))
def test_another_set_up_is_refused_with_what_differs(name: str) -> None:
    other = SETUP.model_copy(update={name: 2 if name == "prompt_version" else "another"})
    file = taught()
    file.check(SETUP)
    assert file.mismatch(SETUP) is None
    with pytest.raises(PinpointError, match=rf"task_mismatch.*{name} is (another|2), taught with"):
        file.check(other)


WRONG = {
    "offsets": {"fitted": {"offsets": [1.0]}},
    "head": {"fitted": {"head": [[0.0, 0.0]]}},
    "rows of the head": {"fitted": {"head": [[0.0], [0.0]]}},
    "rows of what looks at a state": {"fitted": {"state": [[0.0] * 128]}},
    "a state of another length": {"fitted": {"state": [[0.0] * 127] * 3}},
    "a large head": {"labels": ["x"] * 257, "fitted": {"head": [[0.0] * 257] * 257}},
    "states of sets of many labels": {"labels": ["x"] * 33, "sets": True, "fitted": {"state": [[0.0] * 128] * 33}},
    "a tree of sets": {"sets": True, "back_off": 0.5},
    "prior": {"prior": [1.0]},
    "a prior of nothing": {"prior": [0.0, 1.0]},
    "mask": {"mask": [2]},
    "all masked": {"mask": [0, 1]},
    "other": {"other": 2},
    "temperature": {"fitted": {"temperature": 0}},
    "format": {"format": 2},
    "another field": {"more": 1},
    "a number as text": {"examples": "40"},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_a_file_that_does_not_hold_together_is_refused_by_its_name(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "mail.json"
    path.write_text(json.dumps(json.loads(taught().model_dump_json()) | change))
    with pytest.raises(PinpointError, match=r"invalid_task_file: mail\.json"):
        TaskFile.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": NaN}', b"\xff\xfe", b'{"examples": 1e999}'])
def test_what_is_no_task_file_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mail.json"
    path.write_bytes(content)
    with pytest.raises(PinpointError, match="invalid_task_file"):
        TaskFile.load(path)
    with pytest.raises(PinpointError, match=r"invalid_task_file.*cannot be read"):
        TaskFile.load(tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PinpointError, match="cannot_write"):
        taught().save(tmp_path / "file" / "task.json")
