"""Where programs run and within which limits, from the configuration. Knows settings; runs nothing."""

from contextlib import AbstractAsyncContextManager
from dataclasses import asdict

from pydantic import Field

from soar.errors import ConfigError
from soar.execution import LEVELS, open_sandbox
from soar.execution.local.supervisor import ConfinedSandbox
from soar.protocols import Contract
from soar.settings import FREE, Positive, Section


class Limits(Section):
    """Limits of one program: CPU seconds per input, memory in MB. `stop_at_failure`: the inputs after the first that
    fails are not run and count as failed; cheaper if a program that fails anywhere is useless."""

    cpu_seconds: float = Field(default=1.0, gt=0)
    memory_mb: Positive = 512
    stop_at_failure: bool = False


class Local:
    """Programs run on this machine (``executor.kind = "local"``)."""

    class Settings(Section):
        """`workers` None: one per core. `level` "weak" runs programs even if they cannot be fully confined."""

        workers: Positive | None = Field(default=None, json_schema_extra=FREE)
        level: str = "full"

    def __init__(self, settings: Settings) -> None:
        if settings.level not in LEVELS:
            raise ConfigError(f"executor.level is {settings.level!r}: choose one of {', '.join(LEVELS)}")
        self._settings = settings

    def open(self, contract: Contract) -> AbstractAsyncContextManager[ConfinedSandbox]:
        """Open a sandbox for programs of one contract."""
        return open_sandbox(workers=self._settings.workers, level=self._settings.level, **asdict(contract))
