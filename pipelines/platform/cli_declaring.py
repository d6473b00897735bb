"""The commands of `openpersonalize` for declared set-up: apply a file, write one from what there is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipelines.platform.terminal import console, fail, one_line_errors, running

app = typer.Typer()


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML or JSON.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Make a dataset group what a file says: schemas, datasets, imports, solutions, campaigns, schedules.

    The file has the shape of AWS's solution "Maintaining Personalized Experiences with Machine Learning". Applying it
    again does what is missing, and nothing otherwise.
    """
    from datetime import UTC, datetime

    from pipelines.platform.declaring_command import NotApplied
    from pipelines.platform.declaring_command import apply as run

    with one_line_errors():
        settings = running()
        try:
            run(settings, console, file, datetime.now(UTC), lambda ask: yes or typer.confirm(ask), dry_run=dry_run)
        except NotApplied as error:
            fail(str(error))


@app.command()
def export(
    group: Annotated[str, typer.Argument(help="A dataset group's ARN, name or id.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it there; .json for JSON, otherwise YAML.")
    ] = None,
) -> None:
    """Write the file that `apply` would make a dataset group from."""
    from pipelines.platform.declaring_command import export as run
    from pipelines.platform.finding import NotFound

    with one_line_errors():
        try:
            text = run(running(), group, out)
        except (NotFound, OSError) as error:
            fail(str(error))
        if out is None:
            sys.stdout.write(text)
