"""A voter of your own: one vote for each program, whatever its training pairs say; of two equally frequent answers, the
one of the shorter program.

soar run demo runs/mine --set answer.voter=soar.examples.my_voter:one_each
"""

from collections.abc import Sequence

from soar.ensemble import Ballot, groups_of
from soar.types import Program


def one_each(programs: Sequence[Program]) -> list[Ballot]:
    ballots = [
        (min(len(program.code) for program in group), Ballot(group[0].test, float(len(group)), len(group), key))
        for key, group in groups_of(programs).items()
    ]
    return [ballot for _, ballot in sorted(ballots, key=lambda each: (-each[1].votes, each[0], each[1].key))]
