"""The Dockerfile: what it may hold, that its files are in the build context, and what its entry point may do."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from deploy import self_test
from deploy.dockerfile import context, expand, pairs, parse

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")
INSTRUCTIONS = parse(DOCKERFILE)


def values() -> dict[str, str]:
    found: dict[str, str] = {}
    for one in INSTRUCTIONS:
        if one.word in ("ARG", "ENV"):
            found |= pairs(one.rest, found)
    return found


def test_the_base_is_pinned_by_tag_and_digest() -> None:
    bases = [one.rest for one in INSTRUCTIONS if one.word == "FROM"]
    assert len(bases) == 1 and re.fullmatch(r"python:3\.12\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", bases[0])


def test_no_secret_gets_into_a_layer() -> None:
    assert not [name for name in values() if re.search("TOKEN|KEY|SECRET|PASSWORD", name)]
    (secret,) = [one for one in INSTRUCTIONS if "hf_token" in one.rest]
    assert secret.flags == ("--mount=type=secret,id=hf_token",)


def test_what_is_installed_has_a_hash() -> None:
    installs = re.findall(r"pip install (.*)", DOCKERFILE)
    assert installs[0] == "--require-hashes --only-binary :all: --no-deps -r requirements.lock"
    assert len(installs) == 2 and installs[1].startswith("--no-deps --no-build-isolation .")


def test_every_copied_file_is_in_the_build_context_and_nothing_else_is() -> None:
    files = {path.as_posix() for path in context(ROOT, IGNORE)}
    copied = set()
    for one in INSTRUCTIONS:
        if one.word == "COPY":
            *sources, _ = expand(one.rest, values()).split()
            for source in sources:
                pattern = re.escape(source).replace(r"\*", "[^/]*") + "(/.*)?"
                found = {path for path in files if re.fullmatch(pattern, path)}
                assert found, source
                copied |= found
    assert copied == files and "src/pinpoint/embedded/config.json" in files


def test_an_init_is_process_1_and_the_image_tries_itself() -> None:
    by_word = {one.word: one for one in INSTRUCTIONS}
    assert by_word["ENTRYPOINT"].words() == ["/usr/bin/tini", "--", "/worker/entry.sh"]
    assert by_word["CMD"].words() == ["python", "-u", "handler.py"]
    assert by_word["RUN"].rest == 'MODEL_NAME="" HF_HUB_OFFLINE=1 ./entry.sh python self_test.py'
    apt = next(one.rest for one in INSTRUCTIONS if "apt-get install" in one.rest)
    assert "tini" in apt.split()


def test_lines_comments_and_flags() -> None:
    found = parse('# x\nFROM a\nRUN --mount=type=cache,target=/c a \\\n# between\n  && b\n\nCMD ["x", "y z"]\n')
    assert [(one.word, one.rest, one.flags) for one in found[:2]] == [
        ("FROM", "a", ()),
        ("RUN", "a   && b", ("--mount=type=cache,target=/c",)),
    ]
    assert found[2].words() == ["x", "y z"]
    with pytest.raises(ValueError, match="VOLUME"):
        parse("VOLUME /x")


def test_variables() -> None:
    given = {"A": "1", "B": ""}
    assert expand("$A ${A} ${B:-x$A} ${A:+/m/${A}} ${B:+no} ${C}", given) == "1 1 x1 /m/1  "
    assert pairs('X=${A}2 Y="a b"', given) == {"X": "12", "Y": "a b"}


def test_the_last_pattern_decides_what_is_in_the_context(tmp_path: Path) -> None:
    for name in (
        "a.txt",
        "b.lock",
        "src/x.py",
        "src/__pycache__/x.pyc",
        "deep/one.sh",
        "deep/two.sh",
        "src/p.egg-info/z",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    ignore = "*\n!*.lock\n!src\n!deep/one.sh\n# c\n**/__pycache__\n**/*.egg-info\n"
    assert [path.as_posix() for path in context(tmp_path, ignore)] == ["b.lock", "deep/one.sh", "src/x.py"]


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights")


def entered(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", str(ROOT / "deploy/entry.sh"), *command], env={"PATH": os.environ["PATH"], "HF_HOME": str(home)},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


@root_only
def test_the_worker_is_not_root_where_it_need_not_be(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    home = tmp_path / "cache"
    home.mkdir()
    os.chown(home, 10001, 10001)
    done = entered(home, "sh", "-c", "id -u; echo $HOME; grep -E 'CapBnd|NoNewPrivs' /proc/self/status; exit 7")
    assert done.returncode == 7
    assert done.stdout.split() == ["10001", "/home/pinpoint", "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    assert done.stderr == "worker user=pinpoint\n"


@root_only
def test_the_worker_is_root_with_a_volume_that_only_root_can_write(tmp_path: Path) -> None:
    done = entered(tmp_path / "volume/cache", "id", "-u")
    assert done.stdout == "0\n"
    assert done.stderr == f"worker user=root path={tmp_path}/volume/cache, which user pinpoint cannot write\n"


ANSWER = """{"results": [{"answers": {"category": {"label": "%s", "labels": ["invoice", "receipt"], "scores": %s}}}]}"""


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (ANSWER % ("invoice", "[0.99, 0.01]"), ""),
        (ANSWER % ("receipt", "[0.01, 0.99]"), "the invoice is called 'receipt'"),
        (ANSWER % ("invoice", "[0.5, 0.5]"), "the invoice is called 'invoice', 0.5"),
        (ANSWER % ("invoice", "[0.99, 0.2]"), "scores add up to 1.19"),
        (ANSWER % ("invoice", "[0.99]"), "not an answer"),
        ('{"error": "model_error"}', "not an answer"),
        ("", "not an answer"),
    ],
)
def test_the_self_test_sees_a_wrong_answer(output: str, said: str) -> None:
    found = self_test.fault(output, ["receipt", "invoice"])
    assert found.startswith(said) and bool(found) == bool(said)


def test_the_self_test_sees_other_labels() -> None:
    assert self_test.fault(ANSWER % ("invoice", "[0.99, 0.01]"), ["invoice", "letter"])
