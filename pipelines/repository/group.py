"""The repository of one dataset group: branches and tags by internal ids, one worktree a running job."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.repository import remote
from pipelines.repository.contents import Contents
from pipelines.repository.environment import dvc
from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.locks import locked, locked_if_free
from pipelines.repository.processes import capture, end_leftovers, log, stream
from pipelines.repository.shared import Everywhere, everywhere, everywhere_if_free, leave_nothing
from pipelines.repository.worktree import Worktree, dump_yaml, write_text


class GroupRepository(Contents):
    """Snapshots (`data/<dataset id>/<job id>`) and versions (`sv/<solution id>/<version id>`) of one group."""

    # Jobs -------------------------------------------------------------------------------------------

    @contextmanager
    def worktree(self, branch: str, job_id: str) -> Iterator[Worktree]:
        """A fresh worktree on `branch` (made from `main` when new); waits while another job has the branch.

        What a killed attempt left (processes, worktree, lock files) is cleared away first; its finished stages
        are still in the cache. The worktree is gone afterwards, whatever happens inside.
        """
        self.ensure()
        self.end_leftovers(job_id)
        with everywhere(
            self._settings, self._jobs, shared=True, waiting_for="what removes the group's old data"
        ) as lock:
            with (
                locked(self.layout.lock("jobs"), shared=True) as everyone,
                locked(self.layout.lock(f"branch.{branch}"), waiting_for=f"another job on branch {branch}") as own,
            ):
                self.refresh()
                self._clear(job_id, branch)
                try:
                    yield self._add(branch, job_id, (everyone, own), lock)
                finally:
                    self._clear(job_id)
            leave_nothing(self._settings)

    def end_leftovers(self, job_id: str) -> None:
        """End the processes on this machine that a killed attempt of the job has left."""
        end_leftovers(self._job_name(job_id))

    @property
    def _jobs(self) -> str:
        """The lock `jobs` on all machines."""
        return f"jobs of group {self.group_id}"

    def _add(
        self, branch: str, job_id: str, descriptors: tuple[int, ...], everywhere: Everywhere | None = None
    ) -> Worktree:
        path, env = self.layout.job(job_id), self._env(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.layout.site(job_id).mkdir(parents=True, exist_ok=True)
        with locked(self.layout.lock("repository")):
            # What another machine has of the branch is not known here.
            known = self._shared is None and self._git("for-each-ref", f"refs/heads/{branch}")
            start = [str(path), branch] if known or branch == "main" else ["-B", branch, str(path), "main"]
            self._git("worktree", "add", "--quiet", *start)
        write_text(path / ".dvc" / "config.local", self.layout.dvc_config_local())
        return Worktree(path, env, descriptors, lambda tag: self._tag(path, tag, everywhere))

    def _tag(self, tree: Path, tag: str, everywhere: Everywhere | None) -> None:
        """Tag the worktree's commit, in the Git remote first."""
        with locked(self.layout.lock("repository")):
            if self._shared is not None and everywhere is not None:
                # Without it a purge may have taken what was just pushed for nobody's.
                everywhere.check()
                self._shared.push(tree, tag)
            # Left by an attempt that was killed while tagging; nobody else writes tags of this branch.
            (self.layout.git_dir / "refs" / "tags" / f"{tag}.lock").unlink(missing_ok=True)
            capture(["git", "tag", "--force", tag, "HEAD"], cwd=tree, env=self._env("git"))

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
        leave_nothing(self._settings)

    def _check_out(self, scratch: Path, job_id: str, descriptor: int, targets: Sequence[str]) -> None:
        env, from_cache = self._env(job_id), dvc(["checkout", "--quiet", *targets])
        if (self.layout.cache / "files").is_dir():
            try:
                stream(from_cache, cwd=scratch, env=env, on_line=log.debug, descriptors=(descriptor,))
                return
            except CommandFailed:
                log.info("not all in the cache: fetching from %s", self.layout.remote_url)
        stream(dvc(["pull", "--quiet", *targets]), cwd=scratch, env=env, descriptors=(descriptor,))

    # Removal ----------------------------------------------------------------------------------------

    def forget(self, branch: str, tags: str) -> None:
        """Delete a branch and all tags under `tags/`; what only they named goes with the next `collect`."""
        self.refresh()
        if not self.layout.git_dir.is_dir():
            return
        with locked(self.layout.lock("repository")):
            (self.layout.git_dir / "packed-refs.lock").unlink(missing_ok=True)
            names = self._git("for-each-ref", "--format=%(refname)", f"refs/heads/{branch}", f"refs/tags/{tags}")
            if self._shared is not None:
                self._shared.delete([n.removeprefix("refs/tags/") for n in names.splitlines() if "/tags/" in n])
            deletions = "".join(f"delete {name}\n" for name in names.splitlines())
            self._git("update-ref", "--stdin", stdin=deletions.encode())

    def drop(self, tags: Collection[str]) -> None:
        """Delete these tags; what only they named goes with the next `purge`."""
        self.refresh()
        with locked(self.layout.lock("repository")):
            (self.layout.git_dir / "packed-refs.lock").unlink(missing_ok=True)
            if self._shared is not None:
                self._shared.delete(list(tags))
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
        self.refresh()
        if not self.layout.git_dir.is_dir():
            return
        waiting_for = "the jobs that run in this dataset group"
        with (
            everywhere(self._settings, self._jobs, waiting_for=waiting_for),
            locked(self.layout.lock("jobs"), waiting_for=waiting_for),
        ):
            # Those that have ended while this waited have pushed tags.
            self.refresh()
            self._end_dead_jobs()
            # Stages' results by what they were made from; nothing else names those that go.
            shutil.rmtree(self.layout.cache / "runs", ignore_errors=True)
            is_there = "://" in self.layout.remote_url or Path(self.layout.remote_url).is_dir()
            self._collect_objects([[*self._gc_all, *["--cloud"] * is_there]])

    def collect(self) -> bool:
        """Bound the group's size; False when a job runs, nothing done then.

        The cache keeps the newest snapshot of each dataset and the newest version of each solution: whatever else
        has a tag comes back from the remote. A remote that is a folder loses what no tag names any more; a bucket
        keeps it, because another machine may be pushing there, unless a Git remote says which machines there are.
        """
        self.refresh()
        if not self.layout.git_dir.is_dir():
            return True
        with (
            everywhere_if_free(self._settings, self._jobs) as all_free,
            locked_if_free(self.layout.lock("jobs")) as free,
        ):
            if not (free and all_free):
                return False
            self._end_dead_jobs()
            refs = self._git("for-each-ref")
            done = self.layout.root / "collected"
            if not done.exists() or done.read_text() != refs:
                in_bucket = "://" in self.layout.remote_url
                ours = self._shared is not None if in_bucket else Path(self.layout.remote_url).is_dir()
                everything, newest = [*self._gc_all, "--cloud"], ["gc", "--all-branches", "--force"]
                self._collect_objects([everything] * ours + [newest] * (self._shared is None))
                write_text(done, refs)
        leave_nothing(self._settings)
        return True

    @property
    def _gc_all(self) -> list[str]:
        # With a Git remote branches are a machine's own, and old.
        return ["gc", *["--all-branches"] * (self._shared is None), "--all-tags", "--force"]

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
        if self._shared is not None:
            self._shared.delete(self.tags(""))
        if self.layout.root.is_dir():
            # Renamed first: a half-deleted repository must not look like one.
            doomed = self.layout.root.with_name(f".{self.group_id}-{uuid.uuid4().hex[:8]}")
            self.layout.root.rename(doomed)
        for leftover in self.layout.root.parent.glob(f".{self.group_id}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        remote.delete(self.layout.remote_url)
