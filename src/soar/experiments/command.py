"""The command ``soar experiment``: arguments, nothing else."""

from pathlib import Path
from typing import Annotated

import typer

experiments = typer.Typer(help="Experiments with whole runs.", no_args_is_help=True, rich_markup_mode=None)


@experiments.callback()
def _several() -> None:
    """Experiments with whole runs."""  # a callback keeps the verb's name where there is but one


@experiments.command("learning")
def experiment_learning(
    config: Annotated[Path, typer.Argument(help="A TOML file with a section [experiment].", show_default=False)],
    seeds: Annotated[list[int] | None, typer.Option("--seed", help="Only this seed; as often as needed.")] = None,
    arms: Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; as often as needed.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help="Stop then; the same command goes on.")] = None,
    report: Annotated[bool, typer.Option("--report", help="Only print what is there.")] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Where the runs lie.")] = Path("runs/experiments"),
    out: Annotated[Path, typer.Option("--out", help="The file of results, a line for each search.")] = Path(
        "experiments/results/learning-cells.jsonl"
    ),
) -> None:
    """Does learning help? Arms that share a first search; stopped or killed anywhere, the same command goes on."""
    from soar.experiments.learning import learning

    code = learning(config, runs=runs, out=out, seeds=seeds or (), arms=arms or (), minutes=minutes, report=report)
    raise typer.Exit(code)
