"""NumPy's matrix products on one thread, for as long as somebody asks for that.

Decoding has its own threads. In so small products several more would wait for each other longer than they compute. How
many there are is a setting of the whole process, which its holders share: the first one changes it, the last one puts
it back.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

_lock = threading.Lock()
_holders = 0
_limits: threadpool_limits | None = None


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold the process's matrix products to one thread. From several threads at a time, in any order."""
    global _holders, _limits
    with _lock:
        _holders += 1
        _limits = _limits or threadpool_limits(1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _holders -= 1
            if not _holders and _limits:
                _limits.restore_original_limits()
                _limits = None
