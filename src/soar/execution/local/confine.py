"""Kernel confinement of the processes that run untrusted programs: identity, Landlock, seccomp, limits.

Knows Linux and nothing of programs. Plain ctypes, since no maintained package combines these. Imported by the zygote,
so standard library only.
"""

import ctypes
import errno
import os
import resource
import struct
from collections.abc import Iterable

NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
SECCOMP_MODE_FILTER = 2
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAPABILITY_VERSION_3 = 0x20080522
LANDLOCK_CREATE, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT = 444, 445, 446
READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many file rights each version of Landlock knows; from version 5 on there are 16."""

SIGKILL = 9


class Unavailable(Exception):
    """The kernel lacks, or forbids, a part of the confinement."""


class _Libc:
    """The C library, opened when first needed."""

    handle: "ctypes.CDLL | None" = None


def _libc() -> ctypes.CDLL:
    if _Libc.handle is None:
        _Libc.handle = ctypes.CDLL(None, use_errno=True)
    return _Libc.handle


def _errno_text() -> str:
    return os.strerror(ctypes.get_errno())


def _prctl(option: int, *values: int) -> None:
    # prctl is variadic: every value must be passed as wide as the kernel reads it.
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc().prctl(ctypes.c_int(option), *arguments) != 0:
        raise Unavailable(f"prctl({option}): {_errno_text()}")


def become_nobody(readable: Iterable[str]) -> str:
    """As root, become `NOBODY` for good, unless that user cannot read the `readable` folders. Return what the kernel
    refused of that, "" for nothing: a container's root may lack the capability, or its namespace any other user.

    A root that remains is like any other user once `isolate` has dropped the capabilities: it owns other files, which
    Landlock or the filter of calls keeps from it.
    """
    if os.geteuid() != 0:
        return ""
    try:
        os.seteuid(NOBODY)
    except OSError as error:
        return f"root stays root, since it may not change its user here: {error.strerror}"
    try:
        enough = all(os.access(path, os.R_OK, effective_ids=True) for path in readable)
    finally:
        os.seteuid(0)
    if not enough:
        return ""
    refused = []
    # The user last, who may change nothing more. It may be changed though the groups, or their list, may not.
    for what, change in (
        ("groups", lambda: os.setgroups([])),
        ("group", lambda: os.setresgid(NOBODY, NOBODY, NOBODY)),
        ("user", lambda: os.setresuid(NOBODY, NOBODY, NOBODY)),
    ):
        try:
            change()
        except OSError as error:
            refused.append(f"root keeps its {what}: {error.strerror}")
    return "; ".join(refused)


def isolate() -> None:
    """Gain no further privileges, drop all capabilities, forbid ptrace, die with the parent."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    if _libc().capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise Unavailable(f"capset: {_errno_text()}")
    _prctl(PR_SET_DUMPABLE, 0)
    die_with_parent()


def die_with_parent() -> None:
    """Ask to be killed when the parent ends. A fork or a change of user cancels this, so call it again after each."""
    _prctl(PR_SET_PDEATHSIG, SIGKILL)


def landlock_version() -> int:
    """Return the version of Landlock that this kernel offers, 0 for none."""
    version = _libc().syscall(
        ctypes.c_long(LANDLOCK_CREATE), ctypes.c_void_p(0), ctypes.c_size_t(0), ctypes.c_uint32(1)
    )
    return max(version, 0)


def file_rules(readable: Iterable[str]) -> int:
    """Return a descriptor of rules that permit reading below `readable` and no other file access, for
    `restrict_files`."""
    version = landlock_version()
    if version < 1:
        raise Unavailable("this kernel has no Landlock")
    rights = (1 << FILE_RIGHTS.get(version, 16)) - 1
    both_network_rights = 3  # binding and connecting TCP sockets, which Landlock knows from version 4 on
    handled = struct.pack("QQ", rights, both_network_rights) if version >= 4 else struct.pack("Q", rights)
    ruleset = _libc().syscall(
        ctypes.c_long(LANDLOCK_CREATE), handled, ctypes.c_size_t(len(handled)), ctypes.c_uint32(0)
    )
    if ruleset < 0:
        raise Unavailable(f"Landlock: {_errno_text()}")
    try:
        for path in readable:
            _allow_reading(ruleset, path)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def restrict_files(rules: int) -> None:
    """Put this process and its children under file rules for good."""
    if _libc().syscall(ctypes.c_long(LANDLOCK_RESTRICT), ctypes.c_int(rules), ctypes.c_uint32(0)) != 0:
        raise Unavailable(f"Landlock: {_errno_text()}")


def _allow_reading(ruleset: int, path: str) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE  # noqa: PTH112
        rule = struct.pack("=Qi", rights, handle)
        beneath_path = 1
        added = _libc().syscall(
            ctypes.c_long(LANDLOCK_ADD_RULE),
            ctypes.c_int(ruleset),
            ctypes.c_int(beneath_path),
            rule,
            ctypes.c_uint32(0),
        )
        if added != 0:
            raise Unavailable(f"Landlock rule for {path}: {_errno_text()}")
    finally:
        os.close(handle)


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Set the limits of a worker: address space, CPU time, stack, files, no new process, no core dump.

    Exceeding the CPU time brings SIGXCPU and, if that is ignored, SIGKILL a second later.
    """
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_STACK: 64 << 20,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 32,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CORE: 0,
    }
    for name, value in limits.items():
        hard = resource.getrlimit(name)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    bound = cpu_seconds + 1 if hard == resource.RLIM_INFINITY else min(cpu_seconds + 1, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(cpu_seconds, bound), bound))


def can_restrict_calls() -> bool:
    """Return whether this process may filter its system calls: only then does the kernel look for the filter, here in
    vain."""
    ctypes.set_errno(0)
    _libc().prctl(ctypes.c_int(PR_SET_SECCOMP), *map(ctypes.c_ulong, (SECCOMP_MODE_FILTER, 0, 0, 0)))
    return ctypes.get_errno() == errno.EFAULT


def restrict_calls(bpf: bytes) -> None:
    """Put this process under a seccomp filter for good."""
    buffer = ctypes.create_string_buffer(bpf, len(bpf))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(bpf) // 8, ctypes.addressof(buffer)))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))
