"""The commands of `openpersonalize` that take care of what a platform holds."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pipelines.platform.terminal import console, errors, fail, one_line_errors
from pipelines.settings import Settings

app = typer.Typer()


@app.command()
def backup(file: Annotated[Path, typer.Argument(help="Is made, or replaced, when the backup is complete.")]) -> None:
    """Write everything that cannot be made again into one file, while the platform runs; it holds secrets."""
    from datetime import UTC, datetime

    from pipelines.platform import backup as work

    begun = time.monotonic()
    with _told(), work.reachable(Settings.from_env()) as settings:
        saved = work.backup(settings, file.absolute(), datetime.now(UTC))
    for warning in saved.warnings:
        errors.print(warning, markup=False, soft_wrap=True)
    console.print(
        f"{file}: {saved.bytes / 1e6:,.1f} MB, {_number(saved.groups, 'dataset group')}, "
        f"{_number(saved.objects, 'object')} of snapshots and versions, as of {saved.made_at:%Y-%m-%d %H:%M:%S} UTC "
        f"({time.monotonic() - begun:.1f} s)",
        soft_wrap=True,
    )


@app.command()
def restore(file: Annotated[Path, typer.Argument(help="What `openpersonalize backup` wrote.")]) -> None:
    """Put a backup into an empty home, for `openpersonalize up` to go on from; nothing is ever overwritten."""
    from pipelines.platform import restore as work

    begun = time.monotonic()
    with _told():
        settings = Settings.from_env()
        found = work.restore(settings, file.absolute())
    rows = ", ".join(f"{count:,} {name}" for name, count in found.rows.items() if count)
    console.print(
        f"restored the platform of {found.home} as of {found.made_at} into {settings.home} "
        f"({time.monotonic() - begun:.1f} s)\n"
        f"{_number(found.groups, 'dataset group')}, {_number(found.objects, 'object')}; rows: {rows or 'none'}\n"
        "Start it with `openpersonalize up`.",
        soft_wrap=True,
    )


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@contextmanager
def _told() -> Iterator[None]:
    """Log lines of progress where there is no terminal for a bar, and one line for what is wrong."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    from pipelines.platform.archive import BadArchive
    from pipelines.platform.backup import BackupFailed
    from pipelines.platform.postgres import PostgresError
    from pipelines.platform.restore import CannotRestore
    from pipelines.repository import RepositoryError

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with one_line_errors():
        try:
            yield
        except (BackupFailed, BadArchive, CannotRestore, PostgresError, RepositoryError, OSError) as error:
            fail(str(error))
        except (psycopg.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            fail(f"the database did not take it: {' '.join(str(cause).split())}")
