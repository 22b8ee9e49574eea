"""A backend of your own: a language model that writes the same text, whatever it is asked.

soar run endpoint runs/mine --set lm.backend=soar.examples.my_backend:Parrot --set lm.text="$(cat completion.md)"
"""

from soar.settings import Section
from soar.types import Completion


class Parrot:
    class Settings(Section):
        text: str

    def __init__(self, settings: Settings) -> None:
        self.text, self.issued = settings.text, 0

    def open(self, weights):
        return self

    def fits(self, prompt, max_new_tokens):
        return True

    async def generate(self, prompt, seeds, sampling):
        self.issued += 1
        for index, _ in enumerate(seeds):
            yield index, Completion(self.text)

    def requests(self):
        return {"issued": self.issued, "retried": 0, "failed": 0}

    async def close(self):
        pass
