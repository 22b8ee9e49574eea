"""What the kernel is asked for, call by call: a C library that notes what it is asked stands for the real one."""

import ctypes
import errno
import os
import resource
import struct
import subprocess
import sys
from typing import Any

import pytest

from soar.execution.local import confine

CREATE, ADD_RULE, RESTRICT = 444, 445, 446


def plain(value: object) -> object:
    """Return what the kernel would get for an argument."""
    if isinstance(value, ctypes.Array):
        return bytes(value)
    return (type(value).__name__, value.value) if isinstance(value, ctypes._SimpleCData) else value


class Noting:
    """Notes calls; answers with what `answers` has for them, else 0, and sets errno."""

    def __init__(self, **answers: int) -> None:
        self.calls: list = []
        self.answers = answers

    def _said(self, name: str, *arguments: object) -> int:
        self.calls.append((name, *map(plain, arguments)))
        ctypes.set_errno(errno.EPERM)
        return self.answers.get(name, 0)

    def prctl(self, *arguments: object) -> int:
        return self._said("prctl", *arguments)

    def capset(self, *arguments: object) -> int:
        return self._said("capset", *arguments)

    def syscall(self, number: ctypes.c_long, *arguments: object) -> int:
        if number.value == CREATE and isinstance(arguments[0], ctypes.c_void_p):
            return self._said("version", number, *arguments)
        return self._said({CREATE: "create", ADD_RULE: "add", RESTRICT: "restrict"}[number.value], number, *arguments)


@pytest.fixture
def libc(monkeypatch):
    """Return a function that puts a noting library in the place of the real one."""

    def put(**answers: int) -> Noting:
        noting = Noting(**answers)
        monkeypatch.setattr(confine._Libc, "handle", noting)
        return noting

    return put


def wide(*values: int) -> tuple:
    """Return arguments as wide as a register."""
    return tuple(("c_ulong", value) for value in values)


def prctl(option: int, *values: int) -> tuple:
    return ("prctl", ("c_int", option), *wide(*(*values, 0, 0, 0, 0)[:4]))


def test_a_process_gains_nothing_loses_all_and_dies_with_its_parent(libc):
    noting = libc()
    confine.isolate()
    header = struct.pack("II", 0x20080522, 0)
    assert noting.calls == [prctl(38, 1), prctl(47, 4), ("capset", header, bytes(24)), prctl(4, 0), prctl(1, 9)]


def test_what_the_kernel_refuses_is_said_by_name(libc):
    libc(capset=-1)
    with pytest.raises(confine.Unavailable, match=r"^capset: Operation not permitted$"):
        confine.isolate()
    libc(prctl=-1)
    with pytest.raises(confine.Unavailable, match=r"^prctl\(38\): Operation not permitted$"):
        confine.isolate()
    libc(restrict=-1)
    with pytest.raises(confine.Unavailable, match=r"^Landlock: Operation not permitted$"):
        confine.restrict_files(7)
    libc(version=3, create=-1)
    with pytest.raises(confine.Unavailable, match=r"^Landlock: Operation not permitted$"):
        confine.file_rules([])


@pytest.mark.parametrize(("said", "version"), [(3, 3), (1, 1), (0, 0), (-1, 0)])
def test_the_version_of_landlock_is_what_the_kernel_says_and_none_is_0(libc, said, version):
    noting = libc(version=said)
    assert confine.landlock_version() == version
    question = (("c_long", CREATE), ("c_void_p", None), ("c_ulong", 0), ("c_uint", 1))
    assert noting.calls == [("version", *question)]


def test_without_landlock_there_are_no_rules(libc):
    libc(version=-1)
    with pytest.raises(confine.Unavailable, match=r"^this kernel has no Landlock$"):
        confine.file_rules(["/"])


@pytest.mark.parametrize(
    ("version", "rights", "network"),
    [(1, 13, False), (2, 14, False), (3, 15, False), (4, 15, True), (5, 16, True), (7, 16, True)],
)
def test_every_right_that_the_kernel_knows_is_taken_away(libc, version, rights, network):
    noting = libc(version=version, create=77)
    assert confine.file_rules([]) == 77
    handled = struct.pack("QQ", (1 << rights) - 1, 3) if network else struct.pack("Q", (1 << rights) - 1)
    assert noting.calls[1:] == [("create", ("c_long", CREATE), handled, ("c_ulong", len(handled)), ("c_uint", 0))]


def test_folders_are_read_and_listed_and_files_are_read(libc, tmp_path):
    (tmp_path / "file").write_text("x")
    noting = libc(version=3, create=77)
    confine.file_rules([str(tmp_path), str(tmp_path / "nothing"), str(tmp_path / "file")])
    added = [call for call in noting.calls if call[0] == "add"]
    assert [call[1:4] for call in added] == [(("c_long", ADD_RULE), ("c_int", 77), ("c_int", 1))] * 2
    assert [(len(call[4]), struct.unpack("=Qi", call[4])[0], call[5]) for call in added] == [
        (12, 0b1100, ("c_uint", 0)),
        (12, 0b100, ("c_uint", 0)),
    ]
    for call in added:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(struct.unpack("=Qi", call[4])[1])


def test_a_rule_that_is_refused_names_its_path_and_leaves_nothing_open(libc, tmp_path):
    ruleset = os.open(tmp_path, os.O_PATH)
    noting = libc(version=3, create=ruleset, add=-1)
    with pytest.raises(confine.Unavailable, match=f"^Landlock rule for {tmp_path}: Operation not permitted$"):
        confine.file_rules([str(tmp_path)])
    for handle in (ruleset, struct.unpack("=Qi", noting.calls[-1][4])[1]):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)


def test_rules_are_put_into_force_by_their_descriptor(libc):
    noting = libc()
    confine.restrict_files(7)
    assert noting.calls == [("restrict", ("c_long", RESTRICT), ("c_int", 7), ("c_uint", 0))]


def test_a_filter_is_handed_over_with_how_many_instructions_it_has(libc):
    program, read = bytes(range(24)), []

    class Reading(Noting):
        def prctl(self, *arguments):
            described: Any = arguments[2]
            count, address = struct.unpack("HxxxxxxQ", ctypes.string_at(described.value, 16))
            read.append((count, ctypes.string_at(address, 24)))
            return self._said("prctl", *arguments)

    noting = libc()
    noting.__class__ = Reading
    confine.restrict_calls(program)
    assert read == [(3, program)]
    assert noting.calls[0][:3] == ("prctl", ("c_int", 22), ("c_ulong", 2))


@pytest.mark.parametrize(
    ("number", "possible"), [(errno.EFAULT, True), (errno.EINVAL, False), (errno.EPERM, False), (0, False)]
)
def test_calls_can_be_filtered_where_the_kernel_looks_for_a_filter(libc, number, possible):
    class Answering(Noting):
        def prctl(self, *arguments):
            self._said("prctl", *arguments)
            ctypes.set_errno(number)
            return -1

    noting = libc()
    noting.__class__ = Answering
    assert confine.can_restrict_calls() is possible
    assert noting.calls == [prctl(22, 2)]


@pytest.mark.parametrize("readable", [True, False])
def test_root_becomes_nobody_for_good_unless_that_user_cannot_read_the_libraries(monkeypatch, readable):
    done: list = []
    asked: list = []

    def access(path, mode, *, effective_ids):
        asked.append((path, mode, effective_ids, done[-1]))
        return readable or path == "a"

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "access", access)
    for name in ("seteuid", "setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *ids, name=name: done.append((name, *ids)))
    assert confine.become_nobody(["a", "b"]) == ""
    assert asked == [(path, os.R_OK, True, ("seteuid", 65534)) for path in ("a", "b")]
    for_good = [("setgroups", []), ("setresgid", *[65534] * 3), ("setresuid", *[65534] * 3)]
    assert done == [("seteuid", 65534), ("seteuid", 0), *(for_good if readable else [])]


def test_root_becomes_nobody_as_far_as_the_kernel_lets_it_and_says_what_it_refused(monkeypatch):
    done: list = []

    def refused(*ids):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "setgroups", refused)
    monkeypatch.setattr(os, "setresgid", refused)
    for name in ("seteuid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *ids, name=name: done.append((name, *ids)))
    said = "root keeps its groups: Operation not permitted; root keeps its group: Operation not permitted"
    assert confine.become_nobody([]) == said
    assert done[-1] == ("setresuid", *[65534] * 3)
    monkeypatch.setattr(os, "seteuid", refused)
    said = "root stays root, since it may not change its user here: Operation not permitted"
    assert confine.become_nobody([]) == said
    assert len(done) == 3


def test_who_is_not_root_stays_who_it_is(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "seteuid", lambda user: pytest.fail("changed"))
    assert confine.become_nobody(["/"]) == ""


@pytest.mark.parametrize("infinite", [True, False])
def test_limits_are_lowered_and_never_raised(monkeypatch, infinite):
    now = dict.fromkeys(range(16), resource.RLIM_INFINITY if infinite else 20)
    put: dict = {}
    monkeypatch.setattr(resource, "getrlimit", lambda name: (1, now[name]))
    monkeypatch.setattr(resource, "setrlimit", lambda name, bounds: put.update({name: bounds}))
    confine.limit(5 << 30, 30)
    assert put == {
        resource.RLIMIT_AS: (5 << 30, 5 << 30) if infinite else (20, 20),
        resource.RLIMIT_STACK: (64 << 20, 64 << 20) if infinite else (20, 20),
        resource.RLIMIT_FSIZE: (0, 0),
        resource.RLIMIT_NOFILE: (32, 32) if infinite else (20, 20),
        resource.RLIMIT_NPROC: (0, 0),
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (30, 31) if infinite else (20, 20),
    }


REAL = """
import ctypes, os, sys
from soar.execution.local import confine
assert confine._libc() is confine._libc()
try: confine._prctl(9999)
except confine.Unavailable as error: print(error)
confine.isolate()
rules = confine.file_rules([os.path.dirname(sys.argv[1]), "/nothing"]) if confine.landlock_version() else None
if rules is not None: confine.restrict_files(rules)
def possible(attempt):
    try: attempt()
    except PermissionError: return False
    return True
print(possible(lambda: open(sys.argv[1])), possible(lambda: os.listdir(os.path.dirname(sys.argv[1]))))
print([rules is None or possible(each) for each in (
    lambda: open(sys.argv[1], "a"), lambda: open("/etc/passwd"), lambda: os.listdir("/"),
    lambda: os.mkdir(sys.argv[1] + "x"), lambda: os.unlink(sys.argv[1]))])
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), ctypes.CDLL(None).prctl(39, 0, 0, 0, 0))
"""


def test_the_kernel_does_what_it_is_asked_for(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    done = subprocess.run([sys.executable, "-c", REAL, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    refused, reading, others, left = done.stdout.splitlines()
    assert refused == "prctl(9999): Invalid argument"
    assert reading == "True True"
    landlock = confine.landlock_version()
    assert others == str([not landlock] * 5)
    assert left == "0 1"
