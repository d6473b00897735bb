"""The `openpersonalize` command."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipelines.platform import cli_access, cli_care, cli_declaring, cli_experiments, cli_looking, cli_versions
from pipelines.platform.terminal import console, errors, fail, one_line_errors, running, with_database
from pipelines.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Amazon Personalize on your own machines. OPENPERSONALIZE_HOME, OPENPERSONALIZE_CONTROL_PORT and "
    "OPENPERSONALIZE_RUNTIME_PORT say which platform is meant.",
)
app.add_typer(cli_looking.app)
app.add_typer(cli_versions.app)
app.add_typer(cli_care.app)
app.add_typer(cli_access.app)
app.add_typer(cli_declaring.app)
app.add_typer(cli_experiments.app)

START_TIMEOUT = 300.0


@app.command()
def up(
    timeout: Annotated[float, typer.Option(help="Seconds to wait until everything works.")] = START_TIMEOUT,
    no_airflow: Annotated[
        bool, typer.Option("--no-airflow", help="Only what your own Airflow, OPENPERSONALIZE_AIRFLOW_URL, lacks.")
    ] = False,
) -> None:
    """Start the platform and wait until everything works. Harmless when it runs already."""
    from pipelines.platform.own_airflow import check_mode

    with one_line_errors():
        settings = Settings.from_env()
        check_mode(settings, no_airflow=no_airflow)
        _up(settings, timeout)
        _print_welcome(settings)


@app.command()
def down() -> None:
    """Stop every process of the platform; the data stays."""
    from pipelines.platform.lifecycle import stop

    with one_line_errors():
        settings = Settings.from_env()
        with console.status("stopping") if console.is_terminal else _quiet():
            found = stop(settings)
        console.print("stopped" if found else "nothing was running")


@app.command()
def dags() -> None:
    """Print the folder of the DAGs: the one path that your own Airflow has to be told."""
    from pipelines.platform.source import dags_folder

    sys.stdout.write(f"{dags_folder()}\n")


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every process; exit code 0 only when all are healthy."""
    from pipelines.platform.display import status_json, status_table
    from pipelines.platform.health import all_healthy, observe
    from pipelines.platform.state import running_state

    with one_line_errors():
        state = running_state(Settings.from_env())
    reports = observe(state) if state else []
    if json:
        sys.stdout.write(status_json(reports) + "\n")
    elif state is None:
        errors.print("the platform is not running: start it with `openpersonalize up`", markup=False)
    else:
        console.print(status_table(reports))
    if not reports or not all_healthy(reports):
        raise typer.Exit(1)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(envvar="DATA", help="A folder or zip file with MovieLens-100K.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait until the platform works.")] = START_TIMEOUT,
) -> None:
    """Start the platform, then take MovieLens-100K from raw interactions to recommendations, with boto3 only."""
    from pipelines.datasets.movielens import MovieLensError
    from pipelines.platform.demo import DemoFailed, run

    with one_line_errors():
        settings = Settings.from_env()
        _up(settings, timeout)
        try:
            run(with_database(settings), console, data)
        except (DemoFailed, MovieLensError) as error:
            fail(str(error))


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete every resource, event and artefact of the running platform, in seconds; it goes on running."""
    from pipelines.platform.reset import reset as empty_store

    with one_line_errors():
        settings = running()
        if not yes and not typer.confirm(f"Delete every resource, event and artefact of {settings.home}?"):
            fail("nothing was deleted; `openpersonalize reset --yes` does not ask")
        begun = time.monotonic()
        empty_store(settings)
        console.print(f"the store is empty ({time.monotonic() - begun:.1f} s)")


@app.command("import")
def import_(
    location: Annotated[str, typer.Argument(metavar="FILE", help="A CSV, gzip or Parquet file, a folder, or s3://…")],
    group: Annotated[str | None, typer.Option(help="The dataset group; named after the file unless given.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="INTERACTIONS, ITEMS, USERS, ACTIONS, …")] = None,
    mode: Annotated[str, typer.Option(help="FULL replaces bulk data, INCREMENTAL adds to it.")] = "FULL",
    schema: Annotated[Path | None, typer.Option(help="An Avro schema, instead of a guess.")] = None,
    name: Annotated[str | None, typer.Option(help="Of the import job.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Import a file: guess its schema, show it with a sample and the checks' verdict, then create what is needed."""
    from datetime import UTC, datetime

    from pipelines.platform.importing_command import ImportFailed, request, run

    now = datetime.now(UTC)
    with one_line_errors():
        settings = running()
        try:
            wanted = request(location, now, group=group, dataset_type=type_, mode=mode, schema=schema, job=name)
            run(settings, console, wanted, now, lambda question: yes or typer.confirm(question))
        except ImportFailed as error:
            fail(str(error))


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A process, as `openpersonalize status` names it.")],
    lines: Annotated[int, typer.Option("-n", "--lines", help="So many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
) -> None:
    """Print the end of a process's log."""
    from pipelines.platform.logfiles import follow_log, log_file, tail

    with one_line_errors():
        settings = Settings.from_env()
        path = log_file(settings.logs_dir, name)
        if not path.exists() or "/" in name:
            known = ", ".join(sorted(p.stem for p in settings.logs_dir.glob("*.log"))) or "none yet"
            fail(f"there is no log of {name!r} below {settings.logs_dir}; there are: {known}")
        for line in tail(path, lines):
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if follow:
            for chunk in follow_log(path):
                sys.stdout.write(chunk)
                sys.stdout.flush()


def _up(settings: Settings, timeout: float) -> None:
    from pipelines.platform.display import StartDisplay
    from pipelines.platform.lifecycle import start, wait_healthy
    from pipelines.platform.migrations import upgraded

    started = start(settings)
    if not started:
        console.print(_already(settings))
    with StartDisplay(console, time.monotonic) as display:
        wait_healthy(settings, timeout, display)
    for line in upgraded(settings) if started else ():
        console.print(line)


def _already(settings: Settings) -> str:
    """That the platform runs, and which version of the code if that is not the installed one."""
    from importlib.metadata import version

    from pipelines.platform.state import running_state

    state, installed = running_state(settings), version("openpersonalize")
    if state is None or state.version == installed:
        return "already running"
    return (
        f"already running, as version {state.version or 'unknown'}; for {installed}: `openpersonalize down`, then `up`"
    )


def _print_welcome(settings: Settings) -> None:
    from pipelines.platform.display import welcome

    # Not through rich, which would wrap and colour what is meant to be pasted.
    sys.stdout.write("\n" + welcome(settings) + "\n")


@contextmanager
def _quiet() -> Iterator[None]:
    yield


if __name__ == "__main__":
    app()
