"""SOAR: a language model writes programs for tasks given by examples, and learns from its own search."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from soar.execution import open_sandbox

__all__ = ["__version__", "open_sandbox"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `soar --help` waits for nothing.
    if name == "open_sandbox":
        from soar.execution import open_sandbox

        return open_sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
