"""Runs programs inside a worker, one after the other, and reports what each returns for each input.

Runs confined, in one process with the programs, so the supervisor decodes what it writes and never trusts it. Knows no
expected output. Builtins are bound here before any program can replace them.
"""

import faulthandler
import json
import os
import signal
import sys
import time
from builtins import callable, compile, exec, isinstance, len, range, str, type  # noqa: A004, UP029
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any, NoReturn

from soar.codec import Codec, Invalid, TooLarge
from soar.execution.local import guard, triage, wire

NAME = "<program>"
RESULTS, TRACES = 3, 4
PRINTABLE, ENDLESS = 1 << 20, "maximum recursion depth exceeded"
MAX_MESSAGE, MAX_LINE = 240, 160
REPEAT_SECONDS = 0.1
SHARED_PART = 0.25
"""The part of its CPU time that a call gets in a shared worker. What takes longer runs again alone, with all of its
time: something a neighbour left may have slowed it, and an endless loop costs only a quarter more, not twice as
much."""

SLACK = 0.05
"""The part of its time by which a call may exceed it in a shared worker, so that not every call must reset the timers.
A program that runs alone might have touched them."""

LOOK_SECONDS = 0.25
"""CPU time between two looks at everything. A look takes one or two milliseconds; if it finds a trace, all programs
since the last one run again."""

MAX_TIMEOUTS = 3
ENOUGH_WRITTEN = 16 << 20
"""Bytes after which no further program starts: well before the zygote ends the worker (`watch.MAX_RELAYED`)."""

MAX_UNSENT = 1 << 16
_dumps, _write, _exit = json.dumps, os.write, os._exit
_setitimer, _cpu, _clock = signal.setitimer, time.process_time, time.monotonic
_PROF, _VIRTUAL = signal.ITIMER_PROF, signal.ITIMER_VIRTUAL
_NAME_OF = type.__dict__["__name__"]
_ALONE = bytes([wire.ALONE])
_nothing = ModuleType("program")


class Timeout(BaseException):
    """Raised in a program when its CPU time is over; not an `Exception`, so that few programs swallow it."""


class TooMuchOutput(Exception):
    """Raised in a program that prints more than `PRINTABLE` characters."""


class Sink:
    """Standard output that counts and discards."""

    encoding = "utf-8"
    closed = False

    def __init__(self) -> None:
        self.left = PRINTABLE

    def write(self, text: str) -> int:
        """Count the text; raise `TooMuchOutput` beyond the limit."""
        self.left -= len(text)
        if self.left < 0:
            raise TooMuchOutput(f"printed more than {PRINTABLE} characters")
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Count the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing."""

    def isatty(self) -> bool:
        """Return False."""
        return False


class Alarm:
    """The limit on one call's CPU time. Raises `Timeout` in the program when it is over and again while that is
    swallowed; the third time it calls `give_up`, which does not return. Inside C code, where Python cannot be
    interrupted, the second timer ends the process by its signal, and the traceback that faulthandler wrote says
    where."""

    def __init__(self, seconds: float, slack: float, give_up: "Callable[[Alarm], NoReturn]") -> None:
        self.seconds = seconds
        self._slack = slack * seconds
        self.armed = False
        self.fired = 0
        self.line: int | None = None
        self._fresh_until = 0.0
        self._give_up = give_up
        signal.signal(signal.SIGPROF, self._fire)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
        faulthandler.register(signal.SIGPROF, file=TRACES, all_threads=False, chain=True)

    def start(self) -> None:
        """Start counting, or keep timers set so recently that the call still has its time."""
        self.fired, self.line = 0, None
        self.armed = True
        # Wall-clock time, which is read without a system call. No more CPU time than that has passed, so a call still
        # has its time.
        now = _clock()
        if now >= self._fresh_until:
            _setitimer(_PROF, self.seconds + self._slack, REPEAT_SECONDS)
            _setitimer(_VIRTUAL, self.seconds * 1.5 + 0.5)
            self._fresh_until = now + self._slack

    def stop(self) -> None:
        """Stop raising. The timers keep running until the next start: cheaper, and they still limit our own code."""
        self.armed = False

    def _fire(self, number: int, frame: Any) -> None:
        del number
        self._fresh_until = 0.0
        if not self.armed:
            return
        self.fired += 1
        if self.fired == 1:
            self.line = _line_in(frame)
        if self.fired >= MAX_TIMEOUTS:
            self._give_up(self)
        raise Timeout

    def failure(self, stage: str, source: str) -> bytes:
        """Return the failure of a call that took too long."""
        return _failure("Timeout", f"more than {self.seconds:g} s of CPU time", self.line, stage, source)


class Worker:
    """Runs the programs of one request and writes records of what each did."""

    def __init__(
        self,
        request: wire.Request,
        watch: guard.Guard,
        shunned: frozenset[str],
        sink: Sink,
        codec: Codec,
        signature: str,
        stop_at_failure: bool,
    ) -> None:
        self._request = request
        self._codec, self._encode = codec, codec.encode
        self._signature = signature
        self._stop_at_failure = stop_at_failure
        self._guard = watch
        self._shunned = shunned
        self._sink = sink
        seconds, slack = (1.0, 0.0) if request.alone else (SHARED_PART, SLACK)
        self._alarm = Alarm(request.cpu_seconds * seconds, slack, self._give_up)
        self._unpacked: dict[int, list[Any]] = {}
        self._ran: dict[tuple, list[tuple[int, CodeType]]] = {}
        self._place, self._index, self._source, self._stage = 0, 0, "", "load"
        self._spoilt = self._failed = False
        self._looked = 0.0
        self._written, self._unsent = 0, b""

    def work(self) -> None:
        """Run programs until all are done, the time slice is over, or one has left a trace. In a shared worker a
        verdict counts once a later look at everything has found nothing."""
        alone = self._request.alone
        for place, (inputs, first, code) in enumerate(self._request.programs):
            if place and (_cpu() > self._request.slice_seconds or self._written > ENOUGH_WRITTEN):
                break
            self._place, self._source = place, code.decode("utf-8", "surrogatepass")
            self._spoilt = self._failed = False
            self._sink.left = PRINTABLE
            self._run(inputs, first)
            clean = alone or self._guard.clean()
            if not clean:
                self._unsent = self._note(wire.ALONE)
            self._flush()
            if self._spoilt or not clean or (_cpu() > self._looked + LOOK_SECONDS and not self._spotless()):
                break
        if not alone:
            self._spotless()
        self._send(self._note(wire.STOP))

    def _spotless(self) -> bool:
        self._looked = _cpu()
        if self._guard.spotless():
            self._send(self._note(wire.CLEAN))
            return True
        return False

    def _run(self, inputs: int, first: int) -> None:
        """Run one program on its inputs from `first` on; its records are then unsent."""
        begun = _cpu()
        code = self._guarded("load", lambda: compile(self._source, NAME, "exec", dont_inherit=True))
        if code is None:
            return
        traits = triage.traits_of(code, self._shunned)
        if traits.alone and not self._request.alone:
            self._unsent = self._note(wire.ALONE)
            return
        kin = self._ran.setdefault((inputs, first, *traits.kin), [])
        for place, earlier in kin:
            if triage.same(code, earlier):
                self._unsent = self._note(wire.SAME, place)
                return
        if traits.random or self._request.alone:
            guard.seed()
        loaded: Any = [self._guarded("load", lambda: _load(code, self._signature))]
        if loaded[0] is not None:
            self._call(loaded[0], self._inputs(inputs)[first:], first, begun)
        if not self._request.alone:
            self._leave(loaded, traits.classes)
        if not self._failed:
            kin.append((self._place, code))

    def _leave(self, loaded: list[Any], classes: bool) -> None:
        """Discard what a program in a shared worker has made, in its own time, not in that of the next one."""
        said = self._unsent

        def leave() -> None:
            loaded.clear()
            sys.modules["program"] = _nothing
            if classes:
                self._guard.forget()

        failed = self._failed
        self._guarded("run", leave)
        if self._failed and not failed:
            said = self._note(wire.ALONE)
        self._unsent = said

    def _inputs(self, place: int) -> list[Any]:
        if place not in self._unpacked:
            self._unpacked[place] = wire.unpack_inputs(self._request.inputs[place], self._codec)
        return self._unpacked[place]

    def _call(self, transform: Any, values: list[Any], first: int, begun: float) -> None:
        """Call the program on each input. Alone, each result is sent before the next call, which may be the last; in a
        shared worker they are sent together, and a program that dies runs again."""
        for index, fresh in enumerate(values, first):
            if self._request.alone or len(self._unsent) > MAX_UNSENT:
                self._flush()
            self._index = index
            self._sink.left = PRINTABLE
            value = fresh()
            encoded = self._guarded("run", lambda: self._result(transform, value))  # noqa: B023
            if encoded is not None:
                self._unsent += wire.pack_record(wire.VALUE, self._place, index, encoded)
            elif self._pending[:1] == _ALONE:
                self._unsent = self._pending
                return
            else:
                self._unsent += self._pending
                if self._stop_at_failure:
                    self._skip(range(index + 1, first + len(values)))
                    break
        self._unsent += wire.pack_record(wire.DONE, self._place, 0, wire.pack_seconds(_cpu() - begun))

    def _skip(self, indices: range) -> None:
        """Note that inputs were not run."""
        failure = _failure("NotRun", "an earlier input failed (sandbox.stop_at_failure)", None, "run", "")
        for index in indices:
            self._unsent += wire.pack_record(wire.FAILURE, self._place, index, failure)

    def _result(self, transform: Any, value: Any) -> bytes:
        result = transform(value)
        self._stage = "result"
        return self._encode(result)

    def _guarded(self, stage: str, step: Callable[[], Any]) -> Any:
        """Return what a step returns within its CPU time, or None with its failure in `_pending` (at loading, also
        unsent)."""
        alarm = self._alarm
        self._stage, self._pending, self._no_memory = stage, b"", False
        failure = result = None
        try:
            alarm.start()
            try:
                result = step()
            except BaseException as error:  # noqa: BLE001
                failure = self._described(error)
            alarm.stop()
        except BaseException:  # noqa: BLE001
            # A timeout between two statements of ours, or an exception that could not be described.
            alarm.stop()
            failure = failure or _failure("Exception", "an exception that cannot be shown", None, stage, self._source)
        if alarm.fired:
            failure, self._spoilt = alarm.failure(self._stage, self._source), True
        elif self._sink.left < 0:
            failure = _failure("TooMuchOutput", f"printed more than {PRINTABLE} characters", None, "run", "")
        if failure is None:
            return result
        self._failed = True
        crowded = not self._request.alone and (alarm.fired or self._no_memory)
        self._pending = self._note(wire.ALONE) if crowded else self._record(failure)
        if stage == "load":
            self._unsent += self._pending
        return None

    def _record(self, failure: bytes) -> bytes:
        kind = wire.UNLOADED if self._stage == "load" else wire.FAILURE
        return wire.pack_record(kind, self._place, self._index, failure)

    def _described(self, error: BaseException) -> bytes:
        """Return an exception as a failure: type, message, and the innermost line of the program."""
        if isinstance(error, Invalid):
            return _failure("InvalidOutput", str(error), None, "result", "")
        if isinstance(error, TooMuchOutput | TooLarge):
            return _failure("TooMuchOutput", str(error), None, self._stage, "")
        # Where endless recursion ends, in which call of which library, varies with what ran before: said is the call
        # that leads round again.
        endless = type(error) is RecursionError and _message(error).startswith(ENDLESS)
        line, trace, seen = None, error.__traceback__, set()
        while trace is not None and not (endless and id(trace.tb_frame.f_code) in seen):
            if trace.tb_frame.f_code.co_filename == NAME:
                line = trace.tb_lineno
                seen.add(id(trace.tb_frame.f_code))
            trace = trace.tb_next
        if isinstance(error, MemoryError):
            self._spoilt = self._no_memory = True
            return _failure("MemoryLimit", "no memory left", line, self._stage, self._source)
        if not isinstance(error, Exception) or isinstance(error, OSError):
            self._spoilt = True
        if isinstance(error, SyntaxError) and self._stage == "load" and error.filename == NAME:
            return _failure(_name(error), str(error.msg), error.lineno, "load", self._source)
        return _failure(_name(error), ENDLESS if endless else _message(error), line, self._stage, self._source)

    def _give_up(self, alarm: Alarm) -> NoReturn:
        """Report that the running program takes too long and will not stop, and end the process."""
        alarm.stop()
        if self._request.alone:
            self._unsent += self._record(alarm.failure(self._stage, self._source))
        else:
            self._unsent = self._note(wire.ALONE)
        self._flush()
        self._send(self._note(wire.STOP))
        _exit(0)

    def _flush(self) -> None:
        said, self._unsent = self._unsent, b""
        self._send(said)

    def _send(self, data: bytes) -> None:
        self._written += len(data)
        while data:
            data = data[_write(RESULTS, data) :]

    def _note(self, kind: int, index: int = 0) -> bytes:
        return wire.pack_record(kind, self._place, index)


# The name must stay: in a traceback it tells `batch` that a program was loading.
def _load(code: Any, signature: str) -> Any:
    """Return the function of the signature, a call such as ``"transform(x)"``, that a program defines."""
    module = ModuleType("program")
    sys.modules["program"] = module
    exec(code, vars(module))
    function = vars(module).get(signature.partition("(")[0])
    if not callable(function):
        raise NameError(f"the program defines no function {signature}")
    return function


def _name(error: BaseException) -> str:
    name = _NAME_OF.__get__(type(error))
    return name[:80] if type(name) is str else "Exception"


def _message(error: BaseException) -> str:
    """Return an exception's text; the program's own code makes it, and may fail or run for ever."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001
        return ""
    return text if type(text) is str else ""


def _line_in(frame: Any) -> int | None:
    while frame is not None:
        if frame.f_code.co_filename == NAME:
            return frame.f_lineno
        frame = frame.f_back
    return None


def _failure(kind: str, message: str, line: int | None, stage: str, source: str) -> bytes:
    """Return a failure as the JSON list that the supervisor reads: type, message, line, source line, stage."""
    lines = source.split("\n") if line else []
    text = lines[line - 1].strip()[:MAX_LINE] if line and 0 < line <= len(lines) else None
    return _dumps([kind, message[:MAX_MESSAGE], line, text, stage]).encode()
