"""The system calls that a worker may make, as a seccomp filter. Knows two architectures and the BPF they share.

Any other call fails with EPERM, which a program sees as a PermissionError; a call of a foreign architecture kills the
process. Imported by the zygote, so standard library only.
"""

import platform
import struct

ALLOWED: dict[str, tuple[int, int]] = {
    "mmap": (9, 222),
    "munmap": (11, 215),
    "brk": (12, 214),
    "madvise": (28, 233),
    "mremap": (25, 216),
    "clock_gettime": (228, 113),
    "rt_sigreturn": (15, 139),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "sigaltstack": (131, 132),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "mprotect": (10, 226),
    "exit_group": (231, 94),
    "exit": (60, 93),
    "close": (3, 57),
    "pread64": (17, 67),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getrusage": (98, 165),
    "getitimer": (36, 102),
    "clock_getres": (229, 114),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
}
"""Names as in the kernel's tables, with their numbers on x86-64 and in the generic table that aarch64 uses."""

WRITE, OPENAT, FUTEX, TGKILL = (1, 64), (257, 56), (202, 98), (234, 131)
READ, SETITIMER = (0, 63), (38, 103)
RAISED = (4, 6, 7, 8, 11, 27)
"""Signals that a process may send itself: SIGILL, SIGABRT, SIGBUS, SIGFPE and SIGSEGV to crash as it otherwise would,
SIGPROF for the timer. Others would let it stop itself, or look as if it had been killed from outside."""

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
MORE_THAN_READING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
"""O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE."""

_LOAD, _AND, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EPERM, _EINTR = 0x00050000 | 1, 0x00050000 | 4
_FIRST_ARGUMENT, _SECOND_ARGUMENT, _THIRD_ARGUMENT = 16, 24, 32
_X32 = 0x40000000
"""The bit in the numbers of x32 calls, which report the same architecture as those of x86-64."""

Step = tuple[int, int, int, int]
"""One BPF instruction: code, how far to jump if true, if false, constant."""


def supported() -> bool:
    """Return whether this machine's system calls are known."""
    return platform.machine() in ARCHITECTURES


def bpf(pid: int, *, write_to: tuple[int, int], open_files: bool) -> bytes:
    """Return the filter of the process `pid`. It permits the allowed calls, writing to descriptors `write_to` (first
    and last), opening files to read if `open_files`, and ending itself by a signal; it permits no waiting."""
    architecture, column = ARCHITECTURES[platform.machine()]
    steps: list[Step] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if column == 0:
        steps += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    first, last = write_to
    steps += [(_EQUAL, 0, 5, WRITE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_AT_LEAST, 0, 2, first)]
    steps += [(_AT_LEAST, 1, 0, last + 1), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    # Reading an inherited descriptor could block for ever. A real-time timer's signal would look like one from outside.
    steps += [(_EQUAL, 0, 5, READ[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_AT_LEAST, 0, 2, first)]
    steps += [(_AT_LEAST, 1, 0, last + 1), (_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    steps += [(_EQUAL, 0, 4, SETITIMER[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 1, 0, 0)]
    steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    for numbers in ALLOWED.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _ALLOW)]
    # A worker has one thread, so a wait on a futex is a deadlock. Interrupted at once (EINTR), it spins instead, and
    # CPU time ends it like any other endless loop. 1 and 10 are FUTEX_WAKE and FUTEX_WAKE_BITSET.
    steps += [(_EQUAL, 0, 6, FUTEX[column]), (_LOAD, 0, 0, _SECOND_ARGUMENT), (_AND, 0, 0, 0x7F)]
    steps += [(_EQUAL, 1, 0, 1), (_EQUAL, 0, 1, 10), (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EINTR)]
    count = len(RAISED)
    steps += [(_EQUAL, 0, 5 + count, TGKILL[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 0, count + 1, pid)]
    steps.append((_LOAD, 0, 0, _THIRD_ARGUMENT))
    steps += [(_EQUAL, count - place, 0, number) for place, number in enumerate(RAISED)]
    steps += [(_RETURN, 0, 0, _EPERM), (_RETURN, 0, 0, _ALLOW)]
    if open_files:
        steps += [(_EQUAL, 0, 4, OPENAT[column]), (_LOAD, 0, 0, _THIRD_ARGUMENT), (_BITS, 1, 0, MORE_THAN_READING)]
        steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    steps.append((_RETURN, 0, 0, _EPERM))
    return b"".join([struct.pack("HBBI", *step) for step in steps])
