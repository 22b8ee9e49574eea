"""The chat rendering: tasks, and parents with what they did, as messages in words (§3.2).

Knows no particular domain: its `Domain` says what values are and how they look. Reads no test output of a task.
"""

from collections.abc import Iterable, Sequence

from soar.prompts.extract import extract, fenced
from soar.protocols import Detail, Domain, Extraction, Reads
from soar.scoring import matches, verdicts
from soar.types import Example, Failure, Message, Output, Program, Task, Value

MAX_MESSAGE = 300
"""The most characters of a failure's message that a prompt shows."""

TASK_WORDS = (
    "You are an expert at programming by example. You are shown input-output pairs that all follow one hidden rule, "
    "and further inputs whose outputs are not shown. You write a Python program that carries out the rule."
)
PROGRAM_WORDS = (
    "Define a function `{signature}` that takes one input and returns its output, for the training inputs and the "
    "test inputs alike, without changing its argument. The standard library, numpy and scipy may be imported. "
    "Work out the rule; do not copy the outputs shown into the program. You may think first. "
    "Then give the whole program in one ```python block: the last block of your answer is what is run."
)
ASK_SAMPLE = "Find the rule that turns every training input into its output, and write the program."
ASK_REFINEMENT = (
    "Find out why the pairs that are not right come out as they do, and write a program that is right on all training "
    "pairs. Keep what is good, or begin anew if the idea is wrong."
)
ASK_ALTERNATIVE = (
    "Since all training pairs are right already, what remains open is whether the outputs for the test inputs are "
    "right too. Check whether they look as the rule wants them, and write a program that is right on all training "
    "pairs and carries the rule over to the test inputs more faithfully."
)
ASK_COMBINE = "Write one program that combines what is good in these and is right on all training pairs."


class Chat:
    """Renders for instruction-tuned models: a system message with the rules, a user message with the data."""

    writes: Reads = "chat"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def sampling(
        self, task: Task, few_shot: tuple[Task, str] | None = None, detail: Detail = Detail()
    ) -> tuple[Message, ...]:
        """Return the prompt for a program from scratch; `few_shot` is another task with a program that solves it."""
        parts = []
        if few_shot is not None:
            solved, code = few_shot
            parts += ["# A task that is solved already", *self._task(solved, detail), "Its program:", fenced(code)]
        parts += ["# The task", *self._task(task, detail), ASK_SAMPLE]
        return self._messages(parts)

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> tuple[Message, ...]:
        """Return the prompt for a better program than `parents`, with what each produced on every input."""
        parts = ["# The task", *self._task(task, detail)]
        for number, parent in enumerate(parents, 1):
            parts.append("# A program to improve" if len(parents) == 1 else f"# Program {number} to improve")
            parts += [fenced(parent.code), *self._feedback(task, parent, detail)]
        return self._messages([*parts, _ask(task, parents)])

    def completion(self, code: str) -> str:
        """Return the completion that gives `code`: one fenced block."""
        return fenced(code)

    def extract(self, text: str) -> Extraction:
        """Return the last closed code block outside reasoning tags that defines the function, or why there is none."""
        return extract(text, self._domain.signature)

    def details(self, task: Task) -> Sequence[Detail]:
        """Return everything; then fewer pairs, down to two; then two with verdicts only; then one without feedback."""
        fewer = [Detail(pairs=count) for count in range(len(task.train) - 1, 1, -1)]
        return [Detail(), *fewer, Detail(pairs=2, feedback="verdicts"), Detail(pairs=1, feedback="none")]

    def _messages(self, parts: Iterable[str]) -> tuple[Message, ...]:
        words = PROGRAM_WORDS.format(signature=self._domain.signature)
        rules = "\n\n".join([TASK_WORDS, self._domain.about, words])
        return (Message("system", rules), Message("user", "\n\n".join(parts)))

    def _task(self, task: Task, detail: Detail) -> list[str]:
        """Return one part per training pair shown, input before output, and one per test input; no test output."""
        pairs = task.train[: detail.pairs]
        train = [f"## Training pair {number}\n{self._pair(example)}" for number, example in enumerate(pairs, 1)]
        test = [f"## Test {number}\n{self._value('Input', e.input)}" for number, e in enumerate(task.test, 1)]
        return [*train, *test]

    def _pair(self, example: Example) -> str:
        return f"{self._value('Input', example.input)}\n{self._value('Output', example.output)}"

    def _value(self, title: str, value: Value) -> str:
        size = self._domain.shape(value)
        return f"{title} ({size}):\n{self._domain.show(value)}" if size else f"{title}:\n{self._domain.show(value)}"

    def _feedback(self, task: Task, parent: Program, detail: Detail) -> list[str]:
        """Return a summary and one part per pair shown: right, wrong with what came out, or failed with the error.

        A pair's verdict is given once, and follows from the training pair alone; for a test input only the output is
        shown.
        """
        if detail.feedback == "none":
            return []
        parts = [_summary(task, parent)]
        for number, (example, output) in enumerate(_shown(task, parent, detail), 1):
            parts.append(f"Training pair {number}: {self._verdict(example, output, detail)}")
        if detail.feedback == "full":
            for number, output in enumerate(parent.test, 1):
                parts.append(f"Test {number}: {self._test_output(output)}")
        return parts

    def _verdict(self, example: Example, output: Output, detail: Detail) -> str:
        if isinstance(output, Failure):
            return _failure(output)
        if matches(output, example.output):
            return "right."
        return "wrong." if detail.feedback == "verdicts" else f"wrong. {self._value('It produced', output)}"

    def _test_output(self, output: Output) -> str:
        if isinstance(output, Failure):
            return _failure(output)
        return f"verdict unknown. {self._value('It produced', output)}"


def _shown(task: Task, parent: Program, detail: Detail) -> list[tuple[Example, Output]]:
    """Return the training pairs that the prompt shows, each with the parent's output."""
    return list(zip(task.train, parent.train, strict=True))[: detail.pairs]


def _summary(task: Task, parent: Program) -> str:
    right, count = sum(verdicts(task.train, parent.train)), len(task.train)
    if right == count:
        return f"This program is right on all {count} training pairs."
    return f"This program is right on {right} of {count} training pairs."


def _ask(task: Task, parents: Sequence[Program]) -> str:
    """Return the request: for one parent it depends on whether that is right on all training pairs already."""
    if len(parents) > 1:
        return ASK_COMBINE
    return ASK_ALTERNATIVE if all(verdicts(task.train, parents[0].train)) else ASK_REFINEMENT


def _failure(failure: Failure) -> str:
    """Return a failure on one line: when, its type, where, and its message cut to `MAX_MESSAGE` characters."""
    when = {"load": "failed while being loaded", "run": "failed", "result": "gave an unusable result"}[failure.stage]
    line = "" if failure.line is None else f" in line {failure.line}"
    source = f" `{_one_line(failure.source_line)}`" if failure.source_line else ""
    message = _one_line(failure.message)
    return f"{when}. {failure.type}{line}{source}" + (f": {message}" if message else ".")


def _one_line(text: str) -> str:
    """Return the text without line breaks, cut to `MAX_MESSAGE` characters."""
    joined = " ".join(text.split())
    return joined if len(joined) <= MAX_MESSAGE else f"{joined[: MAX_MESSAGE - 1]}…"
