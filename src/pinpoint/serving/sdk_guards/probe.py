"""Whether the SDK still is what a guard was written for.

A guard names every function whose inner workings it relies on with the hash of its source in SDK 1.12.0. The version
number itself does not decide: a release that leaves these functions alone keeps the guard, a patched install of the
same version loses it.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from dataclasses import dataclass
from typing import Any

SDK_VERSION = "1.12.0"  # that the hashes were taken from
HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class Target:
    """A function of the SDK, and the hash of its source."""

    module: str  # below runpod.serverless.modules
    path: str
    sha: str

    def difference(self) -> str | None:
        """How it differs from what the guard was written for; None where it does not."""
        found: Any
        try:
            found = importlib.import_module(f"runpod.serverless.modules.{self.module}")
            for part in self.path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            return f"{self.module}.{self.path} is gone"
        try:
            source = inspect.getsource(found)
        except (OSError, TypeError):
            return f"{self.module}.{self.path} has no source to compare"
        sha = source_sha(source)
        return None if sha == self.sha else f"{self.module}.{self.path} is {sha}, not {self.sha}"


def source_sha(source: str) -> str:
    """First characters of the SHA-256 of a function's source."""
    return hashlib.sha256(source.encode()).hexdigest()[:HASH_CHARS]


def differences(targets: tuple[Target, ...]) -> list[str]:
    """How the SDK differs from what these targets say."""
    return [found for target in targets if (found := target.difference()) is not None]
