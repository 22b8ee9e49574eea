"""The verb that shows what runs reached: as tables, JSON, a page or figures. Like every verb, it imports what it needs
when it runs, so that `soar --help` waits for nothing."""

import json
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from soar.errors import ConfigError
from soar.files import printing
from soar.output import print_written


def report(
    run_dirs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--html", help="Write everything about one run to this file, as a self-contained page."),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="Also let the programs of all these runs vote together.")
    ] = False,
    figures: Annotated[
        Path | None, typer.Option("--figures", help="Write figures like the paper's into this folder.")
    ] = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="With --figures: also write tables like the paper's.")
    ] = False,
    stage: Annotated[
        str | None, typer.Option("--stage", help="Stage whose programs vote together (default: each run's last).")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Let programs vote otherwise: answer.key=value; repeatable.")
    ] = None,
) -> None:
    """Print what runs reached, one row per search; or write it as a page or as figures. Safe while runs are active."""
    if out is not None and (as_json or together or figures or len(run_dirs) != 1):
        raise ConfigError("--html FILE takes one run directory, without --json, --together or --figures")
    if figures is not None and (as_json or together):
        raise ConfigError(
            "--figures DIR takes neither --json nor --together: its figures of several runs include their joint vote"
        )
    if tables and figures is None:
        raise ConfigError("--tables goes with --figures DIR, which names the folder they are written to")
    if stage is not None and not together and (figures is None or len(run_dirs) < 2):
        raise ConfigError(
            "--stage names the stage whose programs vote together: it needs --together, or --figures with several runs"
        )
    vote = overrides or []
    if out is not None:
        _write_page(run_dirs[0], out, vote)
        return
    if figures is not None:
        _write_figures(run_dirs, figures, stage, tables, vote)
        return
    for run_dir in run_dirs:
        _print_searches(run_dir, as_json, vote)
    if together:
        _print_together(run_dirs, stage, as_json, vote)


def _print_searches(run_dir: Path, as_json: bool, vote: list[str]) -> None:
    """Print what each search of a run reached."""
    from rich.console import Console

    from soar import session
    from soar.report import metrics
    from soar.report.show import print_report

    with session.view_run(run_dir, vote) as view:
        found = metrics.report(view)
    with printing():
        if as_json:
            typer.echo(json.dumps(found))
        else:
            print_report(found["iterations"], found["leaks"], view.title, Console())


def _print_together(run_dirs: list[Path], stage: str | None, as_json: bool, vote: list[str]) -> None:
    """Print what several runs reach when their programs vote together."""
    from rich.console import Console

    from soar import session
    from soar.report.show_together import print_together
    from soar.report.together import together

    with ExitStack() as stack:
        found = together([stack.enter_context(session.view_run(run_dir, vote)) for run_dir in run_dirs], stage)
        with printing():
            if as_json:
                typer.echo(json.dumps(found.as_json()))
            else:
                print_together(found, Console())


def _write_figures(run_dirs: list[Path], folder: Path, stage: str | None, tables: bool, vote: list[str]) -> None:
    """Write the figures of runs, and tables if asked, into a folder."""
    from soar import session
    from soar.execute import refuse_run
    from soar.report.figures.write import write_figures

    asked = ["soar", "report", *map(str, run_dirs), *(["--tables"] if tables else []), "--figures", str(folder)]
    asked += ["--stage", stage] if stage else []
    asked += [word for override in vote for word in ("--set", override)]
    with ExitStack() as stack:
        views = [stack.enter_context(session.view_run(run_dir, vote)) for run_dir in run_dirs]
        for view in views:
            refuse_run(folder, view.path, view.places.values())
        free = {name for run_dir in run_dirs for name in session.free_of(run_dir)}
        made = write_figures(views, folder, shlex.join(asked), stage, free=free, tables=tables)
        print_written(folder / "figures.md", made)


def _write_page(run_dir: Path, out: Path, vote: list[str]) -> None:
    """Write a run's report as a page."""
    from soar import session
    from soar.execute import refuse_run
    from soar.report.html.page import write_page

    with session.view_run(run_dir, vote) as view:
        refuse_run(out, run_dir, view.places.values())
        print_written(out, write_page(view, out))
