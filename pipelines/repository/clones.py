"""Second clones of a group's repository: for a person to work in, or to prove that a version can be made again.

A clone is Git's own, with a cache of its own that is empty at first, so that nothing in it comes from the group's
cache or run cache: what it has, the remote gave, or a stage made there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.repository import remote
from pipelines.repository.environment import child_env, dvc
from pipelines.repository.errors import RepositoryError
from pipelines.repository.group import GroupRepository
from pipelines.repository.processes import OnLine, capture, end_leftovers, log, stream
from pipelines.repository.saving import kept
from pipelines.repository.worktree import write_text


class Clone:
    """A clone at `path`; `site` holds DVC's state of what is run here."""

    def __init__(self, path: Path, site: Path) -> None:
        self.path = path
        self._env = child_env(str(path), site)

    def git(self, *args: str) -> str:
        """Run git here and return what it printed."""
        return capture(["git", *args], cwd=self.path, env=self._env).decode().strip()

    def dvc(
        self, *commands: Sequence[str], on_line: OnLine = log.debug, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Run dvc commands here, in one process; returns the last lines. Raises CommandFailed."""
        return stream(dvc(*commands), cwd=self.path, env={**self._env, **(env or {})}, on_line=on_line)


def clone(repository: GroupRepository, tag: str, path: Path, site: Path, *pulled: str) -> Clone:
    """The repository in `path`, which must not exist, on a branch of its own at `tag`; data from the remote.

    Of what DVC tracks at the tag only `pulled` is fetched, all of it if none is named. A purge waits meanwhile. Raises
    RepositoryError or CommandFailed, with `path` as far as it got.
    """
    if not repository.has(tag):
        raise RepositoryError(f"group {repository.group_id} has no {tag}")
    end_leftovers(str(path))
    found = Clone(path, site)
    path.mkdir(parents=True)
    with kept(repository):
        found.git("clone", "--quiet", "--no-checkout", str(repository.layout.git_dir), ".")
        found.git("switch", "--quiet", "--no-track", "--create", f"from/{tag}", f"refs/tags/{tag}")
        # Where the remote is now; what is committed says where it was when the group was made.
        write_text(path / ".dvc" / "config.local", remote.config_section(repository.layout.remote_url, local=True))
        found.dvc(["pull", "--quiet", *pulled])
    return found
