"""What a group's repository has: its tags, the files that they name, and what DVC tracks at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.repository import remote
from pipelines.repository.environment import child_env
from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.layout import Layout, create
from pipelines.repository.locks import locked
from pipelines.repository.processes import capture
from pipelines.repository.shared import SharedTags
from pipelines.settings import Settings


class Contents:
    """The half of GroupRepository that changes nothing but the machine's own copy of the tags."""

    def __init__(self, settings: Settings, group_id: str) -> None:
        self.group_id = group_id
        self.layout = Layout(settings.groups_dir / group_id, remote.url(settings, group_id))
        self._settings = settings
        self._shared = SharedTags(settings, group_id, self.layout.git_dir) if settings.git_remote else None
        self._is_fresh = False

    @property
    def is_shared(self) -> bool:
        """Whether other machines have a copy of their own; the data is then in the remote only."""
        return self._shared is not None

    def ensure(self) -> None:
        """Make the repository unless it is there; several callers at once are fine."""
        if self.layout.git_dir.is_dir():
            return
        with locked(self.layout.lock("repository")):
            if not self.layout.git_dir.is_dir():
                create(self.layout, self._env("ensure"))

    def refresh(self, *, again: bool = True) -> None:
        """Have the tags that other machines have pushed; nothing to do where tasks run on one machine.

        Without `again`, nothing either when this object has them already. Raises RepositoryError.
        """
        if self._shared is None or (self._is_fresh and not again):
            return
        self.ensure()
        with locked(self.layout.lock("repository")):
            self._shared.fetch()
        self._is_fresh = True

    def show(self, revision: str, path: str) -> bytes:
        """A committed file's bytes; raises CommandFailed when `revision` or `path` is unknown."""
        self.refresh(again=False)
        return capture(["git", "show", f"{revision}:{path}"], cwd=self.layout.git_dir, env=self._env("show"))

    def objects(self) -> bytes:
        """Every object of Git's, unpacked, named by a tag or not: they are small, as data lies in DVC."""
        self.refresh(again=False)
        if not self.layout.git_dir.is_dir():
            return b""
        return capture(
            ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=self.layout.git_dir, env=self._env("git")
        )

    def has(self, tag: str) -> bool:
        """Whether the tag is there, and with it, in the remote, all that it names."""
        self.refresh()
        return self.layout.git_dir.is_dir() and bool(self._git("for-each-ref", f"refs/tags/{tag}"))

    def tags(self, under: str) -> list[str]:
        """The tags under `under`, such as `data`, in the order of their names; none when nothing was ever made."""
        self.refresh()
        if not self.layout.git_dir.is_dir():
            return []
        return self._git("for-each-ref", "--format=%(refname:lstrip=2)", f"refs/tags/{under}").splitlines()

    def commit(self, tag: str) -> str:
        """Hash of the commit that a tag names; raises CommandFailed when it is unknown."""
        self.refresh(again=False)
        return self._git("rev-parse", f"refs/tags/{tag}^{{commit}}")

    def added(self, tag: str) -> list[str]:
        """What was added to DVC at `tag` path by path, not made by a stage; raises CommandFailed when it is unknown."""
        self.refresh(again=False)
        names = self._git("ls-tree", "-r", "--name-only", tag).splitlines()
        return [name.removesuffix(".dvc") for name in names if name.endswith(".dvc")]

    def pointer(self, tag: str, path_in_repo: str) -> dict[str, Any]:
        """DVC's entry (`md5`, `size`, `nfiles`, `hash`) of a tracked path at `tag`; raises RepositoryError."""
        import yaml

        if self._tracks(tag, f"{path_in_repo}.dvc"):
            outs = yaml.safe_load(self.show(tag, f"{path_in_repo}.dvc"))["outs"]
        elif self._tracks(tag, "dvc.lock"):
            stages = yaml.safe_load(self.show(tag, "dvc.lock"))["stages"].values()
            outs = [out for stage in stages for out in stage.get("outs", []) if out["path"] == path_in_repo]
        else:
            outs = []
        if not outs:
            raise RepositoryError(f"{tag} of group {self.group_id} does not have {path_in_repo}")
        return {key: value for key, value in outs[0].items() if key != "path"}

    def _tracks(self, revision: str, path: str) -> bool:
        self.refresh(again=False)
        try:
            return bool(self._git("ls-tree", "--name-only", revision, "--", path))
        except CommandFailed as error:
            raise RepositoryError(f"group {self.group_id} has no {revision}: {error}") from error

    # ------------------------------------------------------------------------------------------------

    def _job_name(self, job_id: str) -> str:
        # A path, not ids: another home's job is never taken for this one's.
        return str(self.layout.job(job_id))

    def _env(self, job_id: str) -> dict[str, str]:
        return child_env(self._job_name(job_id), self.layout.site(job_id))

    def _git(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        command = ["git", *args]
        return capture(command, cwd=self.layout.git_dir, env=env or self._env("git"), stdin=stdin).decode().strip()
