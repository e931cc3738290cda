"""What is freed stays with the process, in a process of its own: the C library is told once for all of it."""

import subprocess
import sys

import pytest

# Three blocks of 24 MB, freed together again and again: by itself glibc gives them back each time.
ASKED = """
import ctypes, resource, sys
from pinpoint.engine.loading.host_memory import keep_freed
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes, libc.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
if sys.argv[1] == "kept":
    assert keep_freed()
assert "torch" not in sys.modules
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(24 << 20) for _ in range(3)]
    for block in blocks:
        libc.memset(block, 1, 24 << 20)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_what_is_freed_is_used_again_without_a_new_page() -> None:
    pages = {
        way: int(subprocess.run([sys.executable, "-c", ASKED, way], check=True, capture_output=True).stdout)
        for way in ("kept", "as it is")
    }
    assert pages["kept"] < 100 and pages["as it is"] > 5_000
