"""Memory of a process that computes on a CPU, kept for its next pass.

The C library gives what is freed at the end of its heap back to the system, and a pass frees its states layer by layer:
the next layer's pages are then new ones, which the system has to clear and map. That was 0.05 to 0.15 of 0.8 s of
processor time in a pass of the embedded model, with nothing gained: the next pass needs as much again.
"""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
NEVER = 2**31 - 1
# What is larger has pages of its own, which go when it is freed; glibc would go as far by itself.
OWN_PAGES_BYTES = 32 << 20


def keep_freed() -> bool:
    """Have the process keep what tensors of up to `OWN_PAGES_BYTES` free; whether its C library can be told."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, NEVER) and mallopt(_MMAP_THRESHOLD, OWN_PAGES_BYTES))
