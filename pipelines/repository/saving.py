"""A group's repository as a backup takes it and gives it back: its refs, one Git pack, and the objects of its DVC remote.

A pack of what the refs name rather than the repository's files: those change while jobs run, a pack is what the refs
named when they were listed, whole or refused. Objects of DVC never change; while `kept` none of them goes.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.repository import places
from pipelines.repository.errors import CommandFailed, RepositoryError
from pipelines.repository.group import GroupRepository
from pipelines.repository.layout import GIT_CONFIG
from pipelines.repository.locks import locked
from pipelines.repository.processes import capture
from pipelines.repository.shared import everywhere

OBJECTS = Path("files/md5")
"""Of a DVC remote: where the bytes of each digest lie, below its first two digits."""
_OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")


@contextmanager
def kept(repository: GroupRepository) -> Iterator[None]:
    """Nothing is taken out of Git, cache or remote meanwhile; jobs go on, and what removes data waits."""
    waiting_for = "what removes the group's old data"
    with (
        everywhere(repository._settings, repository._jobs, shared=True, waiting_for=waiting_for),
        locked(repository.layout.lock("jobs"), shared=True, waiting_for=waiting_for),
    ):
        repository.refresh()
        yield


@contextmanager
def still(repository: GroupRepository) -> Iterator[None]:
    """No tag and no branch is deleted meanwhile: keep it short."""
    with locked(repository.layout.lock("repository")):
        yield


def refs(repository: GroupRepository) -> str:
    """Lines `<commit> <ref>` of every branch and tag; empty of a group without a repository. The caller keeps it `still`."""
    if not repository.layout.git_dir.is_dir():
        return ""
    if repository._shared is not None:
        # What another machine has tagged before the moment that the caller has just taken.
        repository._shared.fetch()
    return repository._git("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags") + "\n"


def pack(repository: GroupRepository, listed: str, path: Path) -> None:
    """Write all that `listed` (see `refs`) names into one pack at `path`."""
    commits = "".join(f"{line.split()[0]}\n" for line in listed.splitlines())
    command = ["git", "pack-objects", "--revs", "--quiet", "--stdout"]
    with path.open("wb") as out:
        done = subprocess.run(
            command,
            cwd=repository.layout.git_dir,
            env=repository._env("git"),
            input=commits.encode(),
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stderr.decode(errors="replace").splitlines())


def unpack(repository: GroupRepository, listed: str, path: Path) -> None:
    """Make the group's repository, which must not exist, of a pack and its refs: complete or not at all."""
    layout, env = repository.layout, repository._env("restore")
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=layout.root) as scratch:
        new = Path(scratch) / "repo.git"
        capture(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(new)], cwd=layout.root, env=env)
        for name, value in GIT_CONFIG.items():
            capture(["git", "config", name, value], cwd=new, env=env)
        capture(["git", "index-pack", "--stdin"], cwd=new, env=env, stdin=path.read_bytes())
        orders = "".join("create {1} {0}\n".format(*line.split()) for line in listed.splitlines())
        capture(["git", "update-ref", "--stdin"], cwd=new, env=env, stdin=orders.encode())
        if repository._shared is not None:
            # The tags there are the truth of all machines: what they lack would be forgotten here.
            repository._shared.give(new)
        new.rename(layout.git_dir)


# DVC's objects --------------------------------------------------------------------------------------


def objects(repository: GroupRepository) -> list[Path]:
    """The files of a remote that is a folder, sorted; what is still being written has another name."""
    folder = Path(repository.layout.remote_url) / OBJECTS
    return sorted(path for path in folder.glob("??/*") if _OBJECT.fullmatch(path.name))


def digest(path: Path) -> str:
    """The MD5 of its bytes that an object is named after."""
    return path.parent.name + path.name.removesuffix(".dir")


def missing(repository: GroupRepository, listed: str) -> list[str]:
    """Digests of directories that tags name and the remote does not have; one is pushed after all that is in it."""
    return sorted(named(repository, listed) - places.place(repository.layout.remote_url).objects())


def named(repository: GroupRepository, listed: str) -> set[str]:
    """Digests of the directories that a stage made or that were added, at any tag."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    blobs = set()
    for line in listed.splitlines():
        commit, ref = line.split()
        if ref.startswith("refs/tags/"):
            for entry in repository._git("ls-tree", "-r", commit).splitlines():
                facts, name = entry.split("\t")
                if name == "dvc.lock" or name.endswith(".dvc"):
                    blobs.add(facts.split()[2])
    found = set()
    for blob in sorted(blobs):
        document: dict[str, Any] = yaml.load(repository._git("cat-file", "blob", blob), loader)
        stages = document.get("stages", {}).values() if "stages" in document else [document]
        # Directories: single files are reports, which are in Git itself.
        found |= {out["md5"] for stage in stages for out in stage.get("outs", []) if str(out["md5"]).endswith(".dir")}
    return found


def place(repository: GroupRepository, name: str) -> Path:
    """Where the object `xx/yyy` of a backup belongs; raises RepositoryError unless that is an object's name."""
    first, _, rest = name.partition("/")
    if not (re.fullmatch(r"[0-9a-f]{2}", first) and _OBJECT.fullmatch(rest)):
        raise RepositoryError(f"{name!r} is no object of a DVC remote")
    return Path(repository.layout.remote_url) / OBJECTS / first / rest
