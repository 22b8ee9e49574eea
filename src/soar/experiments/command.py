"""The command ``soar experiment``: arguments, nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

experiments = typer.Typer(help="Experiments with whole runs.", no_args_is_help=True, rich_markup_mode=None)

RESULTS = Path("experiments/results")

Config = Annotated[Path, typer.Argument(help="A TOML file with a section [experiment].", show_default=False)]
Seeds = Annotated[list[int] | None, typer.Option("--seed", help="Only this seed; repeatable.")]
Arms = Annotated[list[str] | None, typer.Option("--arm", help="Only this arm; repeatable.")]
Minutes = Annotated[
    float | None, typer.Option("--minutes", help="Stop after so long; run the same command again to resume.")
]
Report = Annotated[bool, typer.Option("--report", help="Only print the results so far.")]
Runs = Annotated[Path, typer.Option("--runs", help="The folder of the runs.")]
Out = Annotated[Path, typer.Option("--out", help="The file of results, a line for each search.")]


@experiments.command("learning")
def experiment_learning(
    config: Config,
    seeds: Seeds = None,
    arms: Arms = None,
    minutes: Minutes = None,
    report: Report = False,
    runs: Runs = Path("runs/experiments"),
    out: Out = RESULTS / "learning-cells.jsonl",
    figure: Annotated[Path | None, typer.Option("--figure", help="A folder for a picture, as SVG and PDF.")] = None,
) -> None:
    """Does learning help? Compares arms that share a first search. Run the same command again to resume."""
    from soar.experiments.learning import learning

    only = {"seeds": seeds or (), "arms": arms or (), "minutes": minutes, "report": report, "figure": figure}
    raise typer.Exit(learning(config, runs=runs, out=out, **only))


def _comparison(name: str) -> Callable[..., None]:
    def command(
        config: Config,
        seeds: Seeds = None,
        arms: Arms = None,
        minutes: Minutes = None,
        report: Report = False,
        runs: Runs = Path("runs/experiments"),
        out: Out = RESULTS / "comparison-cells.jsonl",
        write: Annotated[
            Path | None, typer.Option("--write", help="A folder for table and picture: Markdown, CSV, SVG, PDF.")
        ] = None,
        overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    ) -> None:
        from soar.experiments.learning import comparison

        only = {"seeds": seeds or (), "arms": arms or (), "minutes": minutes, "report": report, "write": write}
        raise typer.Exit(comparison(name, config, runs=runs, out=out, overrides=overrides or (), **only))

    return command


COMPARISONS = {
    "table-1": "One program, sampling, sampling and refining, learning.",
    "table-2": "Which programs to learn from.",
    "table-3": "Which refinements to learn from.",
    "table-4": "Sampling and refinement, learnt apart or together (Tables 4 and 7).",
    "table-5": "From the last search, or from all, pooled.",
    "figure-2": "Iteration after iteration, with learning and without.",
    "figure-3": "Test-time training, round after round.",
    "figure-5": "Score against programs, before learning and after.",
    "figure-6": "How different a task's programs are, search after search.",
    "figure-7": "Learning against searching on, by equal programs, tokens, FLOPs and CPU time.",
    "figure-10": "Several models vote together (experiment.models).",
}
"""The paper's comparisons that ship, and what each asks: read here, so that `--help` opens no file."""

for _name, _about in COMPARISONS.items():
    experiments.command(_name, help=_about)(_comparison(_name))
