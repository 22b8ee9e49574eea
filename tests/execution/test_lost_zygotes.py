"""What becomes of programs whose zygote is lost or cannot be started, and of a zygote whose event loop ends."""

import asyncio

import pytest
from test_queues import Zygotes, made

from soar.errors import SandboxError
from soar.execution.local import link
from soar.types import Execution


async def answers(sandbox, *codes: str) -> list:
    """Return what is answered; a worker's task that ends first says why."""
    running = [asyncio.ensure_future(sandbox.run(code, (1,))) for code in codes]
    waiting = asyncio.gather(*running, return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.wait([waiting, *sandbox._tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in sandbox._tasks:
        if task.done():
            task.result()
    return await waiting


def test_programs_of_a_lost_zygote_run_again_in_another(monkeypatch):
    async def work():
        sandbox = made()
        zygotes, served = Zygotes(monkeypatch, sandbox, 0), []

        async def serve(zygote, batch):
            served.append((zygote, [job.code for job in batch.jobs]))
            if len(served) == 1:
                raise link.Lost
            for job in batch.jobs:
                job.finish(Execution((7,)))
            return []

        monkeypatch.setattr(sandbox, "_serve", serve)
        assert [each.outputs for each in await answers(sandbox, "a", "b")] == [(7,)] * 2
        assert [each for each, _ in served] == zygotes.made[:2]
        assert [codes for _, codes in served] == [[b"a", b"b"]] * 2
        assert zygotes.killed == [0]
        assert (await answers(sandbox, "c"))[0].outputs == (7,)
        assert served[-1][0] is zygotes.made[1]
        await sandbox.close()
        assert zygotes.killed == [0, 1]
        assert sandbox._tasks == []

    asyncio.run(work())


def test_programs_that_a_worker_hands_back_run_again(monkeypatch):
    async def work():
        sandbox = made()
        Zygotes(monkeypatch, sandbox, 0)
        served: list = []

        async def serve(zygote, batch):
            served.append(len(batch.jobs))
            batch.jobs[0].finish(Execution((len(served),)))
            return batch.jobs[1:]

        monkeypatch.setattr(sandbox, "_serve", serve)
        assert [each.outputs for each in await answers(sandbox, "a", "b", "c")] == [(1,), (2,), (3,)]
        assert served == [3, 2, 1]
        await sandbox.close()

    asyncio.run(work())


def test_programs_whose_zygote_cannot_be_started_fail_with_the_reason_and_later_ones_are_tried(monkeypatch):
    async def work():
        sandbox = made()
        attempts: list = []

        def started():
            attempts.append(1)
            raise SandboxError("no processes")

        monkeypatch.setattr(sandbox, "_started", started)
        found = await answers(sandbox, "a", "b")
        assert [(type(each), str(each)) for each in found] == [(SandboxError, "no processes")] * 2
        (again,) = await answers(sandbox, "a")
        assert str(again) == "no processes"
        assert len(attempts) == 2
        await sandbox.close()

    asyncio.run(work())


@pytest.mark.parametrize("idle", [True, False])
def test_a_zygote_outlives_its_loop_unless_a_program_is_in_the_middle(monkeypatch, idle):
    sandbox = made()
    zygotes = Zygotes(monkeypatch, sandbox, 0)

    async def work():
        started = asyncio.Event()

        async def serve(zygote, batch):
            started.set()
            if not idle:
                await asyncio.Event().wait()
            for job in batch.jobs:
                job.finish(Execution((7,)))
            return []

        monkeypatch.setattr(sandbox, "_serve", serve)
        running = asyncio.ensure_future(sandbox.run("a", (1,)))
        await asyncio.wait(
            [running, asyncio.ensure_future(started.wait())],
            return_when=asyncio.ALL_COMPLETED if idle else asyncio.FIRST_COMPLETED,
        )
        await asyncio.sleep(0)
        running.cancel()

    asyncio.run(work())
    assert zygotes.killed == ([] if idle else [0])
    assert sandbox._idle_zygotes == (zygotes.made if idle else [])
    if idle:
        assert zygotes.made[0].ending is False


def test_an_error_of_another_kind_while_a_zygote_starts_leaves_none_behind(monkeypatch):
    sandbox = made()
    zygotes = Zygotes(monkeypatch, sandbox, 0)

    def greet(hello):
        raise KeyboardInterrupt

    monkeypatch.setattr(sandbox, "_greet", greet)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(sandbox._zygote())
    assert zygotes.killed == [0]
    assert sandbox._zygotes == []
