"""Programs made up for tests: what they did is said, not run."""

from collections.abc import Sequence

from hypothesis import strategies as st

from soar.domains.arc.domain import Arc
from soar.domains.arc.filters import is_hard_coded
from soar.learning.curate import CURATORS, PAIRINGS
from soar.learning.dedup import DEDUPLICATIONS
from soar.learning.select import Teaching
from soar.learning.settings import LearningSettings
from soar.prompts.chat import Chat
from soar.scoring import accuracy
from soar.types import Example, Failure, Origin, Output, Program, Task

FAILURE = Failure("ValueError", "no")


def cell(number: int) -> tuple[tuple[int]]:
    return ((number,),)


TASK = Task(
    "t",
    tuple(Example(((place,) * 3,), ((9, place, 9),)) for place in range(4)),
    (Example(((8, 8, 8),), ((9, 8, 9),)), Example(((7, 7, 7),), ((9, 7, 9),))),
)
"""Four training pairs and two test pairs, all different."""


def made(
    name: int,
    train: Sequence[Output],
    test: Sequence[Output],
    *,
    task: Task = TASK,
    code: str | None = None,
    parents: tuple[str, ...] = (),
) -> Program:
    return Program(
        Origin("s", 0, task.id, "refine" if parents else "sample", 0, 0, name),
        f"def transform(grid):\n    return {name}" if code is None else code,
        tuple(train),
        tuple(test),
        accuracy(task, train),
        parents,
    )


def acting(name: int, train_right: int, test_right: int = 0, wrong: int = 0, **more) -> Program:
    """A program that is right on the first pairs; elsewhere it gives one cell `wrong`."""
    train = [e.output if i < train_right else cell(wrong) for i, e in enumerate(TASK.train)]
    test = [e.output if i < test_right else cell(wrong) for i, e in enumerate(TASK.test)]
    return made(name, train, test, **more)


def programs(min_size: int = 0, max_size: int = 30, failing: bool = False) -> st.SearchStrategy[list[Program]]:
    """Lists of programs of a few behaviours, each with a name and a text of its own or shared."""
    acts = st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 3), st.integers(0, 5), st.booleans())

    def make(name: int, act: tuple[int, int, int, int, bool]) -> Program:
        train_right, test_right, wrong, text, fails = act
        program = acting(name, train_right, test_right, wrong, code=f"def transform(g):\n    return {'1' * text}")
        return made(name, program.train, (FAILURE, *program.test[1:])) if failing and fails else program

    return st.lists(acts, min_size=min_size, max_size=max_size).map(
        lambda many: [make(name, act) for name, act in enumerate(many)]
    )


def teaching(closeness=None, **changes) -> Teaching:
    """How examples are made of ARC tasks in chat prompts, with the default settings but for `changes`."""
    settings = LearningSettings(**changes)
    return Teaching(
        settings=settings,
        rendering=Chat(Arc()),
        filters={"hard-coded": is_hard_coded},
        deduplicate=DEDUPLICATIONS[settings.deduplicate],
        curator=CURATORS[settings.curator],
        pairing=PAIRINGS[settings.pairing],
        closeness=closeness,
    )
