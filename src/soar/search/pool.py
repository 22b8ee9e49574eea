"""The arms of one bandit: distinct programs that may be refined, how promising each is, and how often it was pulled.

Does not know how an arm is chosen. Pull counts follow from lineage: they are never stored, but rebuilt by replaying an
island's calls in order.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from soar.types import Program


class Pool:
    """Programs in order of arrival; identical texts share an arm, and failed programs have none (§3.2)."""

    def __init__(self, arms: Iterable[tuple[Program, float]] = ()) -> None:
        """Start with programs and their heuristic values, in order."""
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
        """Add a program with its heuristic value; return whether it became an arm."""
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
