"""The training itself: the stages of dvc.yaml in a worktree of the group's repository, committed, pushed and tagged.

Whatever is killed in between, the next attempt starts a fresh worktree and finds its finished stages in the cache.
"""

from __future__ import annotations

import logging
import resource
import time

from sqlalchemy import Engine

from pipelines.disk import require_disk
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.repository import GroupRepository, Worktree
from pipelines.repository.worktree import write_text
from pipelines.settings import Settings
from pipelines.versions.claiming import start
from pipelines.versions.folding import Fold, fold
from pipelines.versions.inputs import input_bytes, lay_out
from pipelines.versions.lookup import BASE, Subject, subject
from pipelines.versions.params import params, recipe_of
from pipelines.versions.stage_log import repro
from pipelines.versions.stopping import stoppable
from pipelines.versions.updatable import refuse_lost

log = logging.getLogger(__name__)

BASE_BYTES = 256 * 1024**2
"""Model, artefact and reports of a small data set, in the cache and in the remote."""
BYTES_PER_INPUT_BYTE = 4
"""Prepared sequences and frozen events, in the cache and in the remote."""


def reproduce(settings: Settings, version_id: str) -> None:
    """Make the version's outputs and tag them; nothing to do when an earlier attempt got that far.

    Raises VersionFailed with the reason that a stage gave, VersionStopped when a client stops it, CommandFailed or
    RepositoryError otherwise.
    """
    with stoppable(settings, version_id):
        _reproduce(settings, version_id)


def _reproduce(settings: Settings, version_id: str) -> None:
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            repository = GroupRepository(settings, subject(conn, version_id).group_id)
        # Before it turns out that the version was stopped: what works on it then ends with it.
        repository.end_leftovers(version_id)
        with database.begin() as conn:
            found = start(conn, version_id)
        repository.ensure()
        started, cpu = time.monotonic(), _cpu_seconds()
        if repository.has(found.tag):
            log.info("an earlier attempt has already made and pushed %s", found.tag)
        else:
            needed = BASE_BYTES + BYTES_PER_INPUT_BYTE * input_bytes(repository, found.version.internal)
            require_disk(settings.home, needed)
            with repository.worktree(found.branch, version_id) as tree:
                # An earlier attempt that Airflow took for dead may have held the branch until now.
                if not repository.has(found.tag):
                    _make(database, repository, tree, found)
            log.info("made %s in %.0f s", found.tag, time.monotonic() - started)
        with database.begin() as conn:
            cost = {
                "training_seconds": round(time.monotonic() - started, 1),
                "training_cpu_seconds": round(_cpu_seconds() - cpu, 1),
            }
            store.update(conn, version_id, internal={"tag": found.tag, **cost}, touch=False)
    finally:
        database.dispose()


def _cpu_seconds() -> float:
    """User and system seconds of this process's finished children: Git, DVC and its stages."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _make(database: Engine, repository: GroupRepository, tree: Worktree, found: Subject) -> None:
    from pipelines.code_digest import code_params
    from pipelines.recipes import packages
    from pipelines.stages_definition import group_dvc_yaml

    message = f"{found.version.name}: {found.version.arn}"
    if BASE in found.version.internal:
        with database.begin() as conn:
            base = subject(conn, found.version.internal[BASE])
            refuse_lost(base.version)
        fold(database, repository, tree, Fold(base, found.version.internal, found.tag, message))
        return
    lock = packages.lock(recipe_of(found))
    values = params(found, code_params(lock))
    with database.connect() as conn:
        inputs = lay_out(conn, repository, tree, found.group_id, found.version.internal)
    write_text(tree.path / "dvc.yaml", group_dvc_yaml())
    write_text(tree.path / packages.LOCK, lock)
    repro(tree, message, found.tag, inputs.commands(), values)
