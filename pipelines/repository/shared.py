"""A group's tags on several machines that share no disk: pushed to, and fetched from, one Git repository of the company's.

Data goes through the DVC remote anyway; what has to follow it are commits and tags. Three ways were weighed:

- a repository a group, `<prefix>/<group id>.git`: hosted Git makes none on a push, and one that nobody made is a failed job;
- Git bundles in the DVC remote: no Git hosting, but whole histories copied anew, and no answer to two that write at once;
- one repository for all groups, its refs under the group's id: somebody makes it once, Git itself takes concurrent pushes.

The third it is. Only tags are shared, as `refs/tags/<group id>/<tag>`: a tag is written by the one job that it is named
after, so pushes never conflict, and everything that is read later is read by tag. A branch is begun from `main` for each
job. A tag is here only when the Git remote has it, and there only when the DVC remote has what it names.

What lies under `groups/` is then scratch: with the last job of a machine the data that it fetched or made goes, so that
no machine keeps what a data deletion job on another has removed.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from pipelines.registry.database import engine
from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.locks import locked_if_free
from pipelines.repository.processes import capture, log
from pipelines.settings import Settings

_NAME = "shared"
_SCRATCH = ("cache", "jobs", "reads", "site")
_AT_ONCE = 500
"""Tags deleted by one push; a command line has an end."""
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS")
_NO_PATH = re.compile(r"[a-z+]+://|[^/]+:")


class SharedTags:
    """One group's tags in the Git remote; each call raises RepositoryError when it does not answer or refuses."""

    def __init__(self, settings: Settings, group_id: str, git_dir: Path) -> None:
        self._url = settings.git_remote
        self._namespace = f"refs/tags/{group_id}"
        self._git_dir = git_dir

    def fetch(self) -> None:
        """Make the tags here those of the remote; the caller holds the group's lock `repository`."""
        if not _NO_PATH.match(self._url):
            _create(Path(self._url), self._env())
        self._git("fetch", "--quiet", "--force", "--prune", "--no-tags", _NAME, f"+{self._namespace}/*:refs/tags/*")

    def push(self, worktree: Path, tag: str) -> None:
        """Make `tag` there the worktree's commit; of a job that is repeated it moves."""
        self._git("push", "--quiet", _NAME, f"+HEAD:{self._namespace}/{tag}", cwd=worktree)

    def give(self, git_dir: Path) -> None:
        """Push every tag of another repository of this group, which comes from a backup."""
        if not _NO_PATH.match(self._url):
            _create(Path(self._url), self._env())
        self._git("push", "--quiet", _NAME, f"+refs/tags/*:{self._namespace}/*", cwd=git_dir)

    def delete(self, tags: Sequence[str]) -> None:
        """Delete tags that were there at the last fetch."""
        for first in range(0, len(tags), _AT_ONCE):
            self._git(
                "push", "--quiet", _NAME, *(f":{self._namespace}/{tag}" for tag in tags[first : first + _AT_ONCE])
            )

    def _git(self, *args: str, cwd: Path | None = None) -> None:
        try:
            capture(["git", *args], cwd=cwd or self._git_dir, env=self._env())
        except CommandFailed as error:
            url = re.sub(r"(?<=://)[^/@]+@", "", self._url)
            said = " ".join(error.lines[-3:]).replace(self._url, url)
            raise RepositoryError(
                f"the Git remote {url} (OPENPERSONALIZE_GIT_REMOTE) refuses `{args[0]}`: {said}"
            ) from None

    def _env(self) -> dict[str, str]:
        """Unlike that of commits with the person's configuration: it says how to sign in at the company's Git.

        The URL, which may hold a token, is on no command line and in no file.
        """
        env = {name: value for name, value in os.environ.items() if name not in _LOCAL}
        return env | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": f"remote.{_NAME}.url",
            "GIT_CONFIG_VALUE_1": self._url,
            "LC_ALL": "C.UTF-8",
        }


def _create(path: Path, env: dict[str, str]) -> None:
    """An empty bare repository at `path`, whole or not at all; a folder that all machines see is the simplest remote."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
        new = Path(scratch) / path.name
        capture(["git", "init", "--quiet", "--bare", str(new)], cwd=path.parent, env=env)
        try:
            new.rename(path)
        except OSError:
            if not path.exists():
                raise
            # Another machine was faster.


class Everywhere:
    """A lock on all machines at once, held as long as a session of the registry's database lives."""

    def __init__(self, settings: Settings, name: str, *, shared: bool = False) -> None:
        self._database = engine(settings, pool_size=1)
        self._key = func.hashtextextended(f"openpersonalize:{name}", 0)
        self._suffix = "_shared" if shared else ""
        self._connection = self._database.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._session = self._ask(func.pg_backend_pid())

    def take(self, waiting_for: str) -> None:
        """Wait for it; `waiting_for` is logged when somebody else has it."""
        if not self.take_if_free():
            log.info("waiting for %s", waiting_for)
            self._ask(getattr(func, f"pg_advisory_lock{self._suffix}")(self._key))

    def take_if_free(self) -> bool:
        return bool(self._ask(getattr(func, f"pg_try_advisory_lock{self._suffix}")(self._key)))

    def check(self) -> None:
        """Raises RepositoryError when the session was cut, and the lock with it."""
        try:
            held = self._ask(func.pg_backend_pid()) == self._session
        except SQLAlchemyError:
            held = False
        if not held:
            raise RepositoryError(
                "the connection to the database was cut, and with it the right to go on; trying again helps"
            )

    def release(self) -> None:
        # Not back into a pool: it would keep the lock.
        self._connection.invalidate()
        self._connection.close()
        self._database.dispose()

    def _ask(self, what: object) -> object:
        return self._connection.execute(select(what)).scalar_one()  # type: ignore[call-overload]


@contextmanager
def everywhere(
    settings: Settings, name: str, *, shared: bool = False, waiting_for: str = ""
) -> Iterator[Everywhere | None]:
    """Hold lock `name` on all machines; None, and nothing is held, where tasks run on one."""
    if not settings.git_remote:
        yield None
        return
    lock = Everywhere(settings, name, shared=shared)
    try:
        lock.take(waiting_for or name)
        yield lock
    finally:
        lock.release()


@contextmanager
def everywhere_if_free(settings: Settings, name: str) -> Iterator[bool]:
    """Hold lock `name` on all machines and yield True, or yield False at once when anybody has it."""
    if not settings.git_remote:
        yield True
        return
    lock = Everywhere(settings, name)
    try:
        yield lock.take_if_free()
    finally:
        lock.release()


def leave_nothing(settings: Settings) -> None:
    """Remove the data of all groups in which no job runs on this machine; nothing to do where it is kept here only."""
    if not settings.git_remote or not settings.groups_dir.is_dir():
        return
    # Not those with a dot: they are being deleted.
    for group in settings.groups_dir.glob("[!.]*"):
        with locked_if_free(group / "locks" / "jobs.lock") as free:
            for name in _SCRATCH if free else ():
                shutil.rmtree(group / name, ignore_errors=True)
