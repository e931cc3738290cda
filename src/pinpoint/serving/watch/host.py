"""What the machine's memory has left for this worker: in a container, what its own limit leaves."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

# Limit, usage and the list of what the usage is made of, by version of the kernel's control groups.
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def free_host_bytes(groups: Iterable[tuple[str, str, str]] = GROUPS) -> int:
    """Bytes that this process may still take: of the machine, and of its container where that has a limit."""
    free = [int(psutil.virtual_memory().available)]
    for limit, usage, stat in groups:
        try:
            # "max" where there is no limit. Files that were read count as used, and go when memory is wanted.
            free.append(int(Path(limit).read_text()) - int(Path(usage).read_text()) + _idle_file_bytes(Path(stat)))
        except (OSError, ValueError):
            continue
    return min(free)


def _idle_file_bytes(stat: Path) -> int:
    figures = dict(line.split() for line in stat.read_text().splitlines())
    return int(figures.get("total_inactive_file", figures.get("inactive_file", 0)))
