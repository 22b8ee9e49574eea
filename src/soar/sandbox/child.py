"""What happens inside a worker: programs one after the other, each judged by what it returns for each input.

Imported by the zygote before it forks; runs confined, together with the programs it runs. What it writes is therefore
only ever decoded, never believed, by the supervisor. Standard library and NumPy only.
"""

import builtins
import contextlib
import faulthandler
import gc
import json
import linecache
import operator
import os
import random
import re
import signal
import struct
import sys
import time
import warnings
from typing import Any

import numpy as np

NAME = "<program>"
MESSAGE = 300
PRINTED = 1 << 20
HEAP_TYPE = 1 << 9
SPOILING = ("Timeout", "MemoryLimit", "SystemExit", "KeyboardInterrupt", "PermissionError", "OSError")
_isinstance, _len, _type, _str, _int, _all, _map = isinstance, len, type, str, int, all, map
_is, _findall = operator.is_, re.compile(r"[A-Za-z_]\w*").findall


class Timeout(BaseException):
    """Raised in a program by the timer of its CPU time; not an `Exception`, so that few programs swallow it."""


class TooMuchOutput(Exception):
    """Raised in a program that prints more than `PRINTED` characters."""


class Invalid(Exception):
    """A result that is no value of the domain; the message is the reason."""


class Sink:
    """Standard output that counts and forgets."""

    def __init__(self) -> None:
        self.left = PRINTED

    def write(self, text: str) -> int:
        """Count the text; raise `TooMuchOutput` beyond the limit."""
        self.left -= _len(text)
        if self.left < 0:
            raise TooMuchOutput(f"printed more than {PRINTED} characters")
        return _len(text)

    def flush(self) -> None:
        """Do nothing."""


SINK = Sink()


class Guard:
    """Remembers the state that programs of one worker share, and tells whether a program changed it."""

    def __init__(self) -> None:
        self.names = set(sys.modules)
        watched = [module for name in WATCHED if (module := sys.modules.get(name)) is not None]
        # Standard output is replaced for every program; from here on the modules hold what the comparison expects.
        sys.stdout = sys.stderr = SINK  # type: ignore[assignment]
        self.dicts = [(vars(m), dict(vars(m))) for m in watched]
        classes = {c for m in watched for c in vars(m).values() if _isinstance(c, type) and c.__flags__ & HEAP_TYPE}
        self.classes = [(c, dict(vars(c))) for c in classes if c.__module__ in WATCHED]
        self.others: dict[str, list] = {}
        for name, module in list(sys.modules.items()):
            root = name.partition(".")[0]
            if name not in WATCHED and root not in ("numpy", "scipy") and _type(module) is _type(sys):
                self.others.setdefault(root, []).append((vars(module), dict(vars(module))))
        self.settings = self._settings()

    def clean(self, code: str) -> bool:
        """Return whether a program changed nothing that another could notice. Builtins first: the rest uses them.

        The modules that programs use are always looked at, the other loaded ones if the program names them.
        """
        try:
            named = [self.others[name] for name in set(_findall(code)) if name in self.others]
            return (
                _all([_same(now, then) for now, then in self.dicts])
                and _all([_same(now, then) for found in named for now, then in found])
                and _all([_same(vars(c), then) for c, then in self.classes])
                and set(sys.modules) == self.names
                and self._settings() == self.settings
            )
        except BaseException:  # noqa: BLE001
            return False

    def restore(self) -> None:
        """Undo what a program did to modules and classes, so that this one can still report; then the worker ends."""
        for now, then in self.dicts:
            for key in [key for key in now if key not in then]:
                del now[key]
            now.update(then)

    @staticmethod
    def _settings() -> tuple:
        return (
            sys.getrecursionlimit(),
            np.geterr(),
            str(np.get_printoptions()),
            list(warnings.filters),
            dict(os.environ),
            list(sys.path),
            sys.gettrace(),
            sys.getprofile(),
            gc.isenabled(),
            sys.get_int_max_str_digits(),
        )


def _same(now: Any, then: dict) -> bool:
    # By identity and in order, all in C: this runs after every program, and a program's own __eq__ must have no say.
    return _len(now) == _len(then) and _all(_map(_is, now.values(), then.values()))


WATCHED = tuple(
    "builtins numpy numpy.linalg numpy.random scipy.ndimage math random itertools functools collections copy re"
    " operator heapq bisect string json sys os warnings statistics fractions types".split()
)
"""The modules that programs share in a worker and that are checked after each."""


def work(request: bytes, results: int, traces: int, guard: Guard) -> None:
    """Run the programs of a request in order, write one frame each; end early when one has left its mark.

    A frame is the payload's length (4 bytes), then JSON: ``{"i": place, "o": outputs, "cpu": seconds, "dirty": bool}``.
    """
    faulthandler.enable(file=traces, all_threads=False)
    faulthandler.register(signal.SIGUSR1, file=traces, all_threads=False, chain=False)
    job = json.loads(request)
    for place, program in enumerate(job["programs"]):
        begun = time.process_time()
        outputs = run(program["code"], program["inputs"], job["cpu_seconds"], job["results"])
        spoilt = any(_isinstance(output, dict) and output["type"] in SPOILING for output in outputs)
        dirty = spoilt or not guard.clean(program["code"])
        if dirty:
            guard.restore()
        cpu = time.process_time() - begun
        payload = json.dumps({"i": place, "o": outputs, "cpu": cpu, "dirty": dirty}).encode()
        _write(results, struct.pack("<I", _len(payload)) + payload)
        if dirty:
            return


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def run(code: str, inputs: list, cpu_seconds: float, results: str) -> list:
    """Return one output or failure per input, each ready for JSON; never raises."""
    timer = Timer(cpu_seconds)
    random.seed(0)
    np.random.seed(0)
    SINK.left = PRINTED
    linecache.cache[NAME] = (_len(code), None, [line + "\n" for line in code.split("\n")], NAME)
    namespace: dict[str, Any] = {"__name__": "program", "__builtins__": builtins}
    try:
        with timer:
            exec(compile(code, NAME, "exec", dont_inherit=True), namespace)
            transform = namespace.get("transform")
        if not callable(transform):
            return [_failed("NameError", "the program defines no function transform(grid)", stage="load")] * _len(
                inputs
            )
    except BaseException as error:  # noqa: BLE001
        return [_failure(error, "load")] * _len(inputs)
    encode = _grid if results == "grid" else _json
    outputs: list = []
    for text in inputs:
        outputs.append(_one(transform, json.loads(text), timer, encode))
        if _isinstance(outputs[-1], dict) and outputs[-1]["type"] == "Timeout":
            unrun = _failed("Timeout", "not run: an input before it did not end in time")
            return outputs + [unrun] * (_len(inputs) - _len(outputs))
    return outputs


def _one(transform: Any, value: Any, timer: "Timer", encode: Any) -> Any:
    stage = "run"
    try:
        with timer:
            result = transform(value)
            stage = "result"
            return encode(result)
    except Invalid as error:
        return _failed("InvalidOutput", _str(error), stage="result")
    except BaseException as error:  # noqa: BLE001
        return _failure(error, stage)


class Timer:
    """CPU time of one call: raises `Timeout` in the program when it is over, again if swallowed, then gives up."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.fired = 0

    def __enter__(self) -> None:
        self.fired = 0
        signal.signal(signal.SIGPROF, self._fire)
        signal.setitimer(signal.ITIMER_PROF, self.seconds, 0.2)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _fire(self, number: int, frame: Any) -> None:
        del number, frame
        self.fired += 1
        if self.fired >= 3:
            os._exit(3)
        raise Timeout(f"more than {self.seconds:g} s of CPU time")


def _failure(error: BaseException, stage: str) -> Any:
    """Describe an exception: its type, message, and the last line of the program that it passed."""
    signal.setitimer(signal.ITIMER_PROF, 0)
    kind = {"Timeout": "Timeout", "MemoryError": "MemoryLimit"}.get(_type(error).__name__, _type(error).__name__)
    line = source = None
    if _isinstance(error, SyntaxError) and error.filename == NAME:
        line, source = error.lineno, error.text
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == NAME:
            line = trace.tb_lineno
            source = linecache.getline(NAME, line)
        trace = trace.tb_next
    message = "no memory left" if kind == "MemoryLimit" else ""
    with contextlib.suppress(BaseException):
        message = message or (error.msg if _isinstance(error, SyntaxError) else _str(error))
    return _failed(kind, message, line, source, stage)


def _failed(kind: str, message: str, line: int | None = None, source: str | None = None, stage: str = "run") -> dict:
    short = message[:MESSAGE] if _type(message) is str else ""
    return {
        "type": kind,
        "message": short,
        "line": line,
        "source_line": (source or "").strip()[:MESSAGE] or None,
        "stage": stage,
    }


def _grid(value: Any) -> str:
    """Return a grid as ``"h w digits"``; `Invalid` says why it is none."""
    rows = _items(value)
    if rows is None:
        raise Invalid(f"not a grid: expected a list of rows, found {_kind(value)}")
    if not 1 <= _len(rows) <= 30:
        raise Invalid(f"{_len(rows)} rows, expected 1 to 30")
    lines = []
    for y, row in enumerate(rows):
        cells = _items(row)
        if cells is None:
            raise Invalid(f"row [{y}] is {_kind(row)}, expected a list of ints")
        if not 1 <= _len(cells) <= 30:
            raise Invalid(f"row [{y}] has {_len(cells)} cells, expected 1 to 30")
        lines.append("".join([_cell(y, x, cell) for x, cell in enumerate(cells)]))
        if _len(lines[-1]) != _len(lines[0]):
            raise Invalid(f"ragged: row [{y}] has {_len(lines[-1])} cells, row [0] has {_len(lines[0])}")
    return f"{_len(lines)} {_len(lines[0])} {''.join(lines)}"


def _items(value: Any) -> Any:
    """Return a list, a tuple or an integer array as a list; None for anything else, subclasses included."""
    if _type(value) is np.ndarray:
        return value.tolist() if value.ndim in (1, 2) and value.dtype.kind in "iu" else None
    return value if _type(value) is list or _type(value) is tuple else None


def _cell(y: int, x: int, cell: Any) -> str:
    if _type(cell) is not int:
        if not (_isinstance(cell, np.integer) and _type(cell).__module__ == "numpy"):
            raise Invalid(f"cell [{y}][{x}] is {_kind(cell)}, expected an integer 0 to 9")
        cell = _int(cell)
    if not 0 <= cell <= 9:
        raise Invalid(
            f"cell [{y}][{x}] is {cell if abs(cell) < 10**9 else 'a huge integer'}, expected an integer 0 to 9"
        )
    return "0123456789"[cell]


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if _type(value) is float or _type(value) is bool:
        return f"the {_type(value).__name__} {value}"
    if _type(value) is np.ndarray:
        return f"an array of {value.dtype} with {value.ndim} dimensions"
    return f"of type {_type(value).__name__}"


def _json(value: Any) -> Any:
    """Return a JSON value of exact types in a list of its own, so that no value looks like a failure."""
    return [_plain(value, 0)]


def _plain(value: Any, depth: int) -> Any:
    if depth > 50:
        raise Invalid("nested more than 50 deep")
    if value is None or _type(value) in (str, int, bool):
        return value
    if _type(value) in (list, tuple):
        return [_plain(item, depth + 1) for item in value]
    raise Invalid(
        f"the result holds a value of type {_type(value).__name__}; expected lists, strings, ints, booleans, None"
    )
