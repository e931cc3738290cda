"""Where a model comes from: a folder, RunPod's model cache, the network volume, or the Hub.

`MODEL_NAME` is a folder or a name on the Hub; unset means the embedded model. A name is looked for on this machine
first: as RunPod keeps models it has cached for an endpoint, as `huggingface_hub` keeps its downloads, and as a plain
folder on the network volume. Only then is it downloaded, at one commit from the first file to the last. Torch-free.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from pinpoint.checkpoints.weight_files import CONFIG_FILE, missing_files
from pinpoint.errors import ModelError

log = logging.getLogger("pinpoint")

EMBEDDED_NAME = "pinpoint-embedded"
# Where RunPod mounts the network volume and, in it, the models that it has cached for an endpoint.
VOLUME = Path("/runpod-volume")
RUNPOD_CACHE = Path("huggingface-cache") / "hub"
DEFAULT_REVISION = "main"
# What is needed of a repository: weights, configuration, tokenizer. Mistral's own repositories hold the weights a
# second time, as `consolidated`; subfolders hold other formats.
WEIGHT_PATTERNS = ["*.safetensors", "*.safetensors.index.json"]
SMALL_PATTERNS = ["*.json", "*.jinja", "*.model", "*.txt"]
IGNORED_PATTERNS = ["consolidated*", "*/*"]
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class Source:
    """A model and where it lies.

    Attributes:
        name: what answers call the model.
        revision: a commit, "embedded", "local" for a folder; of a model yet to be downloaded, what was asked for.
        folder: holds the checkpoint; None where it is yet to be downloaded.
        looked: the places where it was not found, each with the reason.
    """

    name: str
    revision: str
    folder: Path | None
    kind: Literal["embedded", "folder", "cache", "volume", "hub"]
    looked: tuple[str, ...] = ()


def embedded_folder() -> Path:
    """Where the embedded model's checkpoint lies."""
    return Path(str(resources.files("pinpoint") / "embedded"))


def find_source(
    model_name: str,
    revision: str = DEFAULT_REVISION,
    *,
    volume: Path = VOLUME,
    environment: Mapping[str, str] = os.environ,
) -> Source:
    """Find the model on this machine, or say that it is to be downloaded. Touches no network.

    Args:
        model_name: empty, a folder, or a name on the Hub.
        revision: a branch, tag or commit; has no meaning for a folder.
        volume: where the network volume is mounted.
        environment: read for the Hub's cache folder and whether downloads are forbidden.

    Raises:
        ModelError: it is none of these, or is not here and may not be downloaded; the message says where it looked.
    """
    if not model_name:
        return Source(EMBEDDED_NAME, "embedded", embedded_folder(), "embedded")
    if os.path.isdir(model_name):  # unlike Path's own, it takes any string for an answer
        return Source(model_name, "local", Path(model_name), "folder")
    if not _HUB_NAME.fullmatch(model_name) or model_name.startswith("."):
        raise ModelError(
            "model_not_found",
            f"there is no folder {model_name!r}, and it is not a name on the Hub, which has the form owner/model"
            f"{_hint(model_name)}",
            "MODEL_NAME",
        )
    looked: list[str] = []
    for cache in dict.fromkeys((volume / RUNPOD_CACHE, hub_cache(environment))):
        if (found := _in_cache(cache, model_name, revision, looked)) is not None:
            return Source(model_name, found.name, found, "cache", tuple(looked))
    if (found := _on_volume(volume, model_name, revision, looked)) is not None:
        return Source(model_name, "local", found, "volume", tuple(looked))
    if any(environment.get(name, "").lower() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")):
        raise ModelError(
            "model_not_found",
            f"{model_name} at revision {revision} is not on this machine and HF_HUB_OFFLINE forbids to download it. "
            f"Looked: {'; '.join(looked)}",
            "MODEL_NAME",
        )
    return Source(model_name, revision, None, "hub", tuple(looked))


def _hint(model_name: str) -> str:
    """What was probably meant: the name in an address, or without quotes, spaces, slashes and a revision."""
    meant = re.sub(r"[\s\"'`]+", "", model_name)
    address = re.fullmatch(r"(?:hf://|(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:models/)?(.*)", meant)
    meant, revision = address[1] if address else meant, ""
    if (found := re.fullmatch(r"([\w.-]+/[\w.-]+)/(?:tree|blob|resolve|commit)/([\w.-]+).*", meant)) or (
        found := re.fullmatch(r"([^@]+?)(?:@|:)([\w./-]+)", meant)
    ):
        meant, revision = found.groups()
    meant = meant.strip("/")
    if os.path.isdir(found_folder := model_name.strip(" \t\r\n\"'`")):
        return f"; did you mean the folder {found_folder}?"
    if not _HUB_NAME.fullmatch(meant) or meant.startswith("."):
        return ""
    also = f" with MODEL_REVISION={revision}" if revision and revision != DEFAULT_REVISION else ""
    return f"; did you mean MODEL_NAME={meant}{also}?"


def hub_cache(environment: Mapping[str, str]) -> Path:
    """The folder in which `huggingface_hub` keeps downloads."""
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE")
    return Path(cache or Path(home) / "hub").expanduser()


def go_offline() -> None:
    """Have the Hub's client refuse the network from here on: the model is on this machine."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    if "huggingface_hub.constants" in sys.modules:  # it has read the environment already
        sys.modules["huggingface_hub.constants"].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]


def download(source: Source, *, weights: bool) -> Source:
    """Bring a model that is on the Hub to this machine: all of it, or all but its weights.

    The revision is settled on the first call; give its result to the second, so that both are of one commit.

    Raises:
        ModelError: it cannot be downloaded; the message says why and where else it was looked for.
    """
    if source.kind != "hub":
        return source
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if quiet:
        disable_progress_bars()
    try:
        folder = snapshot_download(
            source.name,
            revision=source.revision,
            allow_patterns=[*SMALL_PATTERNS, *(WEIGHT_PATTERNS if weights else ())],
            ignore_patterns=[*IGNORED_PATTERNS, *(() if weights else WEIGHT_PATTERNS)],
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            "download_failed",
            f"cannot download {source.name} at revision {source.revision}: {type(error).__name__}"
            f"{': ' + lines[0] if lines else ''}. A gated or private model needs HF_TOKEN. Looked before: "
            f"{'; '.join(source.looked)}",
            "MODEL_NAME",
        ) from None
    finally:
        if quiet:
            enable_progress_bars()
    found = Path(folder)
    if source.revision != found.name:
        log.info("model=%s revision=%s is commit %s", source.name, source.revision, found.name)
    return replace(source, revision=found.name, folder=found)


def _in_cache(cache: Path, model_name: str, revision: str, looked: list[str]) -> Path | None:
    """The snapshot of the revision in a cache of the Hub's layout. RunPod may write the folder's name in lower case."""
    wanted = f"models--{model_name.replace('/', '--')}"
    repositories = [entry for entry in _folders(cache) if entry.name.lower() == wanted.lower()]
    if not repositories:
        looked.append(f"{cache} has no {wanted}")
    # The exact name first, should both be there.
    for repository in sorted(repositories, key=lambda entry: entry.name != wanted):
        commit = _commit_of(repository, revision)
        snapshot = repository / "snapshots" / (commit or "")
        if commit is None or not snapshot.is_dir():
            looked.append(f"{repository} has no revision {revision}")
        elif lacking := missing_files(snapshot):
            looked.append(f"{snapshot} lacks {lacking[0]}{f' and {len(lacking) - 1} more' if lacking[1:] else ''}")
        else:
            return snapshot
    return None


def _commit_of(repository: Path, revision: str) -> str | None:
    if _COMMIT.fullmatch(revision):
        return revision
    reference = repository / "refs" / revision
    if ".." not in Path(revision).parts and reference.is_file():
        return reference.read_text(encoding="utf-8").strip() or None
    snapshots = [entry.name for entry in _folders(repository / "snapshots")]
    # Without a reference the only snapshot is what the platform cached.
    return snapshots[0] if revision == DEFAULT_REVISION and len(snapshots) == 1 else None


def _on_volume(volume: Path, model_name: str, revision: str, looked: list[str]) -> Path | None:
    """A plain folder on the volume, named like the model with or without its owner, in `models` or not."""
    for place in (volume / "models", volume):
        for folder in (place / model_name, place / model_name.split("/")[1]):
            if not (folder / CONFIG_FILE).is_file():
                continue
            if revision != DEFAULT_REVISION:
                looked.append(f"{folder} has no revision, and MODEL_REVISION asks for {revision}")
            elif lacking := missing_files(folder):
                looked.append(f"{folder} lacks {lacking[0]}")
            else:
                return folder
    looked.append(f"{volume} has no complete folder {model_name}, models/{model_name} or the like")
    return None


def _folders(parent: Path) -> Iterator[Path]:
    try:
        yield from sorted(entry for entry in parent.iterdir() if entry.is_dir())
    except OSError:
        return
