"""A rendering of your own: few words, for models so small that they get lost in long prompts.

soar run smollm2 runs/smollm2 --set lm.model=FILE.gguf
"""

from collections.abc import Sequence

from soar.prompts.extract import extract, fenced
from soar.protocols import Detail, Domain, Extraction, Reads
from soar.types import Message, Program, Task


class Brief:
    writes: Reads = "chat"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def sampling(self, task: Task, few_shot: object = None, detail: Detail = Detail()) -> tuple[Message, ...]:
        show, pairs = self._domain.show, task.train[: detail.pairs]
        return self._ask("Write", [f"{show(e.input)} becomes {show(e.output)}" for e in pairs])

    def refinement(self, task: Task, parents: Sequence[Program], detail: Detail = Detail()) -> tuple[Message, ...]:
        show, outputs = self._domain.show, list(zip(task.train, parents[0].train, strict=True))[: detail.pairs]
        wrong = [f"{show(e.input)} became {show(y)}, not {show(e.output)}" for e, y in outputs if y != e.output]
        return self._ask("Improve", [fenced(parents[0].code), *wrong])

    def completion(self, code: str) -> str:
        return fenced(code)

    def extract(self, text: str) -> Extraction:
        return extract(text, self._domain.signature)

    def details(self, task: Task) -> Sequence[Detail]:
        return [Detail(pairs=4), Detail(pairs=2), Detail(pairs=1)]

    def _ask(self, verb: str, lines: Sequence[str]) -> tuple[Message, ...]:
        asked = f"{verb} the Python function `{self._domain.signature}`. Answer with the code alone."
        return (Message("user", "\n".join([asked, *lines])),)
