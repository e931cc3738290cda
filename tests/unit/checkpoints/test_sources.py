"""Where a model is found: folder trees as the platform and the Hub's client lay them, made by hand."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from pinpoint.checkpoints import sources
from pinpoint.checkpoints.sources import EMBEDDED_NAME, download, embedded_folder, find_source, go_offline, hub_cache
from pinpoint.checkpoints.weight_files import missing_files
from pinpoint.errors import ModelError

NAME = "mistralai/Mixtral-8x7B-Instruct-v0.1"
COMMIT, OTHER = "a" * 40, "b" * 40
REPOSITORY = "models--mistralai--Mixtral-8x7B-Instruct-v0.1"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def lay(folder: Path, *, without: str = "", sharded: bool = True) -> Path:
    """The files of a checkpoint, empty but for the index."""
    folder.mkdir(parents=True)
    weights = SHARDS if sharded else ("model.safetensors",)
    for name in ("config.json", "tokenizer.json", *weights):
        if name != without:
            (folder / name).touch()
    if sharded:
        placed = {f"tensor.{number}": name for number, name in enumerate(SHARDS)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    return folder


def cached(hub: Path, commit: str = COMMIT, *, repository: str = REPOSITORY, ref: str = "main", **more: Any) -> Path:
    """A snapshot in a cache, and the reference that names it."""
    folder = lay(hub / repository / "snapshots" / commit, **more)
    if ref:
        (hub / repository / "refs").mkdir(exist_ok=True)
        (hub / repository / "refs" / ref).write_text(commit)
    return folder


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    folder = tmp_path / "runpod-volume"
    folder.mkdir()
    return folder


@pytest.fixture
def runpod_hub(volume: Path) -> Path:
    return volume / "huggingface-cache" / "hub"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HF_HOME": str(tmp_path / "home")}


def test_no_name_is_the_embedded_model() -> None:
    found = find_source("")
    assert (found.name, found.revision, found.folder, found.kind) == (
        EMBEDDED_NAME, "embedded", embedded_folder(), "embedded",
    )  # fmt: skip
    assert missing_files(embedded_folder()) == []


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = lay(tmp_path / "model")
    found = find_source(str(folder), COMMIT)
    assert (found.folder, found.kind, found.revision) == (folder, "folder", "local")


@pytest.mark.parametrize("repository", [REPOSITORY, REPOSITORY.lower()])
def test_the_platforms_cache_is_found_whatever_the_case_of_its_folder(
    repository: str, volume: Path, runpod_hub: Path, home: dict[str, str]
) -> None:
    folder = cached(runpod_hub, repository=repository)
    found = find_source(NAME, volume=volume, environment=home)
    assert (found.folder, found.kind, found.revision, found.name) == (folder, "cache", COMMIT, NAME)


def test_the_reference_decides_between_snapshots(volume: Path, runpod_hub: Path, home: dict[str, str]) -> None:
    cached(runpod_hub, OTHER, ref="v2")
    folder = cached(runpod_hub)
    assert find_source(NAME, volume=volume, environment=home).folder == folder
    assert find_source(NAME, "v2", volume=volume, environment=home).revision == OTHER
    assert find_source(NAME, OTHER, volume=volume, environment=home).revision == OTHER


def test_an_only_snapshot_needs_no_reference(volume: Path, runpod_hub: Path, home: dict[str, str]) -> None:
    folder = cached(runpod_hub, ref="")
    assert find_source(NAME, volume=volume, environment=home).folder == folder
    cached(runpod_hub, OTHER, ref="")
    assert find_source(NAME, volume=volume, environment=home).kind == "hub"


def test_a_pinned_commit_is_never_answered_with_another(volume: Path, runpod_hub: Path, home: dict[str, str]) -> None:
    cached(runpod_hub)
    lay(volume / "models" / NAME)
    found = find_source(NAME, OTHER, volume=volume, environment=home)
    assert (found.kind, found.folder, found.revision) == ("hub", None, OTHER)
    assert any(f"no revision {OTHER}" in place for place in found.looked)
    assert any("MODEL_REVISION asks for" in place for place in found.looked)


def test_a_reference_cannot_lead_out_of_the_cache(volume: Path, runpod_hub: Path, home: dict[str, str]) -> None:
    cached(runpod_hub)
    (volume / "secret").write_text(COMMIT)
    assert find_source(NAME, "../../../../secret", volume=volume, environment=home).kind == "hub"


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json", SHARDS[1]])
def test_an_incomplete_cache_is_passed_over(
    lacking: str, volume: Path, runpod_hub: Path, home: dict[str, str], tmp_path: Path
) -> None:
    cached(runpod_hub, without=lacking)
    found = find_source(NAME, volume=volume, environment=home)
    assert found.kind == "hub"
    assert any(f"lacks {lacking}" in place for place in found.looked)
    whole = cached(tmp_path / "home" / "hub", OTHER)
    assert find_source(NAME, volume=volume, environment=home).folder == whole


def test_what_the_hubs_client_has_downloaded_before_is_found(volume: Path, tmp_path: Path) -> None:
    folder = cached(tmp_path / "mine", sharded=False)
    found = find_source(NAME, volume=volume, environment={"HF_HUB_CACHE": str(tmp_path / "mine")})
    assert (found.folder, found.kind) == (folder, "cache")


def test_where_the_hubs_client_keeps_its_cache() -> None:
    assert hub_cache({}) == Path.home() / ".cache/huggingface/hub"
    assert hub_cache({"XDG_CACHE_HOME": "/x"}) == Path("/x/huggingface/hub")
    assert hub_cache({"XDG_CACHE_HOME": "/x", "HF_HOME": "/y"}) == Path("/y/hub")
    assert hub_cache({"HF_HOME": "/y", "HF_HUB_CACHE": "/z"}) == Path("/z")


@pytest.mark.parametrize("place", [NAME, NAME.split("/")[1], f"models/{NAME}", f"models/{NAME.split('/')[1]}"])
def test_a_plain_folder_on_the_volume_is_found(place: str, volume: Path, home: dict[str, str]) -> None:
    folder = lay(volume / place)
    found = find_source(NAME, volume=volume, environment=home)
    assert (found.folder, found.kind, found.revision) == (folder, "volume", "local")


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_it_says_where_it_looked(variable: str, volume: Path, runpod_hub: Path, home: dict[str, str]) -> None:
    cached(runpod_hub, without=SHARDS[0])
    with pytest.raises(ModelError) as caught:
        find_source(NAME, volume=volume, environment={**home, variable: "1"})
    assert caught.value.code == "model_not_found"
    for said in (NAME, "main", str(runpod_hub), f"lacks {SHARDS[0]}", home["HF_HOME"], f"{volume} has no complete"):
        assert said in caught.value.message


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./here", "../up", "one", "a/b/c", "a b/c", "x/y\n", "https://x/y", "x" * 5000]
)
def test_what_is_no_name_is_refused(name: str, volume: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find_source(name, volume=volume, environment={})
    assert (caught.value.code, caught.value.field) == ("model_not_found", "MODEL_NAME")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Calls to the Hub's client, which here answers with a folder named like the commit."""
    calls: list[dict[str, Any]] = []

    def snapshot_download(name: str, **more: Any) -> str:
        calls.append({"name": name, **more})
        folder = tmp_path / COMMIT
        folder.mkdir(exist_ok=True)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return calls


def test_a_download_is_of_one_commit_from_the_first_file_to_the_last(
    hub: list[dict[str, Any]], volume: Path, home: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    source = find_source(NAME, volume=volume, environment=home)
    assert source.kind == "hub"
    with caplog.at_level(logging.INFO, "pinpoint"):
        first = download(source, weights=False)
        second = download(first, weights=True)
    assert [call["revision"] for call in hub] == ["main", COMMIT]
    assert (second.revision, second.folder) == (COMMIT, first.folder)
    assert f"is commit {COMMIT}" in caplog.text
    assert "*.safetensors" in hub[0]["ignore_patterns"]
    assert "*.safetensors" in hub[1]["allow_patterns"]
    assert "*.safetensors" not in hub[1]["ignore_patterns"]


def test_nothing_that_runs_code_is_downloaded(hub: list[dict[str, Any]], volume: Path, home: dict[str, str]) -> None:
    from huggingface_hub.utils._paths import filter_repo_objects

    download(find_source(NAME, volume=volume, environment=home), weights=True)
    wanted = {
        "model.safetensors", "model.safetensors.index.json", "config.json", "tokenizer.json", "chat_template.jinja",
    }  # fmt: skip
    others = {"pytorch_model.bin", "modeling_own.py", "consolidated.safetensors", "original/params.json"}
    taken = filter_repo_objects(
        wanted | others, allow_patterns=hub[0]["allow_patterns"], ignore_patterns=hub[0]["ignore_patterns"]
    )
    assert set(taken) == wanted


def test_what_is_here_is_not_downloaded(hub: list[dict[str, Any]], tmp_path: Path) -> None:
    source = find_source(str(lay(tmp_path / "model")))
    assert download(source, weights=True) is source
    assert hub == []


def test_a_download_that_fails_says_why_and_where_else_it_looked(
    volume: Path, home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **more: Any) -> str:
        raise OSError("the line\nadvice for other uses")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(ModelError) as caught:
        download(find_source(NAME, volume=volume, environment=home), weights=True)
    assert caught.value.code == "download_failed"
    for said in (NAME, "OSError: the line.", "HF_TOKEN", str(volume)):
        assert said in caught.value.message
    assert "advice" not in caught.value.message


def test_offline_means_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    go_offline()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert constants.is_offline_mode()


def test_finding_touches_no_network(monkeypatch: pytest.MonkeyPatch, volume: Path, home: dict[str, str]) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert find_source(NAME, volume=volume, environment=home).kind == "hub"
    assert Path("/runpod-volume") == sources.VOLUME


def test_the_older_name_of_the_hubs_cache_is_looked_in(tmp_path: Path, volume: Path) -> None:
    folder = cached(tmp_path / "older")
    found = find_source(NAME, volume=volume, environment={"HUGGINGFACE_HUB_CACHE": str(tmp_path / "older")})
    assert found.folder == folder


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("owner/model@v1.0", "MODEL_NAME=owner/model with MODEL_REVISION=v1.0?"),
        ("owner/model:v1", "MODEL_NAME=owner/model with MODEL_REVISION=v1?"),
        ("owner/model@main", "MODEL_NAME=owner/model?"),
        ("owner/model/", "MODEL_NAME=owner/model?"),
        (" owner/model ", "MODEL_NAME=owner/model?"),
        ("owner/model\n", "MODEL_NAME=owner/model?"),
        ("'owner/model'", "MODEL_NAME=owner/model?"),
        ('"owner/model"', "MODEL_NAME=owner/model?"),
        ("owner / model", "MODEL_NAME=owner/model?"),
        ("https://huggingface.co/owner/model", "MODEL_NAME=owner/model?"),
        ("https://huggingface.co/owner/model/tree/dev", "MODEL_NAME=owner/model with MODEL_REVISION=dev?"),
        ("huggingface.co/owner/model/", "MODEL_NAME=owner/model?"),
        ("https://hf.co/owner/model/blob/main/config.json", "MODEL_NAME=owner/model?"),
        ("hf://owner/model", "MODEL_NAME=owner/model?"),
    ],
)
def test_a_name_that_is_nearly_one_is_answered_with_what_was_meant(given: str, meant: str) -> None:
    with pytest.raises(ModelError) as refused:
        find_source(given)
    assert refused.value.code == "model_not_found"
    assert refused.value.message.endswith(f"; did you mean {meant}")


@pytest.mark.parametrize("given", ["model", "a/b/c", "../x/y", "./x/y", "x" * 5000, "@", "https://example.org/a/b/c"])
def test_what_is_no_name_gets_no_hint(given: str) -> None:
    with pytest.raises(ModelError) as refused:
        find_source(given)
    assert "did you mean" not in refused.value.message


def test_a_folder_in_quotes_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"did you mean the folder {tmp_path}"):
        find_source(f'"{tmp_path}"')
