"""Holds NumPy's matrix products to one thread for as long as anyone needs that.

Decoding has its own threads, and in products this small several more would wait for each other longer than they
compute. Their number is a setting of the whole process that all holders share: the first one changes it, the last one
restores it.
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
    """Hold the process's matrix products to one thread. Holders may overlap, in any threads and order."""
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
