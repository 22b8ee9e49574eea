"""The command line: verbs, their arguments and exit codes; nothing else. A verb imports what it needs when it runs."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from soar.errors import SoarError

app = typer.Typer(
    name="soar",
    help="Program synthesis by a language model that learns from its own search. --debug shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes would import rich.markdown, half of the time that help takes
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RunDir = Annotated[Path, typer.Argument(help="The run directory.", show_default=False)]


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A TOML file; examples lie in configs/.", show_default=False)],
    run_dir: Annotated[Path, typer.Argument(help="Where everything goes; a begun run goes on.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, as often as needed.")] = None,
) -> None:
    """Search, learn, search again. The same command on the same directory goes on where it stopped."""
    import asyncio

    from rich.console import Console

    from soar import session
    from soar.config import load_config
    from soar.report.show import show_run

    settings = load_config(config, overrides or [])
    console = Console()
    console.print(f"run directory: {run_dir}", highlight=False, soft_wrap=True)
    worked = asyncio.run(session.run(settings, run_dir, console))
    if not worked:
        said = f"{run_dir} resumed: the run was finished already, nothing was left to do"
        console.print(said, highlight=False, soft_wrap=True)
    with session.view_run(run_dir) as view:
        show_run(view, console)


@app.command()
def report(run_dirs: Annotated[list[Path], typer.Argument(help="Run directories.")], as_json: Json = False) -> None:
    """Print what runs reached: one row per search."""
    from rich.console import Console

    from soar import session
    from soar.report import metrics
    from soar.report.show import report_table

    for run_dir in run_dirs:
        with session.view_run(run_dir) as view:
            found = metrics.report(view)
        if as_json:
            typer.echo(json.dumps(found))
        else:
            Console().print(report_table(found, str(run_dir)))


@app.command()
def status(run_dir: RunDir, as_json: Json = False) -> None:
    """Print where a run stands; safe while it goes on."""
    from soar.report.snapshot import line
    from soar.session import read_status

    now = read_status(run_dir)
    if as_json:
        typer.echo(json.dumps(now.as_json() if now else None))
    else:
        typer.echo(line(now) if now else "not begun")


@app.command("exec")
def exec_(
    programs: Annotated[Path, typer.Argument(help="PROGRAMS.jsonl; with --task one program.py.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", help="RESULTS.jsonl (default: standard output).")] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="A set, folder or file of tasks (default: both ARC-AGI-1 sets).")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Run one program.py on the task with this id.")] = None,
    domain: Annotated[
        str, typer.Option("--domain", help='The tasks\' domain: a name, or "package.module:name".')
    ] = "arc",
) -> None:
    """Run programs on tasks in the sandbox and say what each did on every input."""
    from soar.execute import execute_file, execute_one

    if task is not None:
        typer.echo(json.dumps(execute_one(programs, task, tasks, domain)))
    else:
        execute_file(programs, out, tasks, domain)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this machine: the sandbox's level, Python, SQLite, disk, threads."""
    from soar.doctor import examine

    found: dict[str, Any] = examine()
    if as_json:
        typer.echo(json.dumps(found))
    else:
        for name, value in found.items():
            typer.echo(f"{name}: {value}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return or exit with the code of `soar.errors`, with one message on standard error.

    ``--debug``, anywhere, shows the traceback of an error.
    """
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    try:
        app([argument for argument in given if argument != "--debug"])
    except SoarError as error:
        if debug:
            raise
        typer.echo(f"soar: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("soar: interrupted; the same command goes on", err=True)
        sys.exit(75)
    return 0
