"""Decodes the samples of several prompts side by side: which join, which token each gets, which leave.

Knows token ids; knows neither text nor threads. `CachedModel` hides what a model computes.

**Exactness.** A row of a matrix product has the same bits whatever the other rows hold, as long as their number is
right: for 32-bit floats on a CPU, a multiple of four (docs/transformers.md). So each prompt's samples occupy a multiple
of `granule` rows. Finished samples stay as padding until a whole granule of them can go.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soar.lm.transformers.draw import draw, numbers

GRANULE = 4
"""Among any multiple of this many rows, a row of a matrix product has the same bits: float32 on a CPU."""


@torch.inference_mode()
def rows_are_alike(model: Any, most: int) -> bool:
    """Return whether a row of a matrix product has the same bits among any multiple of `GRANULE` rows, up to `most`.

    Tried on one weight of each shape in the model, on a CPU in 32-bit floats; False elsewhere, where it is not
    expected.
    """
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    weights = {tuple(weight.shape): weight for weight in model.parameters() if weight.dim() == 2}
    rng = torch.Generator().manual_seed(0)
    for weight in weights.values():
        rows = torch.randn((max(most, GRANULE), weight.shape[1]), generator=rng)
        together = rows @ weight.T
        counts = {GRANULE, 2 * GRANULE, most // 2 // GRANULE * GRANULE or GRANULE}
        if any(not torch.equal(rows[-count:] @ weight.T, together[-count:]) for count in counts):
            return False
    return True


class Group(Protocol):
    """Samples of one prompt, as the model holds them: `rows` of them."""

    rows: int

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only some of the rows."""
        ...


class CachedModel(Protocol):
    """A model that reads prompts and decodes samples side by side, with a cache of what it has read."""

    def read(self, prompt: tuple[int, ...]) -> Any:
        """Return the state after a prompt; its ``logits`` are those of the next token."""
        ...

    def begin(self, prefix: Any, rows: int) -> Any:
        """Return the `Group` of this many new samples of a prompt."""
        ...

    def step(self, groups: Sequence[Any], tokens: Sequence[int]) -> Tensor:
        """Append a token to every row of the groups; return the logits of the next ones, ``(rows, vocabulary)``."""
        ...

    def forget(self) -> None:
        """Free the cached prompts."""
        ...


@dataclass(frozen=True, eq=False)
class Job:
    """Samples of one prompt to decode: their indices in the caller's request, each with its seed. ``tag`` is the
    caller's."""

    prompt: tuple[int, ...]
    samples: tuple[tuple[int, int], ...]
    temperature: float
    min_p: float
    max_new_tokens: int
    tag: Any = None


@dataclass(frozen=True)
class Done:
    """A decoded sample: its tokens without the one that ended it, and whether it ended itself or was cut off."""

    job: Job
    index: int
    tokens: tuple[int, ...]
    finish_reason: str


@dataclass(eq=False)
class _Sample:
    index: int
    seed: int
    numbers: NDArray[np.float64]
    tokens: list[int] = field(default_factory=list)


@dataclass(eq=False)
class _Run:
    """A job being decoded. A row without a sample is padding."""

    job: Job
    group: Any
    rows: list[_Sample | None]

    @property
    def live(self) -> list[_Sample]:
        """The samples that are not finished."""
        return [sample for sample in self.rows if sample is not None]


class Decoder:
    """A batch of samples being decoded. Use from one thread."""

    def __init__(self, model: CachedModel, stops: frozenset[int], granule: int) -> None:
        """Decode until one of the tokens `stops`, in multiples of `granule` rows."""
        self._model = model
        self._stops = stops
        self.granule = granule
        self._runs: list[_Run] = []

    @property
    def rows(self) -> int:
        """How many rows the batch has, padding included."""
        return sum(len(run.rows) for run in self._runs)

    @property
    def tokens(self) -> int:
        """How many tokens the batch may come to hold, without prompts."""
        return sum(len(run.rows) * run.job.max_new_tokens for run in self._runs)

    def padded(self, samples: int) -> int:
        """Return how many rows this many samples of one prompt occupy."""
        return -(-samples // self.granule) * self.granule

    def admit(self, job: Job) -> list[Done]:
        """Read a prompt and draw the first token of its samples; return those that it finishes."""
        prefix = self._model.read(job.prompt)
        rows: list[_Sample | None] = [None] * self.padded(len(job.samples))
        for row, (index, seed) in enumerate(job.samples):
            rows[row] = _Sample(index, seed, numbers(seed, job.max_new_tokens))
        run = _Run(job, self._model.begin(prefix, len(rows)), rows)
        done = self._grow([run], prefix.logits.expand(len(rows), -1))
        self._runs += [run] if run.rows else []
        return done

    def step(self) -> list[Done]:
        """Decode one more token of every sample, and return the samples that it finishes."""
        if not self._runs:
            return []
        tokens = [row.tokens[-1] if row else 0 for run in self._runs for row in run.rows]
        done = self._grow(self._runs, self._model.step([run.group for run in self._runs], tokens))
        self._runs = [run for run in self._runs if run.rows]
        return done

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Drop the jobs that are no longer needed."""
        self._runs = [run for run in self._runs if not unwanted(run.job)]

    def give_up(self) -> list[Job]:
        """Empty the batch; return jobs for its unfinished samples, to be decoded again."""
        runs, self._runs = self._runs, []
        return [Job(**{**vars(r.job), "samples": tuple((s.index, s.seed) for s in r.live)}) for r in runs]

    def _grow(self, runs: Sequence[_Run], logits: Tensor) -> list[Done]:
        """Draw the next token of every sample; remove and return those that it finishes."""
        rows = [(run.job, row) for run in runs for row in run.rows]
        live = [(place, job, row) for place, (job, row) in enumerate(rows) if row]
        if len(live) < len(rows):  # exact on a GPU, a small request's rows are mostly padding
            logits = logits.index_select(0, torch.tensor([place for place, _, _ in live], device=logits.device))
        places = [row.numbers[len(row.tokens)] for _, _, row in live]
        temperatures, min_p = [job.temperature for _, job, _ in live], [job.min_p for _, job, _ in live]
        tokens = iter(draw(logits, places, temperatures, min_p))
        return [done for run in runs for done in self._ended(run, [next(tokens) if row else 0 for row in run.rows])]

    def _ended(self, run: _Run, tokens: Sequence[int]) -> list[Done]:
        """Give each sample its token, and return those that it finishes."""
        done = []
        for place, (sample, token) in enumerate(zip(run.rows, tokens, strict=True)):
            if sample is None:
                continue
            if token not in self._stops:
                sample.tokens.append(token)
            if token in self._stops or len(sample.tokens) == run.job.max_new_tokens:
                reason = "stop" if token in self._stops else "length"
                done.append(Done(run.job, sample.index, tuple(sample.tokens), reason))
                run.rows[place] = None
        self._compact(run)
        return done

    def _compact(self, run: _Run) -> None:
        """Remove rows of padding, a granule at a time."""
        wanted = self.padded(len(run.live))
        if wanted < len(run.rows):
            places = sorted(range(len(run.rows)), key=lambda place: run.rows[place] is None)[:wanted]
            run.rows = [run.rows[place] for place in places]
            if places:
                run.group.keep(places)
