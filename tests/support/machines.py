"""Several machines without a shared disk: homes of their own, one database, one DVC remote, one Git remote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

from pipelines.settings import Settings


def machines(settings: Settings, shared: Path) -> Iterator[Settings]:
    """A new machine's settings each time; both remotes lie below `shared`, where the first that needs them makes them."""
    for number in count(1):
        home = settings.home.parent / f"machine-{number}"
        home.mkdir()
        yield replace(settings, home=home, dvc_remote=str(shared / "dvc"), git_remote=str(shared / "git" / "tags.git"))


def data_of_groups(settings: Settings) -> list[Path]:
    """Files that DVC keeps on this machine."""
    return [path for path in settings.groups_dir.glob("*/cache/**/*") if path.is_file()]
