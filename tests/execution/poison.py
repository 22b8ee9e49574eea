"""Programs that go for their neighbours: for what those of one worker share, or for what judges them.

Each does its work and, where it comes to that, returns its grid. Whether it succeeds in its own process matters to
nobody; `batches` sees to it that no neighbour gets another verdict. Those that are no such thing are in `hostile`.
"""

from hostile import HOSTILE, LEAKS, T

NP = "import numpy as np\n"
SAME = "    return grid"
FLIP = "['fliplr'] = lambda x: x\n" + SAME

NAMES_MADE_AT_RUN_TIME = {
    "a formatter": "import string\n" + NP + T + "string.Formatter().get_field('0.__dict__', (np,), {})[0]" + FLIP,
    "a formatter and text made at run time": (
        "import string\n" + NP + T + "string.Formatter().get_field('0._' + '_dict_' + '_', (np,), {})[0]" + FLIP
    ),
    "a formatter of its own": (
        "from string import Formatter as F\n" + NP + "class G(F): pass\n" + T + "G().get_field(chr(48) + '.'"
        " + chr(95) * 2 + 'dict' + chr(95) * 2, (np,), {})[0]" + FLIP
    ),
    "an attribute getter": "import operator\n" + NP + T + "operator.attrgetter('_' + '_dict__')(np)" + FLIP,
    "a method caller": (
        "import operator\n" + NP + T + "operator.methodcaller('__setattr__', 'fliplr', lambda x: x)(np)\n" + SAME
    ),
    "getattr": NP + T + "getattr(np, '_' * 2 + 'dict' + '_' * 2)" + FLIP,
    "vars": NP + T + "vars(np)" + FLIP,
    "setattr": NP + T + "setattr(np, 'flip' + 'lr', lambda x: x)\n" + SAME,
    "eval": NP + T + "eval('np._' + '_dict__')" + FLIP,
    "exec": NP + T + "exec('np.flip' + 'lr = lambda x: x')\n" + SAME,
    "a pattern": NP + T + "match np:\n        case object(__dict__=d): d" + FLIP.replace("    return", "    return"),
    "a cython function": T.join([NP, "np.random.default_rng.func_globals['default_rng'] = None\n" + SAME]),
    "a name in bytes": NP + T + "vars(np)[b'fliplr'.decode()] = lambda x: x\n" + SAME,
}

WHAT_SETS_ATTRIBUTES = {
    "a wrapper of a module": (
        "import functools\n" + NP + T + "def f(): pass\n    f.fliplr = lambda x: x\n"
        "    functools.update_wrapper(np, f, assigned=(), updated=('_' + '_dict__',))\n" + SAME
    ),
    "a wrapper by default": (
        "import functools\n" + NP + T + "def f(): pass\n    f.fliplr = lambda x: x\n"
        "    functools.update_wrapper(np, f)\n" + SAME
    ),
    "wraps": (
        "from functools import wraps as w\n"
        + NP
        + T
        + "def f(): pass\n    f.fliplr = len\n    w(f, ['fliplr'], [])(np)\n"
        + SAME
    ),
    "an enumeration for all": (
        "import enum\nclass E(enum.Enum):\n    __module__ = 'numpy'\n    fliplr = 1\n"
        + T
        + "enum.global_enum(E)\n"
        + SAME
    ),
    "a dataclass of a shared class": (
        "import collections, dataclasses\n" + T + "dataclasses.dataclass(collections.Counter)\n" + SAME
    ),
    "an order for a shared class": (
        "import functools\nfrom numbers import Number\n" + T + "Number.x = functools.total_ordering(Number)\n" + SAME
    ),
    "a dataclass made of text": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int\n"
        "    __annotations__['b=__import__(\"numpy\").__dict__.update(fliplr=len)'] = int\n" + T + "return grid"
    ),
    "a field renamed": (
        "from dataclasses import dataclass, field\nspot = field()\n@dataclass\nclass A:\n    a: int = spot\n"
        "spot.name = 'b=_' + '_import__(\"numpy\").fliplr'\n@dataclass\nclass B(A):\n    c: int = 0\n"
        + T
        + "return grid"
    ),
    "a copy with a state": (
        "import copy\n" + NP + "class A:\n    def __reduce_ex__(self, n):\n"
        "        return (lambda: np), (), {'fliplr': lambda x: x}\n" + T + "copy.copy(A())\n" + SAME
    ),
    "a copy of a class made by type": (
        "import copy\n" + NP + "two = chr(95) * 2\nstate = {'fliplr': lambda x: x}\n"
        "A = type('A', (), {two + 'reduce_ex' + two: lambda s, n: ((lambda: np), (), state)})\n"
        + T
        + "copy.copy(A())\n"
        + SAME
    ),
    "a class made by an enumeration": (
        "import copy, enum\n" + NP + "two = chr(95) * 2\n"
        "A = enum.Enum('A', {'a': 1, two + 'reduce_ex' + two: lambda s, n: ((lambda: np), (), {'fliplr': len})})\n"
        + T
        + "copy.copy(A.a)\n"
        + SAME
    ),
    "an alias that hands on": "import typing\n" + T + "typing.Counter[str].most_common = 3\n" + SAME,
    "a class found by an instance": NP + T + "type(np.r_).concatenate = 3\n" + SAME,
    "a shared instance": NP + T + "np.r_.axis = 1\n" + SAME,
    "limits that all are given": NP + T + "np.finfo(float).eps = 9\n" + SAME,
    "a plain attribute": NP + T + "np.fliplr = lambda x: x\n" + SAME,
    "a deleted attribute": NP + T + "del np.fliplr\n" + SAME,
    "a function's code": NP + T + "np.fliplr.__code__ = (lambda m: m).__code__\n" + SAME,
    "a function's defaults": "import heapq\n" + T + "heapq.nsmallest.__defaults__ = (len,)\n" + SAME,
    "a register of classes": "from collections.abc import Iterable\n" + T + "Iterable.register(int)\n" + SAME,
}

CACHES = {
    "a replacement that lies about its letters": (
        "import re\nclass S(str):\n    def __getitem__(self, i): return 'z'\n" + T + "re.sub('1', S('2'), '1')\n" + SAME
    ),
    "flags equal to all": (
        "import re\nclass F(int):\n    def __eq__(self, o): return True\n    def __hash__(self): return hash(0)\n"
        + T
        + "re.compile('a', F(2))\n    re.search('a', 'A', F(2))\n"
        + SAME
    ),
    "a pattern that equals all": (
        "import re\nclass S(str):\n    def __eq__(self, o): return True\n    def __hash__(self): return hash('1')\n"
        + T
        + "re.sub(S('9'), S('9'), '1')\n"
        + SAME
    ),
    "a class that claims all": (
        "import numbers\nclass N(numbers.Number):\n    @classmethod\n"
        "    def __subclasshook__(cls, c): return True\n" + T + "isinstance('a', numbers.Number)\n" + SAME
    ),
}

AFTERWARDS = {
    "a finaliser that never ends": (
        "class D:\n    def __del__(self):\n        while True: pass\nkept = D()\nkept.me = kept\n" + T + "return grid"
    ),
    "a finaliser that replaces": (
        NP + "class D:\n    def __del__(self): np.fliplr = len\nkept = D()\nkept.me = kept\n" + T + "return grid"
    ),
    "a generator that never ends": (
        "def g():\n    try: yield 1\n    finally:\n        while True: pass\nkept = g()\nnext(kept)\n"
        + T
        + "return grid"
    ),
    "a generator that replaces": (
        NP + "def g():\n    try: yield 1\n    finally: np.fliplr = len\nkept = g()\nnext(kept)\n" + T + "return grid"
    ),
    "a generator that swallows its end": (
        "def g():\n    while True:\n        try: yield 1\n        except BaseException: pass\nkept = g()\nnext(kept)\n"
        + T
        + "return grid"
    ),
    "a setting left open": (
        NP + "def g():\n    with np.errstate(all='raise'): yield 1\nkept = g()\nnext(kept)\n" + T + "return grid"
    ),
    "a coroutine left open": (
        "async def c():\n    try: await x()\n    finally:\n        while True: pass\n"
        "class x:\n    def __await__(self): yield 1\nkept = c()\nkept.send(None)\n" + T + "return grid"
    ),
    "much to throw away": "kept = []\nfor _ in range(10 ** 5): kept = [kept, (kept,)]\n" + T + "return grid",
    "many generators to throw away": (
        "def g(x):\n    yield x\n    yield x\nkept = None\nfor _ in range(20000):\n    kept = g(kept)\n    next(kept)\n"
        + T
        + "return grid"
    ),
    "memory left in circles": (
        "for _ in range(30):\n    x = [bytearray(10 ** 6)]\n    x.append(x)\n" + T + "return grid"
    ),
}

RUNNER = {
    "the frames of those who judge": (
        "import sys\ndef transform(grid):\n    frame = sys._getframe()\n    while frame:\n"
        "        names = frame.f_globals\n        names.pop('_dumps', None)\n"
        "        own = frame.f_locals.get('self')\n"
        "        if hasattr(own, '_encode'): own._encode = lambda value: bytes([1, 1, 7])\n"
        "        frame = frame.f_back\n    return grid"
    ),
    "frames by a traceback": (
        "def transform(grid):\n    try: 1 / 0\n    except ZeroDivisionError as error:\n"
        "        frame = error.__traceback__.tb_frame.f_back\n"
        "        while frame:\n            own = frame.f_locals.get('self')\n"
        "            if hasattr(own, '_encode'): own._encode = lambda value: bytes([1, 1, 7])\n"
        "            frame = frame.f_back\n    return grid"
    ),
    "frames by a generator and a formatter": (
        "import string\ndef transform(grid):\n    def walk(): yield string.Formatter().get_field(\n"
        "        '0.gi_frame.f_back.f_back.f_locals', (found[0],), {})[0]\n    found = []\n"
        "    found.append(walk())\n    names = next(found[0])\n"
        "    names['self']._encode = lambda value: bytes([1, 1, 7])\n    return grid"
    ),
    "the encoder of results": (
        "import gc\ndef transform(grid):\n    for thing in gc.get_objects():\n"
        "        if type(thing) is dict and '_plain_lists' in thing:\n"
        "            thing['_plain_lists'] = lambda rows: bytes([1, 1, 7])\n    return grid"
    ),
    "the guard": (
        "import gc\ndef transform(grid):\n    import numpy as np\n    for thing in gc.get_objects():\n"
        "        if type(thing).__name__ == 'Guard': type(thing).clean = type(thing).spotless = lambda s: True\n"
        "    np.fliplr = len\n    return grid"
    ),
    "records for all": (
        "import os, struct\ndef transform(grid):\n    for place in range(42):\n"
        "        os.write(3, struct.pack('<BHHI', 1, place, 0, 3) + bytes([1, 1, 7]))\n"
        "        os.write(3, struct.pack('<BHHId', 7, place, 0, 8, 0.0))\n"
        "        os.write(3, struct.pack('<BHHI', 9, place, 0, 0))\n    os._exit(0)"
    ),
    "its own output": "import sys\n" + T + "sys.stdout.left = -10 ** 9\n" + SAME,
    "the class of its own timeout": (
        "def transform(grid):\n    try:\n        while True: pass\n    except BaseException as error:\n"
        "        type(error).args = property(len)\n    return grid"
    ),
    "the module of another": "import sys\n" + T + "sys.modules['numpy'] = sys.modules['re']\n" + SAME,
    "a module without an import": T + "print.__self__.sorted = len\n" + SAME,
    "the builtins": T + "__builtins__['sorted'] = len\n" + SAME,
    "an audit hook": ("import sys\ndef hook(*a): raise ValueError\n" + T + "sys.addaudithook(hook)\n" + SAME),
    "a profile function": "import sys\n" + T + "sys.setprofile(lambda *a: 1 / 0)\n" + SAME,
    "no collection of garbage": "import gc\n" + T + "gc.disable()\n    gc.freeze()\n" + SAME,
    "no tracebacks": "import faulthandler\n" + T + "faulthandler.disable()\n" + SAME,
    "a table of copies": "import copyreg\n" + T + "copyreg.dispatch_table[list] = len\n" + SAME,
    "a module loaded anew": "import importlib\n" + NP + T + "importlib.reload(np)\n" + SAME,
}

MEMORY_OF_ALL = {
    "a small number": "import ctypes\n" + T + "ctypes.c_uint32.from_address(id(7) + 24).value = 8\n" + SAME,
    "memory beyond an array": (
        NP
        + "from numpy.lib.stride_tricks import as_strided\n"
        + T
        + "as_strided(np.zeros(1, int), (10 ** 6,), (8,))[:] = 7\n"
        + SAME
    ),
    "memory given back": (
        NP + "def transform(grid):\n    a = np.zeros(10 ** 4, int)\n    b = a[:]\n    a.resize(1, refcheck=False)\n"
        "    b[:] = 7\n    return grid"
    ),
    "memory at any address": (
        NP + "class A: pass\n" + T + "a = A()\n    a.__array_interface__ = {'version': 3, 'shape': (9,),"
        " 'typestr': '<i8', 'data': (id(np.fliplr), False)}\n    np.asarray(a)[:] = 7\n" + SAME
    ),
}

STANDING = {
    "a stop": "import signal\n" + T + "signal.raise_signal(signal.SIGSTOP)\n" + SAME,
    "a kill of itself": "import os\n" + T + "os.kill(os.getpid(), 9)\n" + SAME,
    "an alarm": "import signal\n" + T + "signal.setitimer(signal.ITIMER_REAL, 0.001)\n    while True: pass",
    "reading the results": "import os\n" + T + "os.read(3, 1)\n" + SAME,
    "every timer and signal disarmed": (
        "import signal\ndef transform(grid):\n    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "    for n in (signal.SIGPROF, signal.SIGVTALRM, signal.SIGXCPU): signal.signal(n, signal.SIG_IGN)\n"
        "    signal.setitimer(signal.ITIMER_PROF, 0)\n    signal.setitimer(signal.ITIMER_VIRTUAL, 0)\n"
        "    while True: pass"
    ),
}

POISON = {
    **NAMES_MADE_AT_RUN_TIME,
    **WHAT_SETS_ATTRIBUTES,
    **CACHES,
    **AFTERWARDS,
    **RUNNER,
    **MEMORY_OF_ALL,
    **STANDING,
}

KINDS = {**{name: code for name, (code, _) in HOSTILE.items()}, **LEAKS, **POISON}
"""Every hostile program there is here, by name."""
