"""What a language model is to the search: a prompt and seeds in, completions out as they arrive."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from soar.types import Completion, Prompt, Sampling


class LanguageModel(Protocol):
    """Holds a model or a connection open. Safe to call from many tasks of one event loop at once."""

    def fits(self, prompt: Prompt, max_new_tokens: int) -> bool:
        """Return whether the prompt and that many new tokens fit the context (True where it cannot be known)."""
        ...

    def generate(
        self, prompt: Prompt, seeds: Sequence[int], sampling: Sampling
    ) -> AsyncIterator[tuple[int, Completion]]:
        """Yield one completion per seed as ``(index into seeds, completion)``, each once it is there, in any order.

        What was yielded is paid for and stored by the caller at once; an error afterwards loses nothing. Where the
        backend can, a completion depends on its own seed and not on its neighbours; those that `sampling` wants
        distinct follow from the first seed together. Raises `PromptTooLong` before anything is generated,
        `EndpointError` when the rest will not come.
        """
        ...

    def requests(self) -> dict[str, int]:
        """Return the calls made so far: ``{"issued": n, "retried": n, "failed": n}``."""
        ...

    async def close(self) -> None:
        """Release memory, threads and connections."""
        ...
