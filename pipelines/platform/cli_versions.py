"""The commands of `openpersonalize` about versions: their history, what differs, getting one back, keeping few."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from pipelines.platform.terminal import console, errors, fail, one_line_errors, running

app = typer.Typer()

VERSION = "A solution version's ARN, name or id, or the short id that `openpersonalize versions` prints."


@contextmanager
def _said() -> Iterator[None]:
    """What these commands end with in one line."""
    from pipelines.disk import DiskFull
    from pipelines.platform.finding import NotFound
    from pipelines.repository import RepositoryError
    from pipelines.versions import VersionFailed

    with one_line_errors():
        try:
            yield
        except (NotFound, RepositoryError, VersionFailed, DiskFull) as error:
            fail(str(error))


@app.command()
def versions(
    solution: Annotated[str, typer.Argument(help="A solution's ARN, name or id.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show every version of a solution: when, from which data and code, parameters, metrics, who serves it."""
    from pipelines.platform.versions_command import as_json, collect
    from pipelines.platform.versions_views import lines

    with _said():
        found = collect(running(), solution)
        sys.stdout.write((as_json(found) if json else "\n".join(lines(found))) + "\n")


@app.command()
def reproduce(
    version: Annotated[str, typer.Argument(help=f"{VERSION} `<version>.2` is its second automatic update.")],
    anyway: Annotated[bool, typer.Option("--anyway", help="Also with other code installed than made it.")] = False,
) -> None:
    """Make a version again in a clone with empty caches and compare checksums; exit code 0 only if all are the same."""
    from pipelines.platform.reproduce_command import reproduce as run
    from pipelines.platform.reproduce_views import show

    with _said():
        found = run(
            running(), version, anyway=anyway, on_line=lambda line: errors.print(line, style="dim", markup=False)
        )
        show(console, found)
        if not found.holds:
            raise typer.Exit(1)


@app.command()
def checkout(
    version: Annotated[str, typer.Argument(help=VERSION)],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that does not exist yet.")],
) -> None:
    """Clone a version's commit with all its data into a folder to work in, with a cache of its own."""
    from pipelines.platform.reproduce_command import checkout as run

    with _said():
        tag = run(running(), version, directory)
        sys.stdout.write(f"{directory}: a Git and DVC clone at {tag}; `dvc repro` there makes what you change\n")


@app.command()
def diff(
    a: Annotated[str, typer.Argument(metavar="A", help=VERSION)],
    b: Annotated[str, typer.Argument(metavar="B", help="The other, held against A.")],
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what differs between two versions: metrics, parameters, code, and the data: rows, users, items, drift."""
    from pipelines.platform.diff_command import as_json, collect
    from pipelines.platform.diff_views import show

    with _said():
        found = collect(running(), a, b)
        if json:
            sys.stdout.write(as_json(found) + "\n")
        else:
            show(console, found)


@app.command()
def gc(
    keep_last: Annotated[int, typer.Option("--keep-last", min=1, help="So many of the newest versions.")],
    solution: Annotated[str | None, typer.Argument(help="A solution's ARN, name or id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Of every solution.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Drop older versions, never one that a campaign serves, that an update can go back to, or that others stand on."""
    from datetime import UTC, datetime

    from pipelines.platform.gc_command import lines, run, solutions

    with _said():
        if (solution is None) != every:
            fail("name a solution, or give --all")
        settings = running()
        found = solutions(settings, solution)
        with console.status("waiting for the jobs that run, then cleaning") if console.is_terminal else nullcontext():
            freed = run(settings, found, keep_last, datetime.now(UTC), dry=dry_run)
        sys.stdout.write("\n".join(lines(freed, dry=dry_run)) + "\n")


@app.command()
def trace(
    recommendation_id: Annotated[str, typer.Argument(metavar="RECOMMENDATION_ID", help="Of an answer.")],
) -> None:
    """Show what gave an answer: campaign, version, commit, data snapshots, imports and their validation reports."""
    from pipelines.platform.trace_command import collect, lines

    with _said():
        settings = running()
        sys.stdout.write("\n".join(lines(settings, collect(settings, recommendation_id))) + "\n")


PLACE = "A folder, or s3://bucket/prefix."


@app.command()
def push(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    place: Annotated[str, typer.Argument(help=PLACE)],
) -> None:
    """Copy all versions and snapshots of a dataset group to another place, with a Git bundle of their commits."""
    from pipelines.platform.moving_command import lines, move_out

    with _said(), _counting() as on_object:
        sys.stdout.write("\n".join(lines(move_out(running(), group, place, on_object), "pushed")) + "\n")


@app.command()
def pull(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    place: Annotated[str, typer.Argument(help=f"{PLACE} It was pushed there.")],
) -> None:
    """Bring back what a dataset group's repository or remote lacks of what was pushed, and check all of it."""
    from pipelines.platform.moving_command import lines, move_in

    with _said(), _counting() as on_object:
        sys.stdout.write("\n".join(lines(move_in(running(), group, place, on_object), "pulled")) + "\n")


@contextmanager
def _counting() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("objects", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
