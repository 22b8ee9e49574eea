"""The exception tree: every error the package raises on purpose, with the exit code its command ends with.

    SoarError
    ├── ConfigError        2   usage or configuration
    ├── DataError          3   tasks, programs or training data that cannot be used
    ├── EndpointError      4   a language model that cannot be reached, loaded or understood
    │   └── PromptTooLong      the prompt does not fit the model's context; the caller shortens it
    ├── StoreError         5   disk, run directory or archive
    ├── SandboxError       6   programs cannot be executed safely on this machine
    └── Interrupted       75   stopped on request; the same command resumes
        └── BudgetReached      a limit of [budget] is reached

A program's own failure is never an exception here: it is a `soar.types.Failure`.
"""

from typing import Any


class SoarError(Exception):
    """An error with a message for the user: what was found, what was expected, what to do."""

    exit_code = 1
    solutions: tuple[Any, ...] = ()
    """What a search of given tasks had found before it failed: a `soar.Solution` for each; () if that is nothing."""


class ConfigError(SoarError):
    """The command line or a configuration file asks for something that does not exist or does not fit."""

    exit_code = 2


class DataError(SoarError):
    """A task, a task set or a line of input is not what it must be."""

    exit_code = 3


class EndpointError(SoarError):
    """A language model cannot be reached or loaded, or keeps giving unusable completions."""

    exit_code = 4


class PromptTooLong(EndpointError):
    """The prompt and the tokens to be generated exceed the model's context."""


class StoreError(SoarError):
    """The disk, the run directory or the archive refuses; what was acknowledged before is safe."""

    exit_code = 5


class SandboxError(SoarError):
    """Programs cannot be executed at the requested level of confinement on this machine."""

    exit_code = 6


class Interrupted(SoarError):
    """The run was asked to stop; everything acknowledged is stored and the same command resumes."""

    exit_code = 75


class BudgetReached(Interrupted):
    """A limit of the budget is reached: what was paid for is kept, and the same command resumes once it is raised."""
