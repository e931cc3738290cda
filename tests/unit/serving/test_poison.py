"""Jobs that ended their worker: remembered across processes, refused after two deaths, innocents cleared."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pinpoint.errors import CapacityError
from pinpoint.serving.poison import FOLDER, PoisonMemory, state_folder

ROOT = Path(__file__).parents[3]
# A worker that dies in the middle of a pass with these jobs, as by SIGKILL: nothing is unwound.
DIES = """
import os, sys
from pathlib import Path
from pinpoint.serving.poison import PoisonMemory
memory = PoisonMemory(Path(sys.argv[1]))
for name in sys.argv[2:]:
    memory.check(name)
with memory.running(sys.argv[2:]):
    os._exit(9)
"""


def dies(folder: Path, *jobs: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES, str(folder), *jobs], env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 9


def test_after_two_deaths_it_is_refused_and_others_are_not(tmp_path: Path) -> None:
    assert PoisonMemory(tmp_path).check("bad") == 0
    dies(tmp_path, "bad", "neighbour")
    assert PoisonMemory(tmp_path).check("bad") == PoisonMemory(tmp_path).check("neighbour") == 1
    # From now on its passes hold nothing else: the neighbour survives its own.
    with PoisonMemory(tmp_path).running(["neighbour"]):
        pass
    PoisonMemory(tmp_path).clear("neighbour")
    dies(tmp_path, "bad")
    with pytest.raises(CapacityError) as caught:
        PoisonMemory(tmp_path).check("bad")
    assert (caught.value.code, caught.value.field) == ("poison_job", "id")
    assert PoisonMemory(tmp_path).check("neighbour") == 0


def test_a_pass_that_ends_leaves_nothing_however_it_ends(tmp_path: Path) -> None:
    memory = PoisonMemory(tmp_path)
    with memory.running(["1", "2"]):
        assert memory.deaths("1") == memory.deaths("2") == 1
        assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError), memory.running(["1"]):
        raise ValueError
    assert list(tmp_path.iterdir()) == []


def test_what_a_job_was_suspected_of_outlives_a_pass_until_it_is_answered(tmp_path: Path) -> None:
    dies(tmp_path, "large")
    memory = PoisonMemory(tmp_path)
    with memory.running(["large"]):
        assert memory.deaths("large") == 2
    assert memory.deaths("large") == 1
    memory.clear("large")
    assert memory.deaths("large") == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "\ud800", "x" * 5000, ".", "\0"])
def test_any_id_is_a_file_in_the_folder(tmp_path: Path, name: str) -> None:
    memory = PoisonMemory(tmp_path / "deep" / "er")
    with memory.running([name]):
        assert memory.deaths(name) == 1
        assert len(list((tmp_path / "deep" / "er").iterdir())) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_a_job_without_an_id_is_not_remembered(tmp_path: Path) -> None:
    with PoisonMemory(tmp_path).running(["", ""]):
        assert list(tmp_path.iterdir()) == []


def test_a_volume_that_cannot_be_written_is_told_of_once_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where a folder should be")
    memory = PoisonMemory(blocked)
    for _ in range(3):
        assert memory.check("1") == 0
        with memory.running(["1"]):
            pass
    assert len(caplog.records) == 1
    assert not memory.remembers


def test_what_somebody_else_wrote_is_no_evidence(tmp_path: Path) -> None:
    memory = PoisonMemory(tmp_path)
    with memory.running(["1"]):
        (marker,) = tmp_path.iterdir()
        marker.write_bytes(b"\xff\xfe nonsense")
        assert memory.check("1") == 0


def test_where_it_is_kept(tmp_path: Path) -> None:
    assert state_folder("", volume=tmp_path) is None  # a folder is no mounted volume
    assert state_folder("", volume=Path("/proc")) == Path("/proc") / FOLDER
    assert state_folder(str(tmp_path)) == tmp_path / FOLDER
    nowhere = PoisonMemory(None)
    with nowhere.running(["1"]):
        assert nowhere.check("1") == 0
