"""The `openpersonalize` command."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.settings import Settings, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Amazon Personalize on your own machines. OPENPERSONALIZE_HOME, OPENPERSONALIZE_CONTROL_PORT and "
    "OPENPERSONALIZE_RUNTIME_PORT say which platform is meant.",
)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

START_TIMEOUT = 300.0


@app.command()
def up(timeout: Annotated[float, typer.Option(help="Seconds to wait until everything works.")] = START_TIMEOUT) -> None:
    """Start the platform and wait until everything works. Harmless when it runs already."""
    with _one_line_errors():
        settings = Settings.from_env()
        _up(settings, timeout)
        _print_welcome(settings)


@app.command()
def down() -> None:
    """Stop every process of the platform; the data stays."""
    from pipelines.platform.lifecycle import stop

    with _one_line_errors():
        settings = Settings.from_env()
        with console.status("stopping") if console.is_terminal else _quiet():
            found = stop(settings)
        console.print("stopped" if found else "nothing was running")


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show every process; exit code 0 only when all are healthy."""
    from pipelines.platform.display import status_json, status_table
    from pipelines.platform.health import all_healthy, observe
    from pipelines.platform.state import running_state

    with _one_line_errors():
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

    with _one_line_errors():
        settings = Settings.from_env()
        _up(settings, timeout)
        try:
            run(_with_database(settings), console, data)
        except (DemoFailed, MovieLensError) as error:
            _fail(str(error))


@app.command()
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete every resource, event and artefact of the running platform, in seconds; it goes on running."""
    from pipelines.platform.reset import reset as empty_store

    with _one_line_errors():
        settings = _running()
        if not yes and not typer.confirm(f"Delete every resource, event and artefact of {settings.home}?"):
            _fail("nothing was deleted; `openpersonalize reset --yes` does not ask")
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
    with _one_line_errors():
        settings = _running()
        try:
            wanted = request(location, now, group=group, dataset_type=type_, mode=mode, schema=schema, job=name)
            run(settings, console, wanted, now, lambda question: yes or typer.confirm(question))
        except ImportFailed as error:
            _fail(str(error))


@app.command()
def statistics(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what a dataset group holds: rows, users, items, time, event types, gaps, what was streamed since."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.statistics_command import as_json, collect, lines

    with _one_line_errors():
        settings = _running()
        try:
            found = collect(settings, group)
        except NotFound as error:
            _fail(str(error))
        sys.stdout.write((as_json(found) if json else "\n".join(lines(found))) + "\n")


@app.command()
def report(
    given: Annotated[
        str | None, typer.Argument(metavar="IMPORT", help="An import job's ARN, name or id; the newest unless given.")
    ] = None,
    rejects: Annotated[bool, typer.Option("--rejects", help="Print every rejected row as CSV instead.")] = False,
) -> None:
    """Show what came of an import: the verdict, the broken rules, the first rejects, where the report is."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.report_command import lines, rejects_csv

    with _one_line_errors():
        settings = _running()
        try:
            if rejects:
                sys.stdout.writelines(rejects_csv(settings, given))
            else:
                sys.stdout.write("\n".join(lines(settings, given)) + "\n")
        except NotFound as error:
            _fail(str(error))


@app.command()
def checks(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="RULE=SEVERITY[,MIN..MAX]", help="critical, warning or off; numbers or per cent."
        ),
    ] = None,
    clear: Annotated[list[str] | None, typer.Option("--clear", metavar="RULE", help="Back to its default.")] = None,
) -> None:
    """Show the rules that a dataset group's imports must fulfil, or set them anew."""
    from pipelines.platform.checks_command import BadCheck, change
    from pipelines.platform.finding import NotFound

    with _one_line_errors():
        try:
            shown = change(_running(), group, set_ or [], clear or [])
        except (BadCheck, NotFound) as error:
            _fail(str(error))
        sys.stdout.write("\n".join(shown) + "\n")


@app.command()
def metrics(
    given: Annotated[
        str,
        typer.Argument(metavar="VERSION", help="A solution version's ARN, name or id, or a solution's: its newest."),
    ],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show how good a version is: AWS's metrics beside simple rules, by time, scores, cold users and items, warnings."""
    from pipelines.platform.finding import NotFound
    from pipelines.platform.metrics_command import as_json, collect
    from pipelines.platform.metrics_views import show

    with _one_line_errors():
        try:
            found = collect(_running(), given)
        except NotFound as error:
            _fail(str(error))
        if json:
            sys.stdout.write(as_json(found) + "\n")
        else:
            show(console, found)


@app.command()
def why(
    campaign: Annotated[str, typer.Argument(help="A campaign's ARN, name or id.")],
    user: Annotated[str, typer.Argument(help="A user id, or an anonymous session's.")],
    item: Annotated[
        str | None, typer.Argument(help="Only this item; for related items, the item that the list goes with.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=500, help="So many items of the list.")] = 5,
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="The situation, as in a request.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(metavar="RECOMMENDATION_ID", help="Explain this answer of the last 24 hours.")
    ] = None,
) -> None:
    """Show why a user gets what they get: for each item the events, values and exploration that moved it most."""
    from pipelines.platform.why_command import CannotTell, Question, collect, situation
    from pipelines.platform.why_views import lines

    with _one_line_errors():
        try:
            question = Question(campaign, user, item, count, situation(context or []), answer)
            found = collect(_running(), question)
        except CannotTell as error:
            _fail(str(error))
        sys.stdout.write("\n".join(lines(found)) + "\n")


@app.command("explore-report")
def explore_report(campaign: Annotated[str, typer.Argument(help="A campaign's ARN, name or id.")]) -> None:
    """Show what a campaign's exploration did in the last 24 hours, and what other weights would have brought."""
    from pipelines.platform.explore_command import collect
    from pipelines.platform.explore_views import lines
    from pipelines.platform.finding import NotFound

    with _one_line_errors():
        try:
            found = collect(_running(), campaign)
        except NotFound as error:
            _fail(str(error))
        sys.stdout.write("\n".join(lines(found)) + "\n")


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="A process, as `openpersonalize status` names it.")],
    lines: Annotated[int, typer.Option("-n", "--lines", help="So many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what is written from now on.")] = False,
) -> None:
    """Print the end of a process's log."""
    from pipelines.platform.logfiles import follow_log, log_file, tail

    with _one_line_errors():
        settings = Settings.from_env()
        path = log_file(settings.logs_dir, name)
        if not path.exists() or "/" in name:
            known = ", ".join(sorted(p.stem for p in settings.logs_dir.glob("*.log"))) or "none yet"
            _fail(f"there is no log of {name!r} below {settings.logs_dir}; there are: {known}")
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

    if not start(settings):
        console.print("already running")
    with StartDisplay(console, time.monotonic) as display:
        wait_healthy(settings, timeout, display)


def _print_welcome(settings: Settings) -> None:
    from pipelines.platform.display import welcome

    # Not through rich, which would wrap and colour what is meant to be pasted.
    sys.stdout.write("\n" + welcome(settings) + "\n")


def _running() -> Settings:
    """The settings of a platform that runs, with its database."""
    from pipelines.platform.state import running_state

    settings = Settings.from_env()
    if running_state(settings) is None:
        _fail("the platform is not running: start it with `openpersonalize up`")
    return _with_database(settings)


def _with_database(settings: Settings) -> Settings:
    from pipelines.platform.database import embedded_server, with_database

    return with_database(settings, embedded_server(settings))


@contextmanager
def _quiet() -> Iterator[None]:
    yield


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a person can act on is said in a sentence; anything else is a defect and keeps its traceback."""
    from pipelines.platform.checks import CannotStart
    from pipelines.platform.cluster import ClusterError
    from pipelines.platform.lifecycle import DidNotStart
    from pipelines.platform.reset import ResetError

    try:
        yield
    except (SettingsError, CannotStart, ClusterError, DidNotStart, ResetError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(message: str) -> None:
    errors.print(message, markup=False, soft_wrap=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
