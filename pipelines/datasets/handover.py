"""What a task of an import leaves for the next and for readers, where they may be on machines that share no disk.

On one machine that is the job's folder. Elsewhere each task takes the folder from the tag `imports/<dataset>/<job>` and
gives it back, data by the DVC remote; nothing of it stays with the machine. In the end the tag has report and rejects,
and goes with the dataset, or with the users that a data deletion job finds in it.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.datasets.errors import ImportRefused
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

FOLDER = "job"
_GIVEN = ("report.html", "rejects.parquet", "work/profile.json", "work/snapshot")
"""In the job's folder; all else is a task's own."""


def tag(job: Resource) -> str:
    """Of an import job."""
    return f"imports/{job.parent_id}/{job.id}"


@contextmanager
def at_hand(settings: Settings, job: Resource, folder: Path) -> Iterator[None]:
    """`folder` as the task before left it; what this one makes of it is handed on, also with a refusal."""
    if not settings.git_remote:
        yield
        return
    _take(settings, job, folder)
    try:
        yield
    except ImportRefused:
        _give(settings, job, folder)
        raise
    else:
        _give(settings, job, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened(settings: Settings, job_id: str) -> Iterator[Path]:
    """A folder with the job's report and rejects, as far as there are any; not to be changed."""
    if not settings.git_remote:
        yield settings.imports_dir / job_id
        return
    folder = settings.imports_dir / f".opened-{uuid.uuid4().hex}"
    with transaction(settings) as conn:
        job = store.get(conn, id=job_id)
    try:
        if job is not None and job.kind == "DatasetImportJob":
            _take(settings, job, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take(settings: Settings, job: Resource, folder: Path) -> None:
    repository = _repository(settings, job)
    shutil.rmtree(folder, ignore_errors=True)
    if repository.has(tag(job)):
        repository.materialise(tag(job), FOLDER, folder)


def _give(settings: Settings, job: Resource, folder: Path) -> None:
    there = [folder / name for name in _GIVEN if (folder / name).exists()]
    if not there:
        return
    repository, branch = _repository(settings, job), tag(job)
    with repository.worktree(branch, f"{job.id}-files") as tree:
        for path in there:
            target = tree.path / FOLDER / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                shutil.copytree(path, target, copy_function=link)
            else:
                link(str(path), str(target))
        tree.record(f"Import {job.name}: files", tag(job), ["add", "--quiet", FOLDER])
    repository.release(branch, ())


def _repository(settings: Settings, job: Resource) -> GroupRepository:
    assert job.group_id is not None, "an import job belongs to a group"
    return GroupRepository(settings, job.group_id)


def link(source_path: str, target: str) -> None:
    """A hard link, or a copy where the file system has none."""
    try:
        os.link(source_path, target)
    except OSError:
        shutil.copyfile(source_path, target)
