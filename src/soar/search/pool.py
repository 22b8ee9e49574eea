"""The arms of one bandit: distinct programs that may be refined, how promising each is, and how often it was pulled.

Knows nothing of how an arm is chosen. Pull counts follow from lineage: they are rebuilt by replaying the calls of an
island in order, never stored.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from soar.types import Program


class Pool:
    """Programs in order of arrival; identical texts are one arm, and failed programs are none (§3.2)."""

    def __init__(self, arms: Iterable[tuple[Program, float]] = ()) -> None:
        """Begin with programs and what the heuristic says of each, in their order."""
        self.programs: list[Program] = []
        self._codes: set[str] = set()
        self._heuristic = np.zeros(64)
        self._pulls = np.zeros(64)
        for program, heuristic in arms:
            self.add(program, heuristic)

    def __len__(self) -> int:
        return len(self.programs)

    @property
    def heuristic(self) -> np.ndarray:
        """How promising each arm is, from 0 to 1: its train accuracy in the paper, ``(arms,)``."""
        return self._heuristic[: len(self.programs)]

    @property
    def pulls(self) -> np.ndarray:
        """Completions spent on refining each arm, ``(arms,)``."""
        return self._pulls[: len(self.programs)]

    def add(self, program: Program, heuristic: float) -> bool:
        """Add an arm and how promising it is; return whether the program became one."""
        if not program.ran or program.code in self._codes:
            return False
        arm = len(self.programs)
        if arm == len(self._heuristic):
            self._heuristic = np.concatenate([self._heuristic, np.zeros(arm)])
            self._pulls = np.concatenate([self._pulls, np.zeros(arm)])
        self._heuristic[arm] = heuristic
        self._codes.add(program.code)
        self.programs.append(program)
        return True

    def spend(self, arms: Sequence[int], completions: int) -> None:
        """Count completions as spent on refining `arms`."""
        for arm in arms:
            self._pulls[arm] += completions
