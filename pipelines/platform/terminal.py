"""What every command of `openpersonalize` shares: where it prints, which platform it means, how it says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.console import Console

from pipelines.settings import Settings, SettingsError

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def running() -> Settings:
    """The settings of a platform that runs, with its database."""
    from pipelines.platform.state import running_state

    settings = Settings.from_env()
    if running_state(settings) is None:
        fail("the platform is not running: start it with `openpersonalize up`")
    return with_database(settings)


def with_database(settings: Settings) -> Settings:
    """The settings with the URL of the database that comes with the platform, or of the one that they name."""
    from pipelines.platform import database

    return database.with_database(settings, database.embedded_server(settings))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What a person can act on is said in a sentence; anything else is a defect and keeps its traceback."""
    from pipelines.platform.checks import CannotStart
    from pipelines.platform.cluster import ClusterError
    from pipelines.platform.lifecycle import DidNotStart
    from pipelines.platform.reset import ResetError

    try:
        yield
    except (SettingsError, CannotStart, ClusterError, DidNotStart, ResetError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def fail(message: str) -> NoReturn:
    """End the command with one line."""
    errors.print(message, markup=False, soft_wrap=True)
    raise typer.Exit(1)
