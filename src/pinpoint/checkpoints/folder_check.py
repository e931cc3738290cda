"""What can be known of a checkpoint's folder before a library opens it, so that a message names the file at fault.

Torch-free.
"""

from __future__ import annotations

import json
from pathlib import Path

from pinpoint.checkpoints.weight_files import CONFIG_FILE, has_tokenizer
from pinpoint.errors import ModelError

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
# Read by one library or another when a model is loaded. Others may lie there, whole or not.
JSON_FILES = (
    CONFIG_FILE, "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json",
)  # fmt: skip
TEMPLATE_FILE = "chat_template.jinja"
_READ_SUFFIXES = (".json", ".jinja", ".model", ".txt", ".safetensors")
_POINTER = b"version https://git-lfs.github.com/spec/"


def check_folder(folder: Path) -> None:
    """Refuse a folder that is no whole checkpoint of a model: an adapter, another format, files that are not there.

    Raises:
        ModelError: with the file at fault.
    """
    adapters = [name for name in ADAPTER_FILES if (folder / name).is_file()]
    if adapters:
        raise ModelError(
            "adapter_unmerged",
            f"{folder / adapters[0]} is of an adapter, which is not applied; merge it into its base model and give the "
            "merged checkpoint, or take the file away to use the base model alone",
            "MODEL_NAME",
        )
    for path in sorted(folder.glob("*")):
        if path.suffix in _READ_SUFFIXES and path.is_symlink() and not path.exists():
            raise ModelError(
                "file_not_fetched",
                f"{path} is a link to a file that is not there; download the model again, all of it",
                "MODEL_NAME",
            )
        if path.suffix in _READ_SUFFIXES and path.is_file() and _is_pointer(path):
            raise ModelError(
                "file_not_fetched",
                f"{path} is a Git LFS pointer, not the file itself; run `git lfs pull`, or download the model again",
                "MODEL_NAME",
            )
    if not (folder / CONFIG_FILE).is_file():
        others = sorted(path.name for path in folder.glob("*.gguf"))
        what = f"GGUF ({others[0]}), which is not loaded" if others else f"no {CONFIG_FILE}"
        raise ModelError(
            "no_safetensors" if others else "model_unreadable",
            f"{folder} holds {what}; give the model's original checkpoint in safetensors",
            "MODEL_NAME",
        )
    for name in JSON_FILES:
        if (folder / name).is_file():
            _check_object(folder / name)
    if (folder / TEMPLATE_FILE).is_file():
        _check_text(folder / TEMPLATE_FILE)
    if not has_tokenizer(folder):
        raise ModelError(
            "tokenizer_missing",
            f"{folder} has no tokenizer (tokenizer.json or the like); fetch the model again, all of it",
            "MODEL_NAME",
        )


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            return opened.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


def _check_object(path: Path) -> None:
    text = _check_text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(found, dict):
        raise ModelError("model_unreadable", f"{path} does not hold an object; fetch it again", "MODEL_NAME")


def _check_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ModelError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return ModelError("model_unreadable", f"{path} is damaged ({why}); fetch it again", "MODEL_NAME")
