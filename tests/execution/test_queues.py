"""How the supervisor deals out programs: what runs together, what waits, what is given up, what is remembered."""

import asyncio
import contextlib
import json
from types import SimpleNamespace
from typing import Any

import pytest

from soar.errors import SandboxError
from soar.execution import open_sandbox
from soar.execution.local import link, supervisor, wire
from soar.execution.local.batch import Batch
from soar.execution.local.supervisor import ConfinedSandbox
from soar.types import Execution, Failure

KILLED = (
    "a program's process was killed from outside 7 times (by the OOM killer? by an operator?):"
    " give the machine more memory, or lower executor.workers or memory_mb"
)
GOOD_HELLO = {"open": [], "landlock": 3, "fork_seconds": 0.01, "reason": ""}


def made(**options: Any) -> ConfinedSandbox:
    """Return a sandbox that has started nothing and believes that a fork costs ten milliseconds."""
    sandbox = open_sandbox(**{"workers": 1, **options})
    sandbox.hello = dict(GOOD_HELLO)
    return sandbox


class Scripted:
    """Stands for a zygote: notes what it is sent, and answers with the frames it was given."""

    def __init__(self, *frames: tuple[bytes, bytes]) -> None:
        self.sent: list[bytes] = []
        self.frames = [*frames]

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def receive(self) -> tuple[bytes, bytes]:
        return self.frames.pop(0)


def job_of(sandbox: ConfinedSandbox, code: str = "code", inputs: int = 1, alone: bool = False):
    """Return a job and what it hands over."""
    job = sandbox._job((code, b"inputs", alone), inputs)
    found: list = []
    job.finish, job.fail = found.append, found.append
    return job, found


@pytest.mark.parametrize(
    ("workers", "waiting", "share"),
    [
        (1, 1, 1),
        (1, 500, 500),
        (1, 5000, 2048),
        (2, 300, 100),
        (2, 301, 101),
        (2, 90, 90),
        (2, 9000, 2048),
        (3, 1000, 200),
    ],
)
def test_a_worker_takes_a_share_that_is_worth_its_fork(workers, waiting, share):
    sandbox = made(workers=workers)
    assert sandbox._worth_a_fork() == 100
    sandbox._waiting.extend([None] * waiting)  # type: ignore[list-item]
    assert sandbox._share() == share


def test_what_is_worth_a_fork_depends_on_how_long_programs_take():
    sandbox = made()
    for seconds, worth in ((2e-3, 100), (0.2, 1), (0.3, 1), (0.15, 2), (1e-3, 200)):
        sandbox._program_seconds = seconds
        assert sandbox._worth_a_fork() == worth
    sandbox.hello = {}
    assert sandbox._worth_a_fork() == 0


def test_the_mean_time_of_a_program_moves_slowly_and_never_to_nothing():
    sandbox = made()
    finish = sandbox._job(("a", b"", False), 1).finish
    finish(Execution((1,), 0.102))
    assert sandbox._program_seconds == pytest.approx(2e-3 + 0.02 * 0.1)
    sandbox._program_seconds = 2e-3
    finish(Execution((1,), 0.0))
    assert sandbox._program_seconds == pytest.approx(2e-3 + 0.02 * (1e-5 - 2e-3))


def test_the_next_jobs_are_one_alone_or_a_share_of_the_others():
    async def work():
        sandbox = made()
        sandbox._attach()
        for task in sandbox._tasks:
            task.cancel()
        jobs = [job_of(sandbox, str(number))[0] for number in range(150)]
        alone, _ = job_of(sandbox, "alone", alone=True)
        for job in (*jobs, alone):
            sandbox._put(job)
        assert await sandbox._next_jobs() == [alone]
        assert await sandbox._next_jobs() == jobs
        sandbox._put(jobs[0])
        sandbox._put(jobs[1], front=True)
        sandbox._put(jobs[2], front=True)
        assert await sandbox._next_jobs() == [jobs[2], jobs[1], jobs[0]]
        assert not sandbox._waiting
        sandbox._put(alone)
        sandbox._put(other := job_of(sandbox, "other", alone=True)[0], front=True)
        assert await sandbox._next_jobs() == [other]

    asyncio.run(work())


def test_a_lost_worker_s_program_goes_ahead_of_others_then_waits_longer_and_longer_then_is_given_up(monkeypatch):
    later: list = []

    async def work():
        sandbox = made()
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "call_later", lambda delay, put: later.append((delay, put)))
        waiting, _ = job_of(sandbox, "waiting")
        sandbox._put(waiting)
        jobs = [job_of(sandbox, str(attempts)) for attempts in range(9)]
        for attempts, (job, _) in enumerate(jobs):
            job.attempts = attempts
        sandbox._requeue([job for job, _ in jobs])
        assert [*sandbox._waiting] == [jobs[0][0], jobs[1][0], waiting]
        assert [delay for delay, _ in later] == [1.6, 0.8, 0.4, 0.2, 0.1]
        later[0][1]()
        assert sandbox._waiting[0] is jobs[6][0]
        for _, given_up in jobs[7:]:
            (error,) = given_up
            assert isinstance(error, SandboxError)
            assert str(error) == KILLED
        assert not any(found for _, found in jobs[:7])

    asyncio.run(work())


def test_in_a_weak_sandbox_a_program_that_is_killed_again_and_again_has_crashed():
    sandbox = made(level="weak")
    sandbox.hello["open"] = ["everything"]
    job, found = job_of(sandbox, inputs=2)
    job.attempts = 7
    sandbox._requeue([job])
    assert [each.outputs for each in found] == [(Failure("Crash", KILLED),) * 2]


@pytest.mark.parametrize(
    ("hello", "level"),
    [
        ({}, "full"),
        ({"open": [], "landlock": 3}, "full"),
        ({"open": [], "landlock": 0}, "full without files"),
        ({"open": ["fork"], "landlock": 3}, "weak"),
    ],
)
def test_the_level_that_was_reached_is_told(hello, level):
    sandbox = made()
    sandbox.hello = hello
    assert sandbox.achieved == level


def test_less_than_the_level_asks_for_is_refused_with_what_could_be_done():
    for reason, said in (("no seccomp", "no seccomp"), ("", "for an unknown reason")):
        hello = {"open": ["fork", "open a socket"], "reason": reason, "landlock": 0}
        with pytest.raises(SandboxError) as caught:
            made()._greet(hello)
        assert str(caught.value) == (
            f"programs could still fork, open a socket here ({said});"
            ' set executor.level = "weak" to run them anyway, on a machine you can afford to lose'
        )
        weak = made(level="weak")
        weak._greet(hello)
        assert weak.achieved == "weak"


def served(sandbox: ConfinedSandbox, jobs: list, *frames: tuple[bytes, bytes]) -> tuple[list, Scripted]:
    batch = Batch(jobs, sandbox._codec, sandbox._max_losses, sandbox._most_seconds)
    zygote = Scripted(*frames, (b"e", json.dumps({"code": 0, "killed": "", "trace": ""}).encode()))
    return asyncio.run(sandbox._serve(zygote, batch)), zygote  # type: ignore[arg-type]


def test_a_worker_is_told_how_much_time_it_has():
    sandbox = made(cpu_seconds=2.0)
    call, slice_seconds = 2.0 * 1.5 + 0.75, 3.0
    many = [job_of(sandbox, "one", inputs=3)[0], job_of(sandbox, "two", inputs=2)[0]]
    for jobs, most, silent in (
        (many, slice_seconds + 4 * call, slice_seconds + 4 * call),
        ([job_of(sandbox, "first", inputs=3)[0]], 4 * call, 4 * call),
        ([job_of(sandbox, "alone", inputs=3, alone=True)[0]], 4 * call, 2 * call),
    ):
        (data,) = served(sandbox, jobs)[1].sent
        assert wire.ORDER.unpack_from(data) == pytest.approx((most, silent))
        request = wire.unpack_request(data[wire.ORDER.size :])
        assert (request.cpu_seconds, request.slice_seconds) == (2.0, pytest.approx(slice_seconds))
    half, _ = job_of(sandbox, inputs=3, alone=True)
    half.outputs = [1, 2]
    (data,) = served(sandbox, [half])[1].sent
    assert wire.ORDER.unpack_from(data) == pytest.approx((2 * call, 2 * call))


def test_a_time_slice_is_at_least_a_tenth_of_a_second():
    sandbox = made()
    sandbox.hello["fork_seconds"] = 1e-6
    (data,) = served(sandbox, [job_of(sandbox)[0]])[1].sent
    assert wire.unpack_request(data[wire.ORDER.size :]).slice_seconds == 0.1


def test_what_a_worker_says_is_taken_in_and_a_frame_that_there_is_not_is_a_loss():
    sandbox = made()
    job, found = job_of(sandbox, alone=True)
    value = wire.pack_record(wire.VALUE, 0, 0, b"7")
    done = wire.pack_record(wire.DONE, 0, 0, wire.pack_seconds(0.25))
    again, _ = served(sandbox, [job], (b"d", value[:5]), (b"d", value[5:] + done))
    assert again == []
    assert found == [Execution((7,), 0.25)]
    with pytest.raises(link.Lost):
        served(sandbox, [job_of(sandbox)[0]], (b"z", b""))


def test_inputs_are_packed_once_unless_they_can_change(monkeypatch):
    packed: list = []
    pack = wire.pack_inputs
    monkeypatch.setattr(wire, "pack_inputs", lambda *args: packed.append(args) or pack(*args))
    monkeypatch.setattr(supervisor, "MAX_PACKED", 3)
    sandbox = made()
    fixed: list[Any] = [(1, 2), "a"]
    changing: list[Any] = [[1, 2]]
    for _ in range(3):
        assert sandbox._packed_inputs(fixed) == pack(fixed, sandbox._codec)
        assert sandbox._packed_inputs(changing) == pack(changing, sandbox._codec)
    assert len(packed) == 1 + 3
    kept = [[(number,)] for number in range(3)]
    for inputs in kept:
        sandbox._packed_inputs(inputs)
        assert len(sandbox._packed) <= 3
    assert len(sandbox._packed) == 1


def test_a_program_that_is_known_or_running_does_not_run_again(monkeypatch):
    monkeypatch.setattr(supervisor, "MAX_REMEMBERED", 2)
    puts: list = []

    async def work():
        sandbox = made()
        monkeypatch.setattr(sandbox, "_put", puts.append)

        def submit(code, alone=False):
            return sandbox.submit(code, (1,), alone=alone)

        first, second = submit("a"), submit("a")
        assert (len(puts), puts[0].code, puts[0].count, puts[0].alone) == (1, b"a", 1, False)
        second.cancel()
        for _ in range(2):  # the second time nobody waits
            puts[0].finish(Execution((1,), 0.5))
        assert (await first).outputs == (await submit("a")).outputs == (1,)
        assert submit("b") is not submit("c")
        puts[1].finish(Execution((2,), 0.5))
        assert (await submit("a")).outputs == (1,)
        puts[2].finish(Execution((3,), 0.5))
        assert len(puts) == 3
        assert (await submit("a")).outputs == (1,)
        submit("b")
        submit("a", alone=True)
        assert [(each.code, each.alone) for each in puts[3:]] == [(b"b", False), (b"a", True)]
        failing, cancelled = submit("d"), submit("d")
        cancelled.cancel()
        for _ in range(2):
            puts[-1].fail(SandboxError("no"))
        with pytest.raises(SandboxError, match=r"^no$"):
            await failing
        submit("d")
        assert puts[-1].code == b"d"
        assert len(puts) == 7
        assert await sandbox.submit("e", ()) == Execution(())
        assert len(puts) == 7
        sandbox.submit("\ud800", (1,))
        assert puts[-1].code == "\ud800".encode("utf-8", "surrogatepass")
        await sandbox.close()

    asyncio.run(work())


class Zygotes:
    """Stands for zygotes that are killed while they start, for the first `bad` of them."""

    def __init__(self, monkeypatch, sandbox: ConfinedSandbox, bad: int) -> None:
        self.made: list[SimpleNamespace] = []
        self.killed: list = []

        def started():
            number = len(self.made)

            def greeting():
                if number < bad:
                    raise link.Killed("killed while starting")
                return dict(GOOD_HELLO)

            async def greeting_async():
                return greeting()

            async def finish():
                return None

            zygote = SimpleNamespace(
                greeting=greeting, greeting_async=greeting_async, finish=finish, kill=lambda: self.killed.append(number)
            )
            self.made.append(zygote)
            sandbox._zygotes.append(zygote)  # type: ignore[arg-type]
            return zygote

        monkeypatch.setattr(sandbox, "_started", started)


@pytest.mark.parametrize("how", ["with", "async with"])
@pytest.mark.parametrize(("bad", "opens"), [(0, True), (2, True), (3, False)])
def test_a_sandbox_opens_if_a_zygote_is_not_killed_three_times(monkeypatch, how, bad, opens):
    sandbox = made()
    zygotes = Zygotes(monkeypatch, sandbox, bad)

    async def opened():
        async with sandbox:
            return list(sandbox._idle_zygotes)

    def idle():
        if how == "async with":
            return asyncio.run(opened())
        with sandbox:
            return list(sandbox._idle_zygotes)

    context = contextlib.nullcontext() if opens else pytest.raises(link.Killed, match="while starting")
    with context:
        assert idle() == [zygotes.made[-1]]
    assert len(zygotes.made) == min(bad + 1, 3)
    assert zygotes.killed == [*range(len(zygotes.made))]
    assert sandbox._zygotes == sandbox._idle_zygotes == []


@pytest.mark.parametrize(("bad", "starts"), [(0, 1), (3, 4), (49, 50), (50, None)])
def test_a_lost_zygote_is_replaced_up_to_fifty_times(monkeypatch, bad, starts):
    sandbox = made()
    zygotes = Zygotes(monkeypatch, sandbox, bad)
    if starts is None:
        with pytest.raises(SandboxError, match=r"^killed while starting$"):
            asyncio.run(sandbox._zygote())
        assert zygotes.killed == [*range(50)]
    else:
        assert asyncio.run(sandbox._zygote()) is zygotes.made[-1]
        assert len(zygotes.made) == starts
        assert zygotes.killed == [*range(bad)]


def test_what_cannot_be_hashed_can_change():
    for inputs, fixed in (([1, "a", (1, (2,))], True), ([[1]], False), ([(1, [2])], False), ([{}], False), ([], True)):
        assert supervisor._immutable(inputs) is fixed  # type: ignore[arg-type]


def test_what_a_sandbox_is_asked_for_reaches_its_zygotes():
    sandbox = made(workers=2, memory_mb=7, codec="arc", signature="f(x)", stop_at_failure=True, cpu_seconds=3.0)
    assert sandbox._settings == {
        "memory_mb": 7,
        "landlock": True,
        "libraries": link.library_folders(),
        "codec": "soar.domains.arc.codec",
        "signature": "f(x)",
        "stop_at_failure": True,
    }
    assert (sandbox.workers, sandbox.level, sandbox._cpu_seconds, sandbox._max_losses) == (2, "full", 3.0, 1)
    assert (made()._max_losses, made()._settings["stop_at_failure"]) == (2, False)
