"""Where a group's repository keeps what, and how an empty one is made."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.repository import remote
from pipelines.repository.processes import capture

GIT_CONFIG = {
    "user.name": "OpenPersonalize",
    "user.email": "openpersonalize@localhost",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "core.autocrlf": "false",
    "core.hooksPath": os.devnull,
    # A version that was announced must not be lost with the power.
    "core.fsync": "committed,reference",
    # Collected by GroupRepository.collect while no job runs, never in the middle of one.
    "gc.auto": "0",
    "maintenance.auto": "false",
}
DVC_IGNORED = "/config.local\n/tmp\n/cache\n"


@dataclass(frozen=True)
class Layout:
    """Paths of one group under `settings.groups_dir/<group id>`, and its remote."""

    root: Path
    remote_url: str

    @property
    def git_dir(self) -> Path:
        """The bare repository."""
        return self.root / "repo.git"

    @property
    def cache(self) -> Path:
        """What DVC keeps for all jobs of the group; outputs in worktrees are hard links into it."""
        return self.root / "cache"

    def job(self, job_id: str) -> Path:
        """The worktree of a running job."""
        return self.root / "jobs" / job_id

    def site(self, job_id: str) -> Path:
        """DVC's state outside the worktree; it goes with the job."""
        return self.root / "site" / job_id

    @property
    def reads(self) -> Path:
        """Scratch folders in which a tag's directory is checked out before it is moved to its destination."""
        return self.root / "reads"

    def lock(self, name: str) -> Path:
        """A lock file, see pipelines/repository/locks.py."""
        return self.root / "locks" / f"{name.replace('/', '.')}.lock"

    def dvc_config(self, *, scm: bool = True) -> str:
        """`.dvc/config`, committed: what a person's own clone needs. The cache is a clone's own."""
        return (
            "[core]\n"
            f"    no_scm = {str(not scm).lower()}\n"
            "    analytics = false\n"
            "    check_update = false\n"
            # With autostage, DVC rewrites Git's index, and a params.yaml of the same second and length is missed.
            "    autostage = false\n"
            f"    remote = {remote.NAME}\n"
            "[cache]\n"
            '    type = "hardlink,symlink,copy"\n'
        ) + remote.config_section(self.remote_url, local=False)

    def dvc_config_local(self) -> str:
        """`.dvc/config.local`: what holds on this machine only."""
        return f"[cache]\n    dir = {self.cache}\n" + remote.config_section(self.remote_url, local=True)


def create(layout: Layout, env: Mapping[str, str]) -> None:
    """Make the bare repository with an empty branch `main`; it appears complete or not at all."""
    layout.root.mkdir(parents=True, exist_ok=True)
    for leftover in layout.root.glob(".new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    layout.cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=layout.root) as scratch:
        new, seed = Path(scratch) / "repo.git", Path(scratch) / "seed"
        seed.mkdir()
        capture(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(new)], cwd=seed, env=env)
        for name, value in GIT_CONFIG.items():
            capture(["git", "config", name, value], cwd=new, env=env)
        (seed / ".dvc").mkdir()
        (seed / ".dvc" / "config").write_text(layout.dvc_config())
        (seed / ".dvc" / ".gitignore").write_text(DVC_IGNORED)
        (seed / ".dvcignore").write_text("")
        git = ["git", f"--git-dir={new}", f"--work-tree={seed}"]
        own_index = {**env, "GIT_INDEX_FILE": str(Path(scratch) / "index")}
        capture([*git, "add", "--all"], cwd=seed, env=own_index)
        capture([*git, "commit", "--quiet", "-m", "An empty dataset group"], cwd=seed, env=own_index)
        new.rename(layout.git_dir)
