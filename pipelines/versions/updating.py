"""Automatic updates: a version's artefact with new items and newer counts, swapped in where the version is served.

The version stays what it is: its ARN, its metrics, its weights. Each update has a tag of its own,
`sv/<solution>/<version>.<n>`, and the artefact's edition goes up; workers of the runtime load the newest. What is to
be made is written down first (UPDATING), so that a repeated call after a crash goes on with the same inputs, and so
that a data deletion job waits for what began with data of before it.

A failed update changes nothing that is served. Why it failed stands in `internal` of the version, and in the task's log.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from pipelines.datasets.impressions import resolve
from pipelines.disk import require_disk
from pipelines.registry import store
from pipelines.registry.database import engine, transaction
from pipelines.registry.reasons import shortened
from pipelines.repository import GroupRepository
from pipelines.repository.cached import link_cached
from pipelines.settings import Settings
from pipelines.versions import bentos, publishing
from pipelines.versions.claiming import freeze
from pipelines.versions.editions import NotLoaded, publish_edition
from pipelines.versions.folding import Fold, fold
from pipelines.versions.inputs import input_bytes
from pipelines.versions.lookup import UPDATES, UPDATING, Subject, subject
from pipelines.versions.reproducing import BASE_BYTES, BYTES_PER_INPUT_BYTE
from pipelines.versions.updatable import NotUpdatable, automatic

log = logging.getLogger(__name__)

# Unlike AWS, training: an automatic update is kept as a tag, the last 12 of a version. One can go back to it; AWS
# keeps none that has a name.
KEPT = 12
"""Updates of a version that keep their tags: those of a day, as long as answers can be traced to what gave them. Of a
version that is updated no more the last one is kept, which a campaign goes back to."""
FAILED = "update_failed"
"""Member of a version's `internal`: {number, at, reason} of its last automatic update if that failed; None otherwise."""
REPORT = "data/reports/update.json"


def update(settings: Settings, version_id: str, now: datetime) -> None:
    """Fold what is new into the version, from the frozen inputs to the last worker of the runtime that serves it.

    Goes on where an attempt that was killed stopped, and waits while another run updates the version. Raises NotUpdatable,
    VersionFailed, CommandFailed, RepositoryError or DiskFull.
    """
    database = engine(settings, pool_size=2)
    try:
        with _alone(database, version_id):
            with database.begin() as conn:
                found = _begin(conn, version_id, now)
            # In a transaction of its own: the one above holds new events back.
            with database.connect() as conn:
                resolve(conn)
            _make(settings, database, found)
            _publish(settings, found)
            _drop_older(settings, database, found)
    finally:
        database.dispose()


def fail(settings: Settings, version_id: str, reason: str, now: datetime) -> None:
    """End an update that could not be made: what is served stays, and the next one begins with newer data."""
    with transaction(settings) as conn:
        version = store.get(conn, id=version_id, lock=True)
        if version is not None and version.internal.get(UPDATING):
            failed = {
                "number": version.internal[UPDATING]["number"],
                "at": now.isoformat(),
                "reason": shortened(reason),
            }
            store.update(conn, version_id, internal={UPDATING: None, FAILED: failed}, touch=False)
            log.error("update %d of %s failed: %s", failed["number"], version.arn, reason)


@contextmanager
def _alone(database: Engine, version_id: str) -> Iterator[None]:
    """One update of a version at a time, on all machines; the lock ends with its session, so a dead run holds up nobody."""
    key = func.hashtextextended(f"openpersonalize:update:{version_id}", 0)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        try:
            if not conn.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
                log.info("waiting for another run that updates version %s", version_id)
                conn.execute(select(func.pg_advisory_lock(key)))
            yield
        finally:
            # Back in the pool it would keep the lock.
            conn.invalidate()


def _begin(conn: Connection, version_id: str, now: datetime) -> Subject:
    """Write down what is to be made, unless an earlier attempt has."""
    version = store.get(conn, id=version_id)
    # The API's order: who makes a data deletion job holds the group, and either sees what this writes or is seen.
    group = store.get(conn, id=str(version.group_id), lock=True) if version is not None else None
    found = subject(conn, version_id, lock=True)
    internal = found.version.internal
    if internal.get(UPDATING):
        log.info("going on with update %d of %s", internal[UPDATING]["number"], found.version.arn)
        return found
    assert group is not None, "a group is not deleted before its versions"
    if automatic(conn, found.solution).id != version_id:
        raise NotUpdatable(f"{found.version.arn} is not the newest FULL version of {found.solution.arn}.")
    if any(job.status in store.UNFINISHED for job in store.in_group(conn, group.id, "DataDeletionJob")):
        raise NotUpdatable(f"Users are being deleted from {group.arn}: update again when that has ended.")
    last = max([0, *(one["number"] for one in [*internal.get(UPDATES, ()), internal.get(FAILED)] if one)])
    begun = {
        "number": last + 1,
        "edition": internal.get("edition", 0) + 1,
        "at": now.isoformat(),
        **freeze(conn, found),
    }
    log.info("update %d of %s: inputs frozen: %s", begun["number"], found.version.arn, begun)
    return Subject(store.update(conn, version_id, internal={UPDATING: begun}, touch=False), found.solution)


def _tag(found: Subject) -> str:
    return f"{found.tag}.{found.version.internal[UPDATING]['number']}"


def _make(settings: Settings, database: Engine, found: Subject) -> None:
    repository, tag, begun = GroupRepository(settings, found.group_id), _tag(found), found.version.internal[UPDATING]
    if repository.has(tag):
        log.info("an earlier attempt has already made and pushed %s", tag)
        return
    require_disk(settings.home, BASE_BYTES + BYTES_PER_INPUT_BYTE * input_bytes(repository, begun))
    message = f"{found.version.name}, update {begun['number']}: {found.version.arn}"
    with repository.worktree(found.update_branch, f"{found.version.id}.{begun['number']}") as tree:
        # An earlier attempt that Airflow took for dead may have held the branch until now.
        if not repository.has(tag):
            fold(database, repository, tree, Fold(found, begun, tag, message, begun["edition"]))


def _publish(settings: Settings, found: Subject) -> None:
    """Into the Bento store, the registry and every worker."""
    repository, tag = GroupRepository(settings, found.group_id), _tag(found)
    begun: dict[str, Any] = found.version.internal[UPDATING]
    report = json.loads(repository.show(tag, REPORT))
    _store(settings, repository, found, tag)
    done = {**begun, "tag": tag, "rows": report["interactions"], "items": report["items"]}
    updates = [*found.version.internal.get(UPDATES, ()), done][-KEPT:]
    known = {UPDATES: updates, UPDATING: None, FAILED: None}
    try:
        publish_edition(settings, found.version.id, begun["edition"], known)
    except NotLoaded as error:
        failed = {FAILED: {"number": begun["number"], "at": begun["at"], "reason": shortened(str(error))}}
        with transaction(settings) as conn:
            store.update(conn, found.version.id, internal=failed, touch=False)
        raise
    log.info("update %d of %s is served: %s", begun["number"], found.version.arn, report)


def _drop_older(settings: Settings, database: Engine, found: Subject) -> None:
    """Let go of all tags of updates but those that KEPT says; of killed and failed updates too."""
    kept = set()
    with database.begin() as conn:
        for version in store.children(conn, found.solution.id, "SolutionVersion"):
            updates = version.internal.get(UPDATES, [])
            if version.id != found.version.id and len(updates) > 1:
                updates = updates[-1:]
                store.update(conn, version.id, internal={UPDATES: updates}, touch=False)
            kept |= {update["tag"] for update in updates}
    repository = GroupRepository(settings, found.group_id)
    tags = repository.tags(f"sv/{found.solution.id}")
    repository.drop([tag for tag in tags if "." in tag and tag not in kept])


def _store(settings: Settings, repository: GroupRepository, found: Subject, tag: str) -> None:
    if settings.git_remote:
        return  # the runtime, which is elsewhere, makes its own
    settings.bento_home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".artefact-{found.version.id}-", dir=settings.bento_home) as scratch:
        artefact = Path(scratch) / "artefact"
        if not link_cached(repository, tag, publishing.ARTEFACT, artefact):
            repository.materialise(tag, publishing.ARTEFACT, artefact)
        if bentos.swap_model(settings, found.solution.id, found.version.id, artefact):
            return
    # It was lost.
    publishing.build(settings, found, tag)
