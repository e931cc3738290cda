"""A quantised checkpoint as a repository on the Hub, so that RunPod can keep it as an endpoint's cached model.

Uploaded is what the worker reads and the checksums, nothing else: the platform fetches every file of a repository.
Torch-free.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pinpoint.checkpoints.sources import SMALL_PATTERNS, WEIGHT_PATTERNS
from pinpoint.checkpoints.weight_files import CHECKSUMS_FILE, missing_files
from pinpoint.errors import ModelError


@dataclass(frozen=True, slots=True)
class Published:
    """A repository, and the commit that holds the checkpoint: what MODEL_NAME and MODEL_REVISION are set to."""

    name: str
    commit: str


def publish(folder: Path, repository: str, *, private: bool = True) -> Published:
    """Upload a checkpoint; the repository is made if it is not there, and files that it has already are not sent again.

    Args:
        folder: a whole checkpoint.
        repository: `owner/name`.
        private: of a repository that is made.

    Raises:
        ModelError: `model_unreadable`, the checkpoint is not whole; `upload_failed`, the Hub does not take it.
    """
    if lacking := missing_files(folder):
        raise ModelError("model_unreadable", f"{folder} lacks {lacking[0]}: nothing was uploaded", "SOURCE")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ.get("HF_TOKEN"))
    try:
        made = hub.create_repo(repository, private=private, exist_ok=True)
        commit = hub.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=[*WEIGHT_PATTERNS, *SMALL_PATTERNS, CHECKSUMS_FILE],
            ignore_patterns=["*/*", ".*"],
            commit_message="A checkpoint quantised by Pinpoint",
        )
    except (OSError, ValueError, HfHubHTTPError) as error:
        lines = str(error).strip().splitlines()
        raise ModelError(
            "upload_failed",
            f"cannot upload to {repository}: {type(error).__name__}{': ' + lines[0] if lines else ''}. It needs "
            "HF_TOKEN with the right to write; the same command goes on where it ended",
            "--push",
        ) from None
    return Published(made.repo_id, commit.oid)
