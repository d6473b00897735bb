"""The commands of `openpersonalize` about versions: their history, what differs, getting one back, keeping few."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    from pipelines.platform.versions_views import show

    with _said():
        found = collect(running(), solution)
        if json:
            sys.stdout.write(as_json(found) + "\n")
        else:
            show(console, found)


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
    """Clone a version's commit with all its data into a folder to work in; nothing done there changes the platform."""
    from pipelines.platform.reproduce_command import checkout as run

    with _said():
        tag = run(running(), version, directory)
        sys.stdout.write(f"{directory}: a Git and DVC clone at {tag}; `dvc repro` there makes what you change\n")
