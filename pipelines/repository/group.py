"""The repository of one dataset group: branches and tags by internal ids, one worktree a running job."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.repository import remote
from pipelines.repository.environment import child_env, dvc
from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.layout import Layout, create
from pipelines.repository.locks import locked, locked_if_free
from pipelines.repository.processes import capture, end_leftovers, log, stream
from pipelines.repository.worktree import Worktree, dump_yaml, write_text
from pipelines.settings import Settings


class GroupRepository:
    """Snapshots (`data/<dataset id>/<job id>`) and versions (`sv/<solution id>/<version id>`) of one group."""

    def __init__(self, settings: Settings, group_id: str) -> None:
        self.group_id = group_id
        self.layout = Layout(settings.groups_dir / group_id, remote.url(settings, group_id))

    def ensure(self) -> None:
        """Make the repository unless it is there; several callers at once are fine."""
        if self.layout.git_dir.is_dir():
            return
        with locked(self.layout.lock("repository")):
            if not self.layout.git_dir.is_dir():
                create(self.layout, self._env("ensure"))

    # Jobs -------------------------------------------------------------------------------------------

    @contextmanager
    def worktree(self, branch: str, job_id: str) -> Iterator[Worktree]:
        """A fresh worktree on `branch` (made from `main` when new); waits while another job has the branch.

        What a killed attempt left (processes, worktree, lock files) is cleared away first; its finished stages
        are still in the cache. The worktree is gone afterwards, whatever happens inside.
        """
        self.ensure()
        end_leftovers(self._job_name(job_id))
        with (
            locked(self.layout.lock("jobs"), shared=True) as everyone,
            locked(self.layout.lock(f"branch.{branch}"), waiting_for=f"another job on branch {branch}") as own,
        ):
            self._clear(job_id, branch)
            try:
                yield self._add(branch, job_id, (everyone, own))
            finally:
                self._clear(job_id)

    def _add(self, branch: str, job_id: str, descriptors: tuple[int, ...]) -> Worktree:
        path, env = self.layout.job(job_id), self._env(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.layout.site(job_id).mkdir(parents=True, exist_ok=True)
        with locked(self.layout.lock("repository")):
            known = self._git("for-each-ref", f"refs/heads/{branch}")
            start = [str(path), branch] if known else ["-b", branch, str(path), "main"]
            self._git("worktree", "add", "--quiet", *start)
        write_text(path / ".dvc" / "config.local", self.layout.dvc_config_local())
        return Worktree(path, env, descriptors)

    def _clear(self, job_id: str, branch: str | None = None) -> None:
        """Remove the job's worktree and, given a branch that we hold, whatever else of a dead job holds it."""
        with locked(self.layout.lock("repository")):
            self._remove_job(job_id)
            if branch is not None:
                for holder in self._holders(branch):
                    self._remove_job(holder)
                (self.layout.git_dir / "refs" / "heads" / f"{branch}.lock").unlink(missing_ok=True)
            self._git("worktree", "prune", "--expire", "now")

    def _remove_job(self, job_id: str) -> None:
        shutil.rmtree(self.layout.job(job_id), ignore_errors=True)
        shutil.rmtree(self.layout.site(job_id), ignore_errors=True)
        # `git worktree prune` keeps one that was killed while it was being made: Git had locked it.
        shutil.rmtree(self.layout.git_dir / "worktrees" / job_id, ignore_errors=True)

    def _holders(self, branch: str) -> list[str]:
        heads = (self.layout.git_dir / "worktrees").glob("*/HEAD")
        return [head.parent.name for head in heads if head.read_text().strip() == f"ref: refs/heads/{branch}"]

    # Snapshots --------------------------------------------------------------------------------------

    def commit_snapshot(self, dataset_id: str, source_dir: Path, tag: str, message: str) -> None:
        """Move `source_dir` into the repository as the dataset's newest snapshot, tag it and push it."""
        with self.worktree(f"data/{dataset_id}", tag.rpartition("/")[2]) as tree:
            snapshot = tree.path / "snapshot"
            shutil.move(source_dir, snapshot)
            tree.record(message, tag, ["add", "--quiet", "snapshot"])

    def replace_version(self, tag: str, artefact: Path, kept: Sequence[str], job_id: str, message: str) -> None:
        """Move `tag` to a commit that has nothing but `artefact`, which is moved, and the committed files `kept`.

        Inputs, prepared data and model of before are then nobody's: the next `purge` removes them.
        """
        branch = f"rewritten/{tag}"
        with self.worktree(branch, job_id) as tree:
            tree.git("checkout", tag, "--", *kept)
            target = tree.path / "data" / "artefact"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(artefact, target)
            tree.record(message, tag, ["add", "--quiet", "data/artefact"])
        self.release(branch, ())

    def materialise(self, tag: str, path_in_repo: str, destination: Path, only: Sequence[str] = ()) -> None:
        """Check a directory (or file) that DVC tracks out of `tag` to `destination`, which must not exist yet.

        Of a directory all, or `only` these entries. From the cache, else from the remote. Files are read-only links
        into the cache: replace, never change them. Raises RepositoryError when the tag does not have it.
        """
        if destination.exists():
            raise RepositoryError(f"{destination} exists already: nothing is checked out over it")
        self.ensure()
        pointer = self.pointer(tag, path_in_repo)
        job_id = f"read-{uuid.uuid4().hex}"
        scratch = self.layout.reads / job_id
        with locked(self.layout.lock("jobs"), shared=True) as everyone:
            try:
                write_text(scratch / ".dvc" / "config", self.layout.dvc_config(scm=False))
                write_text(scratch / ".dvc" / "config.local", self.layout.dvc_config_local())
                write_text(scratch / "content.dvc", dump_yaml({"outs": [{**pointer, "path": "content"}]}))
                self._check_out(scratch, job_id, everyone, [f"content/{name}" for name in only])
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(scratch / "content", destination)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
                shutil.rmtree(self.layout.site(job_id), ignore_errors=True)

    def _check_out(self, scratch: Path, job_id: str, descriptor: int, targets: Sequence[str]) -> None:
        env, from_cache = self._env(job_id), dvc(["checkout", "--quiet", *targets])
        try:
            stream(from_cache, cwd=scratch, env=env, on_line=log.debug, descriptors=(descriptor,))
        except CommandFailed:
            log.info("not all in the cache: fetching from %s", self.layout.remote_url)
            stream(dvc(["pull", "--quiet", *targets]), cwd=scratch, env=env, descriptors=(descriptor,))

    # Reading ----------------------------------------------------------------------------------------

    def show(self, revision: str, path: str) -> bytes:
        """A committed file's bytes; raises CommandFailed when `revision` or `path` is unknown."""
        return capture(["git", "show", f"{revision}:{path}"], cwd=self.layout.git_dir, env=self._env("show"))

    def objects(self) -> bytes:
        """Every object of Git's, unpacked, named by a tag or not: they are small, as data lies in DVC."""
        if not self.layout.git_dir.is_dir():
            return b""
        return capture(
            ["git", "cat-file", "--batch-all-objects", "--batch"], cwd=self.layout.git_dir, env=self._env("git")
        )

    def has(self, tag: str) -> bool:
        """Whether the tag is there, and with it, in the remote, all that it names."""
        return self.layout.git_dir.is_dir() and bool(self._git("for-each-ref", f"refs/tags/{tag}"))

    def tags(self, under: str) -> list[str]:
        """The tags under `under`, such as `data`, in the order of their names; none when nothing was ever made."""
        if not self.layout.git_dir.is_dir():
            return []
        return self._git("for-each-ref", "--format=%(refname:lstrip=2)", f"refs/tags/{under}").splitlines()

    def added(self, tag: str) -> list[str]:
        """What was added to DVC at `tag` path by path, not made by a stage; raises CommandFailed when it is unknown."""
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
        try:
            return bool(self._git("ls-tree", "--name-only", revision, "--", path))
        except CommandFailed as error:
            raise RepositoryError(f"group {self.group_id} has no {revision}: {error}") from error

    # Removal ----------------------------------------------------------------------------------------

    def forget(self, branch: str, tags: str) -> None:
        """Delete a branch and all tags under `tags/`; what only they named goes with the next `collect`."""
        if not self.layout.git_dir.is_dir():
            return
        with locked(self.layout.lock("repository")):
            (self.layout.git_dir / "packed-refs.lock").unlink(missing_ok=True)
            names = self._git("for-each-ref", "--format=%(refname)", f"refs/heads/{branch}", f"refs/tags/{tags}")
            deletions = "".join(f"delete {name}\n" for name in names.splitlines())
            self._git("update-ref", "--stdin", stdin=deletions.encode())

    def drop(self, tags: Collection[str]) -> None:
        """Delete these tags; what only they named goes with the next `purge`."""
        with locked(self.layout.lock("repository")):
            (self.layout.git_dir / "packed-refs.lock").unlink(missing_ok=True)
            self._git("update-ref", "--stdin", stdin="".join(f"delete refs/tags/{tag}\n" for tag in tags).encode())

    def release(self, branch: str, tags: Collection[str]) -> None:
        """Delete a branch unless its newest commit is that of one of `tags`; waits for a job that has the branch.

        The next job on that branch begins it anew from `main`.
        """
        if not self.layout.git_dir.is_dir():
            return
        with (
            locked(self.layout.lock(f"branch.{branch}"), waiting_for=f"another job on branch {branch}"),
            locked(self.layout.lock("repository")),
        ):
            head = self._git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")
            if head and head not in {self._git("rev-parse", f"refs/tags/{tag}^{{commit}}") for tag in tags}:
                self._git("update-ref", "-d", f"refs/heads/{branch}")

    def purge(self) -> None:
        """Remove what no branch and no tag names from Git, cache and remote, a bucket too, before it returns.

        Waits for the jobs that run; those that come meanwhile wait for it.
        """
        if not self.layout.git_dir.is_dir():
            return
        with locked(self.layout.lock("jobs"), waiting_for="the jobs that run in this dataset group"):
            self._end_dead_jobs()
            # Stages' results by what they were made from; nothing else names those that go.
            shutil.rmtree(self.layout.cache / "runs", ignore_errors=True)
            is_there = "://" in self.layout.remote_url or Path(self.layout.remote_url).is_dir()
            self._collect_objects([["gc", "--all-branches", "--all-tags", "--force", *["--cloud"] * is_there]])

    def collect(self) -> bool:
        """Bound the group's size; False when a job runs, nothing done then.

        The cache keeps the newest snapshot of each dataset and the newest version of each solution: whatever else
        has a tag comes back from the remote. A remote that is a folder loses what no tag names any more; a bucket
        keeps it, because another machine may be pushing there.
        """
        if not self.layout.git_dir.is_dir():
            return True
        with locked_if_free(self.layout.lock("jobs")) as free:
            if not free:
                return False
            self._end_dead_jobs()
            refs = self._git("for-each-ref")
            done = self.layout.root / "collected"
            if not done.exists() or done.read_text() != refs:
                everything = ["gc", "--all-branches", "--all-tags", "--cloud", "--force"]
                in_folder = "://" not in self.layout.remote_url and Path(self.layout.remote_url).is_dir()
                self._collect_objects([everything] * in_folder + [["gc", "--all-branches", "--force"]])
                write_text(done, refs)
            return True

    def _end_dead_jobs(self) -> None:
        """Remove what jobs left that were killed; none runs, as the caller holds the lock alone."""
        for name in ("reads", "jobs", "site"):
            shutil.rmtree(self.layout.root / name, ignore_errors=True)
        self._git("worktree", "prune", "--expire", "now")

    def _collect_objects(self, commands: Sequence[Sequence[str]]) -> None:
        tree = self._add("main", "collect", ())
        try:
            tree.dvc(*commands, on_line=log.debug)
        finally:
            self._clear("collect")
        self._git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
        self._git("gc", "--quiet", "--prune=now")

    def delete(self) -> None:
        """Remove the group's repository, cache and remote; nothing there is fine."""
        if self.layout.root.is_dir():
            # Renamed first: a half-deleted repository must not look like one.
            doomed = self.layout.root.with_name(f".{self.group_id}-{uuid.uuid4().hex[:8]}")
            self.layout.root.rename(doomed)
        for leftover in self.layout.root.parent.glob(f".{self.group_id}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        remote.delete(self.layout.remote_url)

    # ------------------------------------------------------------------------------------------------

    def _job_name(self, job_id: str) -> str:
        # A path, not ids: another home's job is never taken for this one's.
        return str(self.layout.job(job_id))

    def _env(self, job_id: str) -> dict[str, str]:
        return child_env(self._job_name(job_id), self.layout.site(job_id))

    def _git(self, *args: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        command = ["git", *args]
        return capture(command, cwd=self.layout.git_dir, env=env or self._env("git"), stdin=stdin).decode().strip()
