"""What the filter of system calls answers, on both architectures: it is run here, instruction by instruction."""

import platform
import struct

import pytest

from soar.execution.local import calls

ALLOW, EPERM, EINTR, KILLED = 0x7FFF0000, 0x00050001, 0x00050004, 0x80000000
PID = 4321
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HARMLESS = """
mmap 9 222, munmap 11 215, brk 12 214, madvise 28 233, mremap 25 216, clock_gettime 228 113, rt_sigreturn 15 139,
rt_sigaction 13 134, rt_sigprocmask 14 135, sigaltstack 131 132, getpid 39 172, gettid 186 178, getrandom 318 278,
mprotect 10 226, exit_group 231 94, exit 60 93, close 3 57, pread64 17 67, lseek 8 62, fstat 5 80, newfstatat 262 79,
statx 332 291, getdents64 217 61, getcwd 79 17, uname 63 160, sysinfo 99 179, times 100 153, getrusage 98 165,
getitimer 36 102, clock_getres 229 114, getuid 102 174, getgid 104 176, geteuid 107 175, getegid 108 177,
sched_yield 24 124, sched_getaffinity 204 123, restart_syscall 219 128
"""
"""As in the kernel's tables: what else is allowed, should be added here on purpose."""

KNOWN = {name: (int(one), int(two)) for name, one, two in map(str.split, HARMLESS.split(","))}
WRITE, OPENAT, FUTEX, TGKILL, READ, SETITIMER = (1, 64), (257, 56), (202, 98), (234, 131), (0, 63), (38, 103)
COLUMNS = {"x86_64": 0, "aarch64": 1}


def answer(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """Return what a filter answers to a call, as the kernel would run it."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    held, at = 0, 0
    while True:
        code, true, false, constant = struct.unpack_from("HBBI", program, 8 * at)
        at += 1
        # The kernel ignores where an instruction that does not jump would jump to; set, it is a slip.
        assert code in (0x15, 0x35, 0x45) or true == false == 0
        if code == 0x20:
            (held,) = struct.unpack_from("<I", data, constant)
        elif code == 0x54:
            held &= constant
        elif code == 0x06:
            return constant
        else:
            holds = {0x15: held == constant, 0x35: held >= constant, 0x45: bool(held & constant)}[code]
            at += true if holds else false


@pytest.fixture(params=MACHINES)
def machine(request, monkeypatch):
    """Return the answer to a call on one architecture, and its column in the tables."""
    monkeypatch.setattr(platform, "machine", lambda: request.param)

    def asked(number, *arguments, open_files=True):
        program = calls.bpf(PID, write_to=(1, 4), open_files=open_files)
        return answer(program, number, *arguments, architecture=MACHINES[request.param])

    return asked, COLUMNS[request.param]


def test_the_list_of_harmless_calls_is_the_one_that_was_reviewed():
    assert calls.ALLOWED == KNOWN


def test_only_what_is_listed_is_allowed_whatever_its_arguments(machine):
    asked, column = machine
    harmless = {numbers[column] for numbers in KNOWN.values()}
    judged = {each[column] for each in (WRITE, OPENAT, FUTEX, TGKILL, READ, SETITIMER)}
    for number in set(range(500)) - judged:
        assert asked(number) == (ALLOW if number in harmless else EPERM), number


def test_writing_is_allowed_to_the_descriptors_that_a_worker_keeps(machine):
    asked, column = machine
    assert [asked(WRITE[column], handle) for handle in range(7)] == [EPERM, *[ALLOW] * 4, EPERM, EPERM]


def test_reading_from_an_inherited_descriptor_is_refused_since_it_could_wait(machine):
    asked, column = machine
    assert [asked(READ[column], handle) for handle in range(7)] == [ALLOW, *[EPERM] * 4, ALLOW, ALLOW]


def test_timers_of_cpu_time_are_allowed_and_one_of_real_time_is_not(machine):
    asked, column = machine
    assert [asked(SETITIMER[column], kind) for kind in range(3)] == [EPERM, ALLOW, ALLOW]


def test_files_are_opened_for_reading_only_and_not_at_all_without_rules_for_them(machine):
    asked, column = machine
    close_on_exec, folder = 0o2000000, 0o200000
    for flags in (0, close_on_exec, folder | close_on_exec, 0o4000):
        assert asked(OPENAT[column], 0, 0, flags) == ALLOW
        assert asked(OPENAT[column], 0, 0, flags, open_files=False) == EPERM
    for flags in (1, 2, 0o100, 0o1000, 0o20000000, 1 | 0o100, 0o1000 | 2 | close_on_exec):
        assert asked(OPENAT[column], 0, 0, flags) == EPERM, oct(flags)


def test_waking_a_thread_is_allowed_and_a_wait_for_one_is_interrupted(machine):
    asked, column = machine
    private, real_time = 128, 256
    for operation in range(14):
        wakes = operation in (1, 10)
        for flags in (0, private, real_time):
            assert asked(FUTEX[column], 0, operation | flags) == (ALLOW if wakes else EINTR), operation


def test_a_process_sends_itself_the_signals_of_a_crash_and_nothing_to_others(machine):
    asked, column = machine
    fatal = {4, 6, 7, 8, 11, 27}
    for number in range(65):
        assert asked(TGKILL[column], PID, PID, number) == (ALLOW if number in fatal else EPERM), number
        assert asked(TGKILL[column], PID + 1, PID, number) == EPERM, number


def test_a_call_of_another_architecture_kills(monkeypatch):
    for name, architecture in MACHINES.items():
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        program = calls.bpf(PID, write_to=(1, 4), open_files=True)
        assert len(program) % 8 == 0
        for other in {*MACHINES.values(), 0x40000003} - {architecture}:
            assert {answer(program, number, architecture=other) for number in (0, 9, 39, 222)} == {KILLED}


def test_x32_calls_which_claim_to_be_of_the_same_architecture_kill(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    program = calls.bpf(PID, write_to=(1, 4), open_files=True)
    for number, wanted in ((0x40000000, KILLED), (0x40000009, KILLED), (0x3FFFFFFF, EPERM)):
        assert answer(program, number, architecture=MACHINES["x86_64"]) == wanted


def test_calls_are_known_on_two_architectures_only(monkeypatch):
    for name, known in (("x86_64", True), ("aarch64", True), ("riscv64", False)):
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        assert calls.supported() is known
