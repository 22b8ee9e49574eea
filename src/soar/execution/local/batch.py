"""Jobs, and what a worker's records and its end mean for them.

Knows verdicts; knows neither processes nor event loops. Trusts a worker's bytes only while they are well-formed and in
order: a record about any program but the running one ends the reading.
"""

import json
import re
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from soar.codec import Codec
from soar.errors import SandboxError
from soar.execution.local import wire
from soar.types import Execution, Failure, Output, Stage

ATTEMPTS = 7
"""How often a program may lose its worker through no fault of its own before it is given up."""

TIMED_OUT = (-signal.SIGVTALRM, -signal.SIGXCPU, -signal.SIGPROF)
SELF_INFLICTED = {
    *TIMED_OUT,
    *(-number for number in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)),
    *(-number for number in (signal.SIGTRAP, signal.SIGSYS, signal.SIGXFSZ, signal.SIGPIPE)),
}
"""Signals that a program can bring on itself. It cannot send itself any other (`calls`), so those came from outside."""

MAX_LINE = (1 << 31) - 1
_FRAME = re.compile(r'File "<program>", line (\d{1,9}) in (.{1,100})')
STAGES: dict[str, Stage] = {"load": "load", "run": "run", "result": "result"}


@dataclass(eq=False, slots=True)
class Job:
    """One program to run on the inputs of one task.

    `outputs` grows input by input; `attempts` counts workers lost under it through no known fault of its own, `losses`
    the inputs that ended a worker. `doubted`: it was judged once in a worker where a trace was found.
    """

    code: bytes
    inputs: bytes
    count: int
    alone: bool
    finish: Callable[[Execution], None]
    fail: Callable[[SandboxError], None]
    outputs: list[Output] = field(default_factory=list)
    cpu_seconds: float = 0.0
    attempts: int = 0
    losses: int = 0
    doubted: bool = False

    def complete(self) -> None:
        """Hand over the execution."""
        self.finish(Execution(tuple(self.outputs), self.cpu_seconds))

    def fill(self, failure: Failure) -> None:
        """Give every input without an output this failure, and hand over the execution."""
        self.outputs += [failure] * (self.count - len(self.outputs))
        self.complete()


class Batch:
    """The jobs of one worker, and how far it has come."""

    def __init__(
        self, jobs: Sequence[Job], codec: Codec, max_losses: int, most_seconds: Callable[[int], float]
    ) -> None:
        """`max_losses`: how many inputs of a job may end a worker before the rest are not tried. `most_seconds`: the
        CPU seconds that a program can take to load and to run on so many inputs."""
        self.jobs = list(jobs)
        self._max_losses, self._most_seconds = max_losses, most_seconds
        self._read = codec.read
        self._reader = wire.RecordReader()
        self._began = [len(job.outputs) for job in jobs]
        self._place = 0
        self._to_rerun_alone: list[Job] = []
        self._judged_jobs: list[tuple[Job, Callable[[], object]]] = []
        self._stopped = self._garbled = False

    def request(self, cpu_seconds: float, slice_seconds: float) -> bytes:
        """Return these jobs as a request; inputs that several share are included once."""
        places: dict[bytes, int] = {}
        programs = [(places.setdefault(job.inputs, len(places)), len(job.outputs), job.code) for job in self.jobs]
        alone = len(self.jobs) == 1 and self.jobs[0].alone
        body = wire.Request(cpu_seconds, slice_seconds, alone, list(places), programs)
        return wire.pack_request(body)

    def feed(self, data: bytes) -> None:
        """Take in what the worker wrote; jobs are handed over as they complete."""
        if self._garbled or self._stopped:
            return
        try:
            for kind, place, index, payload in self._reader.feed(data):
                self._take(kind, place, index, payload)
        except (wire.Malformed, ValueError):
            self._garbled = True

    def _take(self, kind: int, place: int, index: int, payload: bytes) -> None:
        if kind == wire.STOP:
            self._stopped = True
            return
        if kind == wire.CLEAN:
            self._settle()
            return
        if place != self._place or place >= len(self.jobs) or self._stopped:
            raise wire.Malformed("a record about another program")
        job = self.jobs[place]
        if kind == wire.VALUE or kind == wire.FAILURE:
            if index != len(job.outputs) or index >= job.count:
                raise wire.Malformed("a record about another input")
            job.outputs.append(self._read(payload) if kind == wire.VALUE else read_failure(payload))
        elif kind == wire.DONE and len(job.outputs) == job.count:
            # A program may forge its record, and these seconds decide how many programs the next workers get.
            most = self._most_seconds(job.count - self._began[place])
            job.cpu_seconds += min(wire.read_seconds(payload), most)
            self._next(job, job.complete)
        elif kind == wire.UNLOADED:
            failure = read_failure(payload)
            self._next(job, lambda: job.fill(failure))
        elif kind == wire.SAME and index < place and len(self.jobs[index].outputs) == job.count:
            job.outputs[:] = self.jobs[index].outputs
            self._next(job, job.complete)
        elif kind == wire.ALONE and not job.alone:
            job.alone = True
            self._restart(job)
            self._to_rerun_alone.append(job)
            self._place += 1
        else:
            raise wire.Malformed("a record out of order")

    def _next(self, job: Job, settle: Callable[[], object]) -> None:
        """Note that a job has been judged. In a shared worker that counts once the worker is found clean afterwards."""
        self._place += 1
        if job.alone:
            settle()
        else:
            self._judged_jobs.append((job, settle))

    def _settle(self) -> None:
        judged, self._judged_jobs = self._judged_jobs, []
        for _, settle in judged:
            settle()

    def _restart_unsettled(self) -> list[Job]:
        """Return the jobs whose verdicts do not count, to be run again: once more in a shared worker, then alone."""
        jobs = [job for job, _ in self._judged_jobs]
        for job in jobs:
            self._restart(job)
            job.alone, job.doubted = job.doubted, True
        return jobs

    def _restart(self, job: Job) -> None:
        """Forget what a job did in this worker."""
        job.cpu_seconds = 0.0
        del job.outputs[self._began[self.jobs.index(job)] :]

    @property
    def settled(self) -> bool:
        """Whether every job has been handed over, though the worker may not have ended yet."""
        return self._place >= len(self.jobs) and not self._to_rerun_alone and not self._judged_jobs

    def ended(self, end: dict[str, Any]) -> list[Job]:
        """Settle the job that the worker ended under; return the jobs to run again."""
        later = [*self._restart_unsettled(), *self._to_rerun_alone]
        if self._place >= len(self.jobs):
            return later
        job, rest = self.jobs[self._place], self.jobs[self._place + 1 :]
        reported = len(job.outputs) > self._began[self._place]
        if self._stopped and not end["killed"]:
            again = self._lost_input(job, None) if reported else [job]
        elif end["killed"] == "stopped" or (
            not end["killed"] and end["code"] < 0 and end["code"] not in SELF_INFLICTED
        ):
            again = self._lost_worker(job)
        else:
            failure = failure_at_end(end, job.code)
            if self._garbled and end["code"] == 0:
                failure = Failure(
                    "Crash", "the process wrote something other than results", failure.line, failure.source_line
                )
            again = self._judged(job, failure)
        return [*later, *again, *rest]

    def _judged(self, job: Job, failure: Failure) -> list[Job]:
        """Settle the input that a worker died under. In a shared worker a neighbour may have caused it, and which input
        it was is unknown, so the program runs again alone."""
        if not job.alone:
            self._restart(job)
            job.alone = True
            return [job]
        if failure.stage == "load":
            job.fill(failure)
            return []
        return self._lost_input(job, failure)

    def _lost_input(self, job: Job, failure: Failure | None) -> list[Job]:
        """Note the failure of the input that ended a worker (None: already noted); continue with the next."""
        if failure is not None:
            job.outputs.append(failure)
        job.losses += 1
        job.alone = True
        last = job.outputs[-1]
        if len(job.outputs) == job.count:
            job.complete()
        elif job.losses >= self._max_losses and isinstance(last, Failure):
            inputs = f"{job.losses} earlier inputs" if job.losses > 1 else "an earlier input"
            message = f"not run: {inputs} ended the process ({last.message})"
            job.fill(Failure(last.type, message[:240], last.line, last.source_line, last.stage))
        else:
            return [job]
        return []

    def _lost_worker(self, job: Job) -> list[Job]:
        """Run a job again whose worker was lost, alone from the second loss on. The other jobs are not to blame."""
        self._restart(job)
        job.attempts += 1
        job.alone = job.alone or job.attempts > 1
        return [job]

    def lost(self) -> list[Job]:
        """Return the jobs to run again after the zygote was lost."""
        running, rest = self.jobs[self._place : self._place + 1], self.jobs[self._place + 1 :]
        again = [*self._restart_unsettled(), *self._to_rerun_alone]
        return [*again, *(each for job in running for each in self._lost_worker(job)), *rest]


def read_failure(payload: bytes) -> Failure:
    """Return the failure in a record; `Malformed` if it holds none."""
    try:
        kind, message, line, source, stage = json.loads(payload)
        if type(kind) is str and type(message) is str and type(line) in (int, type(None)) and stage in STAGES:
            line = line if line is None or 0 <= line <= MAX_LINE else None
            text = source[:200] if type(source) is str else None
            return Failure(_clean(kind[:80]), _clean(message[:300]), line, _clean(text), STAGES[stage])
    except (ValueError, TypeError, RecursionError) as error:
        raise wire.Malformed(str(error)) from None
    raise wire.Malformed("no failure")


def _clean(text: Any) -> Any:
    """Return text without lone surrogates, which no file could store."""
    return text if text is None or text.isascii() else text.encode("utf-8", "replace").decode()


def failure_at_end(end: dict[str, Any], code: bytes) -> Failure:
    """Return the failure of the program that was running when its worker ended, with the line it was in if known."""
    frames = _FRAME.findall(end["trace"][end["trace"].rfind("most recent call first") :])
    line = int(frames[0][0]) if frames else None
    lines = code.decode("utf-8", "replace").split("\n") if line else []
    source = lines[line - 1].strip()[:160] if line and line <= len(lines) else None
    # Without a frame of the program, only the worker's own `_load` shows that it was loading.
    loading = frames[-1][1] == "<module>" if frames else " in _load" in end["trace"]
    stage: Stage = "load" if loading else "run"
    if end["killed"] in ("cpu", "wall") or end["code"] in TIMED_OUT:
        return Failure("Timeout", "too much CPU time, in a call that could not be interrupted", line, source, stage)
    if end["killed"] == "output":
        return Failure("TooMuchOutput", "wrote more than a worker may write", line, source, stage)
    return Failure("Crash", f"the process ended with {_ending(end['code'])}", line, source, stage)


def _ending(code: int) -> str:
    if code == 0:
        return "no answer"
    if code > 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"
