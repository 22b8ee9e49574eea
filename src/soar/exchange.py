"""The verbs that move answers, programs and finetuned models out of runs, and programs into one. Like all verbs they
import what they need when they run."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from soar.errors import ConfigError
from soar.files import printing
from soar.output import print_written


def export(
    run_dir: Annotated[Path, typer.Argument(help="The run directory.", show_default=False)],
    answers: Annotated[
        Path | None, typer.Option("--submission", help="Write the answers here, in ARC Prize's format.")
    ] = None,
    programs: Annotated[
        Path | None, typer.Option("--programs", help="Write the programs here, one per line; FILE.parquet as a table.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="Write the programs as a new folder for Hugging Face, with a card.")
    ] = None,
    challenges: Annotated[
        Path | None, typer.Option("--challenges", help="With --submission: answer every task of this challenge file.")
    ] = None,
    others: Annotated[
        list[Path] | None, typer.Option("--with", help="With --submission: this run's programs vote too; repeatable.")
    ] = None,
    stage: Annotated[str | None, typer.Option("--stage", help="The stage to export (default: the last).")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="With --submission: let programs vote otherwise, answer.key=value; repeatable."),
    ] = None,
) -> None:
    """Write a run's answers or programs to a file; safe while the run is active."""
    from soar import session
    from soar.execute import refuse_run
    from soar.report.dataset import write_dataset, write_parquet
    from soar.report.export import write_programs, write_submission

    given = [each for each in (answers, programs, dataset) if each]
    if len(given) != 1 or ((challenges or others or overrides) and not answers):
        raise ConfigError(
            "give one of --submission FILE, --programs FILE and --dataset DIR;"
            " --challenges, --with and --set need --submission"
        )
    with ExitStack() as stack:
        vote, paths = overrides or (), (run_dir, *(others or ()))
        view, *more = (stack.enter_context(session.view_run(path, vote)) for path in paths)
        for each in (view, *more):
            refuse_run(given[0], each.path, [*each.places.values(), *([str(challenges)] if challenges else [])])
        if answers:
            told = write_submission(view, answers, stage, str(challenges) if challenges else None, more)
        elif programs:
            told = (write_parquet if programs.suffix == ".parquet" else write_programs)(view, programs, stage)
        else:
            told = write_dataset(view, given[0], stage)
        print_written(given[0], told)


def begin_with_programs(
    programs: Annotated[Path, typer.Argument(help="Lines of JSON, a .parquet file, or a folder of these.")],
    config: Annotated[Path, typer.Argument(help="A TOML file, or a name that `soar init` lists.")],
    run_dir: Annotated[Path, typer.Argument(help="The run directory to start.")],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeatable.")] = None,
) -> None:
    """Start a run with programs from elsewhere in place of its first search: to look at them, or to learn from them."""
    import asyncio

    from soar.config import load_config
    from soar.importing import import_programs, told

    def say(line: str) -> None:
        with printing():
            typer.echo(line)

    found = asyncio.run(import_programs(programs, load_config(config, overrides or ()), run_dir, say))
    say(told(found, run_dir, config))


def finetune(
    runs: Annotated[list[Path], typer.Option("--from", help="A run directory, repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="A new folder for the model.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", help="A TOML file with the model and how it learns (default: the first run's)."),
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeatable.")] = None,
) -> None:
    """Finetune a model on the programs of all searches of some runs ("all train"); a run can then start with it."""
    import asyncio

    from soar import finetuning
    from soar.config import load_config
    from soar.places import as_overrides, standing
    from soar.run import RunDirectory

    def say(line: str) -> None:
        with printing():
            typer.echo(line)

    given = overrides or []
    if config is None:
        RunDirectory(runs[0]).config()  # raises if it is not a run directory
        places = standing(RunDirectory(runs[0]).manifest().get("places", {}))
        config = runs[0] / "config.toml"
        # Another backend's model is not where that of the run is.
        if not any(each.startswith("lm.backend") for each in given):
            given = [*as_overrides({name: place for name, place in places.items() if name.startswith("lm.")}), *given]
    settings = load_config(config, given)
    say(finetuning.told(asyncio.run(finetuning.finetune(runs, settings, out, say))))
