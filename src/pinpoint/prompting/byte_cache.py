"""A cache that counts bytes: what is kept is bounded by what it takes, not by how many there are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Values by key, the longest unused going first. Any thread may use it.

    Attributes:
        max_bytes: what all entries may take.
        bytes: what they take, as told by whoever put them in.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """The value, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Keep a value, at the price of those used longest ago; one that is larger than the cache is not kept."""
        with self._lock:
            if size_bytes > self.max_bytes or key in self._entries:
                return
            self._entries[key] = (value, size_bytes)
            self.bytes += size_bytes
            while self.bytes > self.max_bytes:
                _, (_, dropped_bytes) = self._entries.popitem(last=False)
                self.bytes -= dropped_bytes
