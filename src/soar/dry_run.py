"""`soar run --dry-run`: checks what a run needs, as the run itself would, and estimates what it will take. Writes
nothing.

Knows the parts of a run, and where to read sizes and measured speeds; `soar.report.estimate` does the arithmetic.
Loads no weights and asks no endpoint, so it does not find out whether the model loads or answers.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from soar.archive.reader import ArchiveReader
from soar.budget import Tokens
from soar.config import Config
from soar.errors import DataError
from soar.import_note import imported_search
from soar.learning.trainers.memory import Shape, estimate, read_shape
from soar.learning.trainers.settings import FinetuneSettings
from soar.method import rendering_of
from soar.report.estimate import (
    Figure,
    Measured,
    SearchEstimate,
    disk_figure,
    examples_of_step,
    finetune_figures,
    finetune_memory_figure,
    hours_figures,
    inference_figure,
    limit_lines,
    search_estimate,
    total_figures,
)
from soar.report.prompt_sizes import PromptSizes, drawn, prompt_sizes, token_count
from soar.run import RunDirectory, Step
from soar.session import Parts, try_parts

UNTRIED = "loading the model, asking an endpoint, finetuning"


@dataclass(frozen=True)
class DryRun:
    """What was checked, by name of the part; what each search takes; and the figures for the whole run."""

    checked: Mapping[str, str]
    searches: Sequence[SearchEstimate]
    prompts: Sequence[str]
    figures: Sequence[Figure]
    limits: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, the figures keyed by name."""
        figures = {f.name: {"value": f.value, "unit": f.unit, "how": f.how} for f in self.figures}
        return {
            "version": 1,
            "checked": dict(self.checked),
            "not_tried": UNTRIED,
            "searches": [asdict(search) for search in self.searches],
            "prompts": list(self.prompts),
            "figures": figures,
            "limits": list(self.limits),
        }


def dry_run(config: Config, path: Path | None = None) -> DryRun:
    """Check all parts and estimate what a run will take; raises the errors that the run itself would.

    `path` may be the directory of an existing run: its finished searches then tell how long the rest takes.
    """
    parts = asyncio.run(try_parts(config, path))
    measured = measured_in(path, parts.method.steps) if path is not None else Measured()
    return estimated(config, parts, measured, path or Path())


def estimated(config: Config, parts: Parts, measured: Measured, where: Path) -> DryRun:
    """Estimate what a run with these opened parts will take; `where` is on the disk that it will fill."""
    folder: Path | None = getattr(parts.backend, "folder", None)
    # A model in this process counts the prompt with every completion, a server only once per request.
    repeated = folder is not None and config.lm.backend not in ("openai", "served")
    folder = folder if folder is not None and folder.is_dir() else None
    shape = _shape(folder, config.lm.backend)
    sizes, counted = _prompt_sizes(config, parts, folder, None if isinstance(shape, str) else shape.context)
    finetune = config.finetune if isinstance(config.finetune, FinetuneSettings) else None
    tasks = {name: len(found) for name, found in parts.tasks.items()}
    known = config.search, config.sampling, finetune
    examples = (
        examples_of_step(parts.method.steps, step, tasks, config.learning, config.search) for step in parts.method.steps
    )
    searches = [
        search_estimate(step, tasks[step.stage.name], count, sizes[step.stage.name], *known, repeated=repeated)
        for step, count in zip(parts.method.steps, examples, strict=True)
    ]
    figures = [
        *total_figures(searches, config.search.enough, counted, repeated=repeated, prices=config.budget),
        *finetune_figures(searches, config.finetune.trainer),
        *_memory_figures(config, shape, finetune, sizes, searches),
        _disk_figure(shape, finetune, searches, where),
        *hours_figures(searches, measured),
    ]
    limits = limit_lines(config.budget, searches, {figure.name: figure for figure in figures})
    return DryRun(_checked(config, parts, searches), searches, _prompt_lines(sizes, parts), figures, limits)


def _checked(config: Config, parts: Parts, searches: Sequence[SearchEstimate]) -> dict[str, str]:
    """Return the names of the opened parts."""
    learns = any(search.examples for search in searches)
    return {
        "domain": config.tasks.domain,
        "backend": config.lm.backend,
        "rendering": rendering_of(config, parts.backend),
        "executor": config.executor.kind,
        **({"trainer": config.finetune.trainer} if learns else {}),
    }


def _shape(folder: Path | None, backend: str) -> Shape | str:
    """Return the shape of the model in a folder, or why it is unknown."""
    if folder is None:
        return f'lm.backend = "{backend}" has no folder with a model on this machine'
    try:
        return read_shape(folder)
    except DataError as error:
        return str(error)


def _prompt_sizes(
    config: Config, parts: Parts, folder: Path | None, context: int | None
) -> tuple[dict[str, PromptSizes], str]:
    """Return the sizes of prompts by stage, and a phrase that says how they were counted."""
    count, counter = token_count(folder)
    caps = [cap for cap in (context, getattr(config.lm, "context", None)) if cap]
    sizes = {
        name: prompt_sizes(
            parts.method.search.rendering,
            drawn(tasks, config.seed),
            count,
            signature=parts.domain.signature,
            sample_tokens=config.sampling.sample_tokens,
            refine_tokens=config.sampling.refine_tokens if config.search.refinements else None,
            context=min(caps, default=None),
            few_shot=config.prompt.few_shot,
        )
        for name, tasks in parts.tasks.items()
    }
    number = sum(each.counted for each in sizes.values())
    how = f"by {counter}, over sampling prompts of {number} tasks"
    how += ", and refinement prompts with a made-up wrong parent" if config.search.refinements else ""
    chat = getattr(parts.method.search.rendering, "writes", "chat") == "chat"
    return sizes, how + (", without what a chat template adds" if chat else "")


def _prompt_lines(sizes: Mapping[str, PromptSizes], parts: Parts) -> list[str]:
    """Return one line per stage: how long its prompts are, and how many do not fit."""
    lines = []
    for name, each in sizes.items():
        parts_of_it = [
            f"{name}: counted prompts of {each.counted} of {len(parts.tasks[name])} tasks: {each.sampling:.0f} tokens"
            " to sample",
            *([f"{each.refinement:.0f} to refine"] if each.refinement else []),
            f"the longest {each.longest}",
            *([f"{each.shortened} are shortened to fit"] if each.shortened else []),
            *([f"{each.unsent} do not fit in any form"] if each.unsent else []),
        ]
        lines.append(", ".join(parts_of_it))
    return lines


def _memory_figures(
    config: Config,
    shape: Shape | str,
    finetune: FinetuneSettings | None,
    sizes: Mapping[str, PromptSizes],
    searches: Sequence[SearchEstimate],
) -> list[Figure]:
    """Return the memory that searching and finetuning take; `shape` may be the reason why that is unknown."""
    learns = any(search.examples for search in searches)
    if isinstance(shape, str):
        said = [inference_figure(shape, number=0, batch=None, new=0, prompt=0, device="CPU or GPU", free=None)]
        more = [finetune_memory_figure(shape, device="CPU or GPU", what="", free=None)] if learns else []
        return said + more
    device, free = _device(getattr(config.lm, "device", "auto" if config.lm.backend == "served" else "cpu"))
    dtype = getattr(config.lm, "dtype", "auto")  # "auto" loads bfloat16 on a GPU, float32 on a CPU
    number = 2 if dtype == "bfloat16" or (dtype == "auto" and device == "GPU") else 4
    figure = inference_figure(
        shape,
        number=number,
        batch=getattr(config.lm, "batch", None),
        new=max(config.sampling.sample_tokens, config.sampling.refine_tokens if config.search.refinements else 0),
        prompt=max((each.longest for each in sizes.values()), default=0),
        device=device,
        free=free,
    )
    if not learns:
        return [figure]
    if finetune is None:
        reason = f'finetune.trainer = "{config.finetune.trainer}" has settings of its own'
        return [figure, finetune_memory_figure(reason, device=device, what="", free=None)]
    return [figure, _finetune_memory(shape, finetune, *_device("auto"), config.sampling.sample_tokens)]


def _device(name: str) -> tuple[str, int]:
    """Return whether a device is a CPU or a GPU, and its free bytes."""
    from soar.lm.transformers.load import device_of, free_bytes

    device = device_of(name)
    return "CPU" if device.type == "cpu" else "GPU", free_bytes(device)


def _finetune_memory(shape: Shape, settings: FinetuneSettings, device: str, free: int, completion: int) -> Figure:
    """Return the memory that finetuning takes. Only completion positions are scored; a CPU keeps all activations."""
    from soar.learning.trainers.precision import has_fast_bf16

    memory = estimate(
        shape,
        method=settings.method,
        rank=settings.rank,
        batch_size=settings.batch_size,
        length=settings.max_length,
        bf16=settings.dtype == "bfloat16" and has_fast_bf16("cpu" if device == "CPU" else "cuda"),
        gpu=device == "GPU",
        scored=completion,
    )
    kind = settings.method if settings.method == "full" else f"{settings.method} of rank {settings.rank}"
    what = f"{kind}, {settings.batch_size} × {settings.max_length} tokens at once"
    return finetune_memory_figure(memory, device=device, what=what, free=free)


def _disk_figure(
    shape: Shape | str, finetune: FinetuneSettings | None, searches: Sequence[SearchEstimate], where: Path
) -> Figure:
    there = next(folder for folder in (where.absolute(), *where.absolute().parents) if folder.is_dir())
    learns = any(search.examples for search in searches)
    found = shape if finetune or isinstance(shape, str) else "the trainer has settings of its own"
    return disk_figure(
        searches,
        found if learns else None,
        method=finetune.method if finetune else "full",
        rank=finetune.rank if finetune else 0,
        free=shutil.disk_usage(there).free,
    )


def measured_in(path: Path, plan: Sequence[Step]) -> Measured:
    """Return what a run directory's finished searches, and the finetunings before them, took; an imported one took
    nothing of the model."""
    directory = RunDirectory(path)
    if not directory.archive.exists():
        return Measured()
    reader = ArchiveReader(directory.archive)
    try:
        rows, imported = reader.iterations(), imported_search(directory, plan)
        finished = {key: row for row in rows if row.finished and (key := (row.stage, row.iteration)) != imported}
        totals = {key: reader.totals(*key) for key in finished}
    finally:
        reader.close()
    spent = [Tokens(found.prompt_tokens, found.completion_tokens) for found in totals.values()]
    learnt = {
        step.key: sum(map(_lines, files))
        for step in plan
        if step.key in finished and (files := directory.examples(step.number))
    }
    return Measured(
        searches=len(finished),
        completions=sum(sum(found.statuses.values()) for found in totals.values()),
        completion_tokens=sum(each.completion for each in spent),
        seconds=sum(row.seconds for row in finished.values()),
        examples=sum(learnt.values()),
        finetune_seconds=sum(finished[key].finetune_seconds for key in learnt),
    )


def _lines(file: Path) -> int:
    with file.open(encoding="utf-8") as lines:
        return sum(1 for _ in lines)


SEARCH_COLUMNS = ("stage", "iteration", "tasks", "requests", "completions", "examples", "steps")


def show(found: DryRun, console: Console) -> None:
    """Print a dry run: what was checked, a table of searches, a table of figures, the limits."""
    checked = ", ".join(f"{name} {value}" for name, value in found.checked.items())
    for line in (f"checked: {checked}", f"not tried: {UNTRIED}"):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    searches = Table(box=box.SIMPLE, padding=0)
    for name in SEARCH_COLUMNS:
        searches.add_column(name, justify="left" if name == "stage" else "right")
    for search in found.searches:
        values = (getattr(search, name) for name in SEARCH_COLUMNS)
        searches.add_row(*("?" if value is None else str(value) for value in values))
    console.print(searches)
    figures = Table(box=box.SIMPLE, padding=0)
    figures.add_column("whole run", no_wrap=True)
    figures.add_column("", justify="right", no_wrap=True)
    figures.add_column("how it was estimated")
    for figure in found.figures:
        figures.add_row(*(Text(text) for text in (figure.name, _shown(figure), figure.how)))
    console.print(figures)
    for line in (*found.prompts, *found.limits):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _shown(figure: Figure) -> str:
    if figure.value is None:
        return "?"
    whole = figure.unit == "" and float(figure.value).is_integer()
    return f"{figure.value:,.0f}" if whole else f"{figure.value:,.2f} {figure.unit}".rstrip()
