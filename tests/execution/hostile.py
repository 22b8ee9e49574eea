"""Programs that misbehave, each with the failure type that it must get, or None where it does no harm.

Grouped by what they try; the grid they get is [[1, 2], [3, 4]].
"""

T = "def transform(grid):\n    "

TIME = {
    "endless loop": (T + "while True: pass", "Timeout"),
    "endless loop at import": ("while True: pass\n" + T + "return grid", "Timeout"),
    "a swallowed timeout": (
        "def transform(grid):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass",
        "Timeout",
    ),
    "a long call in C": (T + "return 10 ** 10 ** 8", "Timeout"),
    "a regular expression that explodes": ("import re\n" + T + "re.match('(a+)+$', 'a' * 40 + 'b')", "Timeout"),
    "disarmed timers": (
        "import signal\ndef transform(grid):\n    signal.setitimer(signal.ITIMER_PROF, 0)\n    while True: pass",
        "Timeout",
    ),
    "an ignored timer signal": (
        "import signal\ndef transform(grid):\n    signal.signal(signal.SIGPROF, signal.SIG_IGN)\n    while True: pass",
        "Timeout",
    ),
    "a sorting comparison that never ends": (
        "class A:\n    def __lt__(self, other):\n        while True: pass\n" + T + "sorted([A(), A()])",
        "Timeout",
    ),
    "a generator without end": (
        "import itertools\n" + T + "return list(x for x in itertools.count() if x < 0)",
        "Timeout",
    ),
}

MEMORY = {
    "a huge list": (T + "return [0] * 10 ** 10", "MemoryLimit"),
    "a huge array": ("import numpy as np\n" + T + "return np.ones((10 ** 6, 10 ** 6))", None),
    "a growing list": (T + "x = [0]\n    while True: x = x + x", None),
    "a huge string": (T + "return 'x' * 10 ** 11", "MemoryLimit"),
    "endless recursion": ("def f(x): return f(x)\n" + T + "return f(1)", "RecursionError"),
    "recursion past the C stack": (
        "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return [f(y) for y in [x]]\n" + T + "return f(1)",
        None,
    ),
}

PROCESSES = {
    "fork": ("import os\n" + T + "os.fork()", "PermissionError"),
    "a fork bomb": ("import os\n" + T + "while True: os.fork()", "PermissionError"),
    "a thread": ("import threading\n" + T + "threading.Thread(target=print).start()", "RuntimeError"),
    "a subprocess": ("import subprocess\n" + T + "subprocess.run(['/bin/true'])", None),
    "os.system": ("import os\n" + T + "return [[1 if os.system('touch /tmp/soar-evil') == 0 else 0]]", None),
    "exec of another program": ("import os\n" + T + "os.execv('/bin/true', ['true'])", "PermissionError"),
    "killing the parent": ("import os\n" + T + "os.kill(os.getppid(), 9)", None),
    "killing the group": ("import os\n" + T + "os.killpg(0, 9)", "PermissionError"),
    "killing everyone": ("import os\n" + T + "os.kill(-1, 9)", "PermissionError"),
    "a new session": ("import os\n" + T + "os.setsid()", "PermissionError"),
    "a changed priority": ("import os\n" + T + "os.nice(-5)", "PermissionError"),
    "ptrace": (
        "import ctypes\n" + T + "return [[1 if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0 else 0]]",
        None,
    ),
    "sleep": ("import time\n" + T + "time.sleep(1000)", "PermissionError"),
}

FILES = {
    "writing": (T + "open('/tmp/soar-evil', 'w')", "PermissionError"),
    "writing by os": ("import os\n" + T + "os.open('/tmp/soar-evil', os.O_CREAT | os.O_RDWR)", "PermissionError"),
    "writing by posix": ("import posix\n" + T + "posix.open('/tmp/soar-evil', 65)", "PermissionError"),
    "writing by io": ("import io\n" + T + "io.FileIO('/tmp/soar-evil', 'w')", "PermissionError"),
    "writing where it runs": (T + "open('soar-evil', 'w')", "PermissionError"),
    "a folder": ("import os\n" + T + "os.mkdir('/tmp/soar-evil')", "PermissionError"),
    "unlink": ("import os\n" + T + "os.unlink('/etc/hostname')", "PermissionError"),
    "rename": ("import os\n" + T + "os.rename('/etc/hostname', '/etc/soar-evil')", "PermissionError"),
    "a link": ("import os\n" + T + "os.symlink('/etc', '/tmp/soar-evil')", "PermissionError"),
    "reading accounts": (T + "return open('/etc/passwd').read()", "PermissionError"),
    "reading the environment": (T + "return open('/proc/self/environ').read()", "PermissionError"),
    "reading the parent's environment": ("import os\n" + T + "open(f'/proc/{os.getppid()}/environ')", None),
    "reading the parent's memory": ("import os\n" + T + "open(f'/proc/{os.getppid()}/mem', 'rb')", None),
    "listing the home": ("import os\n" + T + "os.listdir('/root')", "PermissionError"),
    "listing the root": ("import os\n" + T + "os.listdir('/')", "PermissionError"),
    "a device": (T + "open('/dev/sda', 'rb')", None),
    "temporary files": ("import tempfile\n" + T + "tempfile.mkstemp()", None),
    "changing the mode": ("import os\n" + T + "os.chmod('/tmp', 0)", "PermissionError"),
}

NETWORK = {
    "a socket": ("import socket\n" + T + "socket.socket()", "PermissionError"),
    "a pair of sockets": ("import socket\n" + T + "socket.socketpair()", "PermissionError"),
    "a name server": ("import socket\n" + T + "socket.getaddrinfo('localhost', 80)", None),
    "a page": ("import urllib.request\n" + T + "urllib.request.urlopen('http://127.0.0.1')", None),
}

RESULTS = {
    "no result": (T + "pass", "InvalidOutput"),
    "a float": (T + "return [[1.0]]", "InvalidOutput"),
    "a boolean": (T + "return [[True]]", "InvalidOutput"),
    "NumPy booleans": ("import numpy as np\n" + T + "return np.array(grid) > 1", "InvalidOutput"),
    "floats in an array": ("import numpy as np\n" + T + "return np.array(grid) * 1.0", "InvalidOutput"),
    "ragged": (T + "return [[1, 2], [3]]", "InvalidOutput"),
    "empty": (T + "return []", "InvalidOutput"),
    "an empty row": (T + "return [[]]", "InvalidOutput"),
    "a negative cell": (T + "return [[-1]]", "InvalidOutput"),
    "a cell of 10": (T + "return [[10]]", "InvalidOutput"),
    "a huge cell": (T + "return [[10 ** 5000]]", "InvalidOutput"),
    "too many rows": (T + "return [[1]] * 31", "InvalidOutput"),
    "too many columns": (T + "return [[1] * 31]", "InvalidOutput"),
    "three dimensions": (T + "return [[[1]]]", "InvalidOutput"),
    "a string": (T + "return 'grid'", "InvalidOutput"),
    "a dict": (T + "return {0: [1]}", "InvalidOutput"),
    "a list that holds itself": (T + "x = []\n    x.append(x)\n    return x", "InvalidOutput"),
    "a list of another class": ("class L(list): pass\n" + T + "return L(grid)", "InvalidOutput"),
    "an int of another class": ("class I(int): pass\n" + T + "return [[I(1)]]", "InvalidOutput"),
    "a result that lies about equality": (
        "class E:\n    def __eq__(self, other): return True\n" + T + "return E()",
        "InvalidOutput",
    ),
    "a result that pickles to code": (
        "import os\nclass P:\n    def __reduce__(self): return os.system, ('touch /tmp/soar-evil',)\n"
        + T
        + "return P()",
        "InvalidOutput",
    ),
    "megabytes of print": (T + "print('x' * 10 ** 8)\n    return grid", "TooMuchOutput"),
    "an exception that cannot be shown": (
        "class E(Exception):\n    def __str__(self): raise ValueError\n" + T + "raise E()",
        "E",
    ),
    "an enormous message": (T + "raise ValueError('x' * 10 ** 7)", "ValueError"),
}

ENDINGS = {
    "sys.exit": ("import sys\n" + T + "sys.exit()", "SystemExit"),
    "os._exit": ("import os\n" + T + "os._exit(0)", "Crash"),
    "os._exit at import": ("import os\nos._exit(0)\n" + T + "return grid", "Crash"),
    "abort": ("import os\n" + T + "os.abort()", "Crash"),
    "a segmentation fault": ("import ctypes\n" + T + "ctypes.string_at(0)", "Crash"),
    "KeyboardInterrupt": (T + "raise KeyboardInterrupt", "KeyboardInterrupt"),
    "GeneratorExit": (T + "raise GeneratorExit", "GeneratorExit"),
    "garbage in the results": ("import os\n" + T + "os.write(3, b'garbage' * 99)\n    return grid", None),
    "a forged result": (
        'import os, struct\nx = b\'{"i": 0, "o": 3, "cpu": 1}\'\n'
        + T
        + "os.write(3, struct.pack('<I', len(x)) + x)\n    return grid",
        None,
    ),
    "closed descriptors": ("import os\n" + T + "os.closerange(0, 99)\n    return grid", "Crash"),
    "a syntax error": ("def transform(grid:\n    return grid", "SyntaxError"),
    "deep nesting": ("x = " + "(" * 5000 + ")" * 5000, None),
    "a null byte": ("def transform(grid):\n    return grid\0", None),
    "a lone surrogate": (T + "return '\ud800'", "UnicodeEncodeError"),
    "no program": ("", "NameError"),
    "no function": ("transform = 3", "NameError"),
    "an unknown module": ("import nothing_of_this_name\n" + T + "return grid", "ModuleNotFoundError"),
}

C = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n" + T
"""Calls of the C library: what must not happen returns [[1]]."""

KERNEL = {
    name: (C + f"return [[1 if libc.{call} >= 0 else 0]]", None)
    for name, call in {
        "a namespace of its own": "unshare(0x10000000)",
        "another root": "chroot(b'/tmp')",
        "a mount": "mount(b'none', b'/mnt', b'tmpfs', 0, 0)",
        "the superuser": "setuid(0)",
        "a parent that may die": "prctl(1, 0, 0, 0, 0)",
        "debugging allowed again": "prctl(4, 1, 0, 0, 0)",
        "a second filter": "prctl(22, 2, 0, 0, 0)",
        "a file in memory": "memfd_create(b'x', 0)",
        "shared memory": "shmget(0, 4096, 0o1600)",
        "a message queue": "msgget(0, 0o1600)",
        "a semaphore": "semget(0, 1, 0o1600)",
        "watching files": "inotify_init()",
        "an event descriptor": "eventfd(0, 0)",
        "an epoll descriptor": "epoll_create1(0)",
        "another clock": "clock_settime(0, b'0' * 16)",
        "another host name": "sethostname(b'evil', 4)",
        "raised limits": "setrlimit(9, b'\\xff' * 16)",
        "other cores": "sched_setaffinity(0, 8, b'\\xff' * 8)",
        "memory of its parent": "process_vm_readv(libc.getppid(), 0, 0, 0, 0, 0)",
        "io_uring": "syscall(425, 8, b'0' * 120)",
        "openat2": "syscall(437, -100, b'/etc/passwd', b'0' * 24, 24)",
        "clone3": "syscall(435, b'0' * 88, 88)",
        "a descriptor of its parent": "syscall(434, libc.getppid(), 0)",
        "a signal to its parent": "kill(libc.getppid(), 9)",
        "a signal to its parent's thread": "tgkill(libc.getppid(), libc.getppid(), 9)",
        "a pipe": "pipe(b'0' * 8)",
        "a copied descriptor": "dup(3)",
    }.items()
}

TRICKS = {
    "a deadlock": (
        "import threading\ndef transform(grid):\n    lock = threading.Lock()\n    lock.acquire()\n    lock.acquire()",
        "Timeout",
    ),
    "a lock with a time limit, for ever": (
        "import threading\ndef transform(grid):\n    lock = threading.Lock()\n    lock.acquire()\n"
        "    while True: lock.acquire(timeout=1)",
        "Timeout",
    ),
    "an event that nobody sets": ("import threading\n" + T + "threading.Event().wait()", "Timeout"),
    "waiting for input": (T + "return input()", "EOFError"),
    "select for ever": ("import select\n" + T + "select.select([], [], [])", "PermissionError"),
    "a pause": ("import signal\n" + T + "signal.pause()", None),
    "ignored signals": (
        "import signal\ndef transform(grid):\n    for n in range(1, 65):\n"
        "        try: signal.signal(n, signal.SIG_IGN)\n"
        "        except (OSError, ValueError): pass\n    while True: pass",
        "Timeout",
    ),
    "a blocked alarm": (
        "import signal\ndef transform(grid):\n    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "    while True: pass",
        "Timeout",
    ),
    "a signal to itself": ("import os, signal\n" + T + "signal.raise_signal(signal.SIGKILL)", "PermissionError"),
    "a stack overflow in C": (
        "import sys, functools\nsys.setrecursionlimit(10 ** 9)\n"
        "f = lambda x: functools.reduce(lambda a, b: f(b), [x, x])\n" + T + "return f(1)",
        None,
    ),
    "an object that never dies": (
        "class D:\n    def __del__(self):\n        while True: pass\n" + T + "D()\n    return grid",
        "Timeout",
    ),
    "an exception that never ends": (
        "class E(Exception):\n    def __str__(self):\n        while True: pass\n" + T + "raise E()",
        "Timeout",
    ),
    "an exception with an endless name": ("E = type('E' * 10 ** 6, (Exception,), {})\n" + T + "raise E()", "E" * 80),
    "an exception with half a character": (T + "raise ValueError(chr(0xd800))", "ValueError"),
    "an exception group": (
        T + "raise ExceptionGroup('many', [ValueError(str(i)) for i in range(9999)])",
        "ExceptionGroup",
    ),
    "an exception that is no exception": (T + "raise 'text'", "TypeError"),
    "its own class of timeout": ("class Timeout(BaseException): pass\n" + T + "raise Timeout()", "Timeout"),
    "the callers' frames": (
        "import sys\ndef transform(grid):\n    frame, found = sys._getframe(), []\n    while frame:\n"
        "        found.append([name for name in frame.f_locals if 'expected' in name or 'answer' in name])\n"
        "        frame = frame.f_back\n    return [[len(sum(found, []))]]",
        None,
    ),
    "all objects": (
        "import gc\ndef transform(grid):\n    for thing in gc.get_objects():\n"
        "        if type(thing) is dict and '_write' in thing: thing['_write'] = None\n    return grid",
        None,
    ),
    "descriptors written one by one": (
        "import os\ndef transform(grid):\n    for n in range(256):\n        try: os.write(n, b'x' * 100)\n"
        "        except OSError: pass\n    return grid",
        "Crash",
    ),
    "a forged record": (
        "import os, struct\n" + T + "os.write(3, struct.pack('<BHHI', 1, 0, 0, 3) + bytes([1, 1, 0]))\n    os._exit(0)",
        None,
    ),
    "forged records of its neighbours": (
        "import os, struct\ndef transform(grid):\n    for place in range(9):\n"
        "        os.write(3, struct.pack('<BHHI', 1, place, 0, 3) + bytes([1, 1, 0]))\n"
        "        os.write(3, struct.pack('<BHHId', 7, place, 0, 8, 0.0))\n    os._exit(0)",
        None,
    ),
    "a record of two gigabytes": (
        "import os, struct\n" + T + "os.write(3, struct.pack('<BHHI', 1, 0, 0, 2 ** 31))\n    os._exit(0)",
        "Crash",
    ),
    "a flood of results": (
        "import os\ndef transform(grid):\n    while True: os.write(3, bytes(10 ** 5))",
        "TooMuchOutput",
    ),
    "a flood of traces": (
        "import os\ndef transform(grid):\n    while True: os.write(4, bytes(10 ** 5))",
        "TooMuchOutput",
    ),
    "a replaced standard output": (
        "import sys\ndef transform(grid):\n    sys.stdout = sys.stderr = None\n    print(1)\n    return grid",
        None,
    ),
    "patched builtins": (
        "import builtins\ndef transform(grid):\n    for name in ('len', 'type', 'isinstance', 'list', 'map', 'set'):\n"
        "        setattr(builtins, name, None)\n    return grid",
        None,
    ),
    "every builtin removed": (
        "import builtins\ndef transform(grid):\n    vars(builtins).clear()\n    return grid",
        None,
    ),
    "every module removed": ("import sys\n" + T + "sys.modules.clear()\n    return grid", None),
    "NumPy taken apart": (
        "import numpy as np\ndef transform(grid):\n    np.ndarray = np.dtype = np.array = None\n    return grid",
        None,
    ),
    "a trace function that never ends": (
        "import sys\ndef transform(grid):\n    def t(*a):\n        while True: pass\n"
        "    sys.settrace(t)\n    return sorted(grid)",
        None,
    ),
    "work left for the end": (
        "import atexit, os\n" + T + "atexit.register(os.system, 'touch /tmp/soar-evil')\n    return grid",
        None,
    ),
    "a coroutine": ("async def transform(grid): return grid", None),
    "a generator": (T + "yield grid", "InvalidOutput"),
    "a class": ("class transform:\n    def __init__(self, grid): self.grid = grid", "InvalidOutput"),
    "rows that are ranges": (T + "return [range(3)]", "InvalidOutput"),
    "an iterator": (T + "return iter(grid)", "InvalidOutput"),
    "an array of objects": ("import numpy as np\n" + T + "return np.array(grid, dtype=object)", "InvalidOutput"),
    "an array without dimensions": ("import numpy as np\n" + T + "return np.array(5)", "InvalidOutput"),
    "an array of a gigabyte that is not there": (
        "import numpy as np\n" + T + "return np.broadcast_to(np.int8(1), (10 ** 9, 10 ** 9))",
        "InvalidOutput",
    ),
    "a matrix": ("import numpy as np\n" + T + "return np.asmatrix(np.array(grid))", "InvalidOutput"),
    "a masked array": ("import numpy as np\n" + T + "return np.ma.array(np.array(grid), mask=True)", "InvalidOutput"),
    "memory out of bounds": (
        "import numpy as np\nfrom numpy.lib.stride_tricks import as_strided\n"
        + T
        + "return as_strided(np.array(grid), (10 ** 9,), (10 ** 9,)).sum()",
        None,
    ),
    "a row as long as memory": (T + "return [[1] * 10 ** 7]", "InvalidOutput"),
    "a cell that is NaN": (T + "return [[float('nan')]]", "InvalidOutput"),
    "no cell": (T + "return [[None]]", "InvalidOutput"),
    "a digit as text": (T + "return [['1']]", "InvalidOutput"),
    "bytes": (T + "return [b'12']", "InvalidOutput"),
    "a transform that takes nothing": ("def transform(): return [[1]]", "TypeError"),
    "a text of ten megabytes": ("x = '" + "y" * 10**7 + "'\n" + T + "return grid", None),
    "a sum nested ten thousand deep": (T + "return [[" + "+".join("1" * 10000) + "]]", None),
    "brackets that never close": ("(" * 10**5, "SyntaxError"),
    "unary operators without end": (T + "return [[" + "-" * 10**5 + "1]]", None),
    "an f-string in an f-string": ("x = " + "f'{" * 200 + "1" + "}'" * 200 + "\n" + T + "return grid", None),
    "a decompression bomb": ("import zlib\n" + T + "return zlib.decompress(zlib.compress(bytes(10 ** 9)))", None),
    "a pickle that runs code": (
        "import pickle\n" + T + "pickle.loads(b\"cos\\nsystem\\n(S'touch /tmp/soar-evil'\\ntR.\")",
        None,
    ),
    "a module from the working directory": ("import soar\n" + T + "return grid", "ModuleNotFoundError"),
    "its own source": (T + "return open(transform.__code__.co_filename).read()", None),
    "the path of the jail": ("import sys\n" + T + "return [[sum('soar' in name for name in sys.modules)]]", None),
}

HOSTILE = {**TIME, **MEMORY, **PROCESSES, **FILES, **NETWORK, **RESULTS, **ENDINGS, **KERNEL, **TRICKS}

LEAKS = {
    "builtins": "import builtins\n" + T + "builtins.sorted = lambda *a, **k: 1\n    return grid",
    "a builtin added": "import builtins\n" + T + "builtins.leak = 1\n    return grid",
    "numpy": "import numpy as np\n" + T + "np.flipud = lambda x: x\n    return grid",
    "numpy's error state": "import numpy as np\n" + T + "np.seterr(all='raise')\n    return grid",
    "numpy's printing": "import numpy as np\n" + T + "np.set_printoptions(threshold=1)\n    return grid",
    "random": "import random\n" + T + "random.random = lambda: 7\n    return grid",
    "random's state": "import random\n" + T + "random.seed(99)\n    return grid",
    "the recursion limit": "import sys\n" + T + "sys.setrecursionlimit(70)\n    return grid",
    "warnings": "import warnings\n" + T + "warnings.simplefilter('error')\n    return grid",
    "a class": "import collections\n" + T + "collections.Counter.most_common = 3\n    return grid",
    "the module path": "import sys\n" + T + "sys.path.insert(0, '/leak')\n    return grid",
    "the environment": "import os\n" + T + "os.environ['LEAK'] = '1'\n    return grid",
    "a module imported and changed": "import textwrap\n" + T + "textwrap.dedent = 3\n    return grid",
    "scipy": "from scipy import ndimage\n" + T + "ndimage.label = None\n    return grid",
    "a constant": "import math\n" + T + "math.pi = 3\n    return grid",
    "a text": "import string\n" + T + "string.digits = ''\n    return grid",
    "a function's defaults": "import copy\n" + T + "copy.copy = copy.deepcopy = None\n    return grid",
    "a method": "from fractions import Fraction\n" + T + "Fraction.__add__ = lambda a, b: 7\n    return grid",
    "a constant by the back door": "import math\n" + T + "vars(math)['pi'] = 3\n    return grid",
    "a table inside a module": "import copy\n" + T + "copy._copy_dispatch[list] = lambda x: 3\n    return grid",
    "decimals": "import decimal\n" + T + "decimal.getcontext().prec = 1\n    return grid",
    "a trace function": "import sys\n" + T + "sys.settrace(lambda *a: None)\n    return grid",
}

WITNESS = """
import collections, copy, functools, itertools, math, random, re, string
from fractions import Fraction
import numpy as np
from scipy import ndimage

def deep(n):
    return 0 if n == 0 else deep(n - 1)

def transform(grid):
    clean = [
        sorted([2, 1]) == [1, 2], len([1, 2]) == 2, np.flipud([[1], [2]]).tolist() == [[2], [1]],
        random.random() == FIRST, deep(800) == 0, collections.Counter("aab").most_common(1) == [("a", 2)],
        math.pi > 3, copy.copy([1]) == [1], ndimage.label(np.eye(2))[1] == 2, string.digits == "0123456789",
        repr(np.arange(2000)).count("...") == 1, np.array(1) / np.array(0) > 1, Fraction(1, 2) + Fraction(1, 2) == 1,
        list(itertools.chain([1], [2])) == [1, 2], functools.reduce(max, [1, 2]) == 2, re.sub("a", "b", "a") == "b",
    ]
    return [[int(c) for c in clean]]
"""
"""Looks for traces with nothing that would make it run alone: it shares a worker with what it looks for."""
