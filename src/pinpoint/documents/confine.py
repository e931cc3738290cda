"""What a reading process gives up before it reads a byte of a file. Linux only; elsewhere there are the limits alone.

    no network      a network namespace of its own, and a filter that refuses to make sockets
    no files        Landlock: Python's own folders can be read, nothing can be written, all else is not there;
                    where the kernel has it not, root becomes nobody
    no processes    the filter refuses new processes, programs, signals to others and looks into others
    no resources    address space, open files and core dumps; no file can grow
    no hurry        the worker's own threads go first: a pass that waits for a core waits for no file

Each is tried, since which of them a container allows is its host's matter. None needs a privilege, and what was put in
force is told to the worker. The filter is the kernel's own (seccomp), written here as the few instructions that it is,
because the libraries for it need a system package that the image has not.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import stat
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

MAX_OPEN_FILES = 256
# Beside a thread of the worker that wants the same core, a reader gets a sixth of it. Less would let files run into
# their time limits on a machine that computes passes without a pause.
NICENESS = 7

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_THREAD = 0x10000000, 0x40000000, 0x00010000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_EPERM, _ENOSYS = 1, 38

# include/uapi/linux/landlock.h. Calls have the same numbers on all architectures.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_FS_EXECUTE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 2, 1 << 3
_FS_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NET_RIGHTS, _SCOPES = 0b11, 0b11
_READ_ONLY = ("/usr", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo",
              "/sys/devices/system", "/dev/null", "/dev/urandom")  # fmt: skip

# Numbers of calls on x86-64 and on ARM64; None where there is no such call.
_REFUSED = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "execve": (59, 221), "execveat": (322, 281), "fork": (57, None),
    "vfork": (58, None), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "io_uring_setup": (425, 425), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268), "bpf": (321, 280),
    "perf_event_open": (298, 241), "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "userfaultfd": (323, 282), "open_by_handle_at": (304, 265), "mknod": (133, None), "mknodat": (259, 33),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "setpriority": (141, 140),
    "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104), "reboot": (169, 142),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT = (56, 220), (435, 435), (302, 261)
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000
_NOBODY = 65534

# Classic BPF, and what the filter answers.
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_CALL, _ARCH, _FIRST_ARGUMENT = 0, 4, 16


def confine(memory_bytes: int, readable: Sequence[str]) -> list[str]:
    """Give up what a reader needs not; the names of what was put in force.

    Args:
        memory_bytes: of address space.
        readable: folders of Python's and the libraries', beside the system's own.
    """
    _step_back()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN_FILES, MAX_OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    done = ["limits"]
    if sys.platform != "linux":
        return done
    # Where the kernel has to end somebody, let it be a reader.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # no reader outlives its worker
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0 or libc.unshare(_CLONE_NEWNET) == 0:
        done.append("namespace")
    libc.prctl(_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        if _landlock(libc, [*_READ_ONLY, *readable]):
            done.append("landlock")
        elif _nobody(libc, readable):
            done.append("nobody")
        if _seccomp(libc):
            done.append("seccomp")
    return done


def _step_back() -> None:
    """Let others go first, as far as the system lets one."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    # Where the kernel shares time among sessions first, niceness counts only within one, and each reader is one.
    with suppress(OSError), open("/proc/self/autogroup", "w") as file:
        file.write(str(NICENESS))


def _nobody(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    """Become a user who owns nothing, so that files of others stay shut; not where he could not read Python either."""
    if os.geteuid() != 0 or not readable_by_all(readable):
        return False
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return False
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return True


def readable_by_all(folders: Iterable[str]) -> bool:
    """Whether everybody can read these folders, as far as they exist, and come to them."""
    for folder in folders:
        path = os.path.realpath(folder)
        if os.path.isdir(path) and not os.stat(path).st_mode & stat.S_IROTH:
            return False
        while os.path.exists(path):
            if os.path.isdir(path) and not os.stat(path).st_mode & stat.S_IXOTH:
                return False
            if path == os.path.dirname(path):
                break
            path = os.path.dirname(path)
    return True


def _landlock(libc: ctypes.CDLL, readable: Iterable[str]) -> bool:
    abi = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if abi < 1:
        return False
    rights = _FS_RIGHTS_BY_ABI.get(min(abi, 5), 0)
    attributes = struct.pack("<QQQ", rights, _NET_RIGHTS if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(size), 0)
    if rules < 0:
        return False
    try:
        for path in readable:
            try:
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            allowed = _FS_EXECUTE | _FS_READ_FILE | (_FS_READ_DIR if os.path.isdir(path) else 0)
            added = libc.syscall(_LANDLOCK_ADD, rules, 1, struct.pack("<Qi", allowed, place), 0)
            os.close(place)
            if added:
                return False
        return bool(libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


def _seccomp(libc: ctypes.CDLL) -> bool:
    found = _ARCHITECTURES.get(platform.machine())
    if found is None:
        return False
    program = b"".join(_program(*found))
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(_PR_SET_SECCOMP, 2, head, 0, 0) == 0)


def _program(column: int, architecture: int) -> list[bytes]:
    """The filter: refuse the calls of the table, new processes, and limits of other processes."""

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("<HBBI", code, if_true, if_false, value)

    refuse, missing = step(_RETURN, _REFUSE | _EPERM), step(_RETURN, _REFUSE | _ENOSYS)
    steps = [
        step(_LOAD, _ARCH), step(_EQUAL, architecture, 1, 0), step(_RETURN, _KILL),
        step(_LOAD, _CALL), step(_AT_LEAST, _X32, 0, 1), refuse,
    ]  # fmt: skip
    for numbers in _REFUSED.values():
        number = numbers[column]
        if number is not None:
            steps += [step(_EQUAL, number, 0, 1), refuse]
    # What clone3 is asked for lies in memory that a filter cannot read; without it libraries use clone.
    steps += [step(_EQUAL, _CLONE3[column], 0, 1), missing]
    steps += [
        step(_EQUAL, _CLONE[column], 0, 4), step(_LOAD, _FIRST_ARGUMENT), step(_BITS, _CLONE_THREAD, 1, 0), refuse,
        step(_RETURN, _ALLOW),
    ]  # fmt: skip
    steps += [
        step(_EQUAL, _PRLIMIT[column], 0, 3), step(_LOAD, _FIRST_ARGUMENT), step(_EQUAL, 0, 1, 0), refuse,
        step(_RETURN, _ALLOW),
    ]  # fmt: skip
    return steps
