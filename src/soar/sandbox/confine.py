"""Kernel confinement of the process that runs untrusted programs: Landlock, seccomp, capabilities, limits.

Knows Linux system calls and nothing of programs. Imported by the zygote alone, so it uses the standard library only
and no other module of this package. Plain ctypes, since no maintained package combines these.
"""

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable

_LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_DUMPABLE = 1, 38, 22, 4
CAPABILITY_VERSION_3 = 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3

# Names as in the kernel's tables; the numbers of x86-64 and of the generic table, which aarch64 uses.
CALLS: dict[str, tuple[int, int]] = {
    "read": (0, 63),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "getpid": (39, 172),
    "exit": (60, 93),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, -1),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "getrandom": (318, 278),
    "statx": (332, 291),
}
OPENAT, WRITE = (257, 56), (1, 64)
ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


class Unavailable(Exception):
    """The kernel lacks, or forbids, a part of the confinement."""


def isolate() -> None:
    """Die with the parent, gain no privilege, hold no capability, be no target of ptrace."""
    _prctl(PR_SET_PDEATHSIG, 9)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, nothing) != 0:
        raise Unavailable(f"capset: {os.strerror(ctypes.get_errno())}")
    _prctl(PR_SET_DUMPABLE, 0)


def restrict_files(readable: Iterable[str]) -> int:
    """Forbid this process and its children all files but reading below `readable`; return Landlock's version."""
    version = _LIBC.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        raise Unavailable("this kernel has no Landlock")
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    handled = struct.pack("QQ", (1 << rights) - 1, 3 if version >= 4 else 0)[: 16 if version >= 4 else 8]
    ruleset = _LIBC.syscall(LANDLOCK_CREATE, handled, ctypes.c_size_t(len(handled)), ctypes.c_uint32(0))
    if ruleset < 0:
        raise Unavailable(f"Landlock: {os.strerror(ctypes.get_errno())}")
    try:
        for path in readable:
            _allow_reading(ruleset, path)
        if _LIBC.syscall(LANDLOCK_RESTRICT, ruleset, ctypes.c_uint32(0)) != 0:
            raise Unavailable(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)
    return version


def _allow_reading(ruleset: int, path: str) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE  # noqa: PTH112
        rule = struct.pack("=Qi", rights, handle)
        if _LIBC.syscall(LANDLOCK_ADD_RULE, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0)) != 0:
            raise Unavailable(f"Landlock rule for {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Set the hard limits of a worker: address space, CPU time, no file growth, no new process, no core dump."""
    wanted = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in wanted.items():
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))


def restrict_calls(write_to: tuple[int, int], *, open_files: bool) -> None:
    """Allow the listed system calls, writing to descriptors `write_to` (first to last), reading files if `open_files`.

    Everything else fails with EPERM, which a program sees as a PermissionError; a foreign architecture is killed.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise Unavailable(f"no system call table for {machine}")
    architecture, column = ARCHITECTURES[machine]
    program = _filter(architecture, column, write_to, open_files)
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    if _LIBC.prctl(PR_SET_SECCOMP, 2, ctypes.c_char_p(header), 0, 0) != 0:
        raise Unavailable(f"seccomp: {os.strerror(ctypes.get_errno())}")


def _filter(architecture: int, column: int, write_to: tuple[int, int], open_files: bool) -> list[tuple]:
    """Return the BPF program as (code, jump if true, jump if false, constant)."""
    load, equal, greater_equal, test_bits, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, kill = 0x7FFF0000, 0x00050000 | 1, 0x80000000
    steps: list[tuple] = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill), (load, 0, 0, 0)]
    if column == 0:
        steps += [(greater_equal, 0, 1, 0x40000000), (give, 0, 0, kill)]  # the x32 interface
    for numbers in CALLS.values():
        if numbers[column] >= 0:
            steps += [(equal, 0, 1, numbers[column]), (give, 0, 0, allow)]
    first, last = write_to
    steps += [(equal, 0, 5, WRITE[column]), (load, 0, 0, 16), (greater_equal, 0, 2, first)]
    steps += [(greater_equal, 1, 0, last + 1), (give, 0, 0, allow), (give, 0, 0, refuse)]
    if open_files:
        # O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_TMPFILE: any of them makes it more than reading.
        steps += [
            (equal, 0, 4, OPENAT[column]),
            (load, 0, 0, 32),
            (test_bits, 1, 0, 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000),
        ]
        steps += [(give, 0, 0, allow), (give, 0, 0, refuse)]
    return [*steps, (give, 0, 0, refuse)]


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0) != 0:
        raise Unavailable(f"prctl({option}): {os.strerror(ctypes.get_errno())}")
