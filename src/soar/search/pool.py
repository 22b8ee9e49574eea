"""The arms of one bandit: distinct programs that may be refined, with their accuracy and how often they were pulled.

Knows nothing of how an arm is chosen. Pull counts follow from lineage: they are rebuilt by replaying the calls of an
island in order, never stored.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from soar.types import Program


class Pool:
    """Programs in order of arrival; identical texts are one arm, and failed programs are none (§3.2)."""

    def __init__(self, programs: Iterable[Program] = ()) -> None:
        """Begin with `programs`, in their order."""
        self.programs: list[Program] = []
        self._codes: set[str] = set()
        self._accuracy = np.zeros(64)
        self._pulls = np.zeros(64)
        for program in programs:
            self.add(program)

    def __len__(self) -> int:
        return len(self.programs)

    @property
    def accuracy(self) -> np.ndarray:
        """Train accuracy per arm, ``(arms,)``."""
        return self._accuracy[: len(self.programs)]

    @property
    def pulls(self) -> np.ndarray:
        """Completions spent on refining each arm, ``(arms,)``."""
        return self._pulls[: len(self.programs)]

    def add(self, program: Program) -> bool:
        """Add an arm; return whether the program became one."""
        if not program.ran or program.code in self._codes:
            return False
        arm = len(self.programs)
        if arm == len(self._accuracy):
            self._accuracy = np.concatenate([self._accuracy, np.zeros(arm)])
            self._pulls = np.concatenate([self._pulls, np.zeros(arm)])
        self._accuracy[arm] = program.accuracy
        self._codes.add(program.code)
        self.programs.append(program)
        return True

    def spend(self, arms: Sequence[int], completions: int) -> None:
        """Count completions as spent on refining `arms`."""
        for arm in arms:
            self._pulls[arm] += completions
