"""From a tagged artefact to a version that clients can use: model, Bento, metrics, ACTIVE."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions import bentos
from pipelines.versions.claiming import start
from pipelines.versions.errors import VersionGone, VersionStopped
from pipelines.versions.lookup import BASE, Subject, dropped, subject, unfinished
from pipelines.versions.stopping import stoppable

log = logging.getLogger(__name__)

METRICS = "data/reports/metrics.json"
HPO = "data/reports/hpo.json"
ARTEFACT = "data/artefact"


def publish(settings: Settings, version_id: str) -> None:
    """Build the Bento from the version's tag, then make the version ACTIVE with its metrics, in one transaction.

    Nothing to do when an earlier attempt got that far. Raises VersionGone when the solution was deleted meanwhile,
    VersionStopped when a client stops the version; the Bento is then removed again.
    """
    with stoppable(settings, version_id):
        _publish(settings, version_id)


def _publish(settings: Settings, version_id: str) -> None:
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            if subject(conn, version_id).version.status == store.ACTIVE:
                log.info("an earlier attempt has already published version %s", version_id)
                return
            found = start(conn, version_id)
        try:
            reports, tuned = build(settings, found, found.tag), _tuned(settings, found)
            with database.begin() as conn:
                _activate(conn, version_id, reports, tuned)
        except VersionStopped:
            bentos.remove(settings, found.solution.id, version_id)
            raise
        except VersionGone:
            _remove_if_deleted(settings, database, found)
            raise
        log.info("ACTIVE: %s, metrics %s", found.version.arn, reports["metrics"])
        if BASE in found.version.internal:
            log.info("nothing was fitted: the metrics are those of version %s", found.version.internal[BASE])
        for warned in reports["warnings"]:
            log.warning("%s: %s", found.version.arn, warned["text"])
    finally:
        database.dispose()


# Unlike AWS, training: trainingHours are the hours by the clock that making the version took, evaluation included.
# Nothing is billed by them.
def _activate(conn: Connection, version_id: str, reports: Mapping[str, Any], tuned: Mapping[str, Any]) -> None:
    found = unfinished(conn, version_id)
    hours = found.version.internal.get("training_seconds", 0.0) / 3600
    store.update(
        conn,
        version_id,
        status=store.ACTIVE,
        failure_reason=None,
        doc={"trainingHours": max(round(hours, 3), 0.001), **tuned},
        internal={
            "tag": found.tag,
            "bento": found.bento,
            "metrics": reports["metrics"],
            "report": reports,
        },
    )


def _tuned(settings: Settings, found: Subject) -> dict[str, Any]:
    """`tunedHPOParams` as DescribeSolutionVersion shows it, of a version that searched for its hyperparameters."""
    if not found.version.doc.get("performHPO"):
        return {}
    best = json.loads(GroupRepository(settings, found.group_id).show(found.tag, HPO))["best"]
    return {"tunedHPOParams": {"algorithmHyperParameters": {name: str(value) for name, value in best.items()}}}


def _remove_if_deleted(settings: Settings, database: Engine, found: Subject) -> None:
    """Not when the version has only ended otherwise: another attempt may have published it."""
    try:
        with database.begin() as conn:
            subject(conn, found.version.id)
    except VersionGone:
        bentos.remove(settings, found.solution.id, found.version.id)


def build(settings: Settings, found: Subject, tag: str) -> dict[str, Any]:
    """Model and Bento of a version from its tag, or that of an update of it; returns its metrics.json.

    Where tasks share no disk with the runtime, that makes both itself when a campaign asks for them.
    """
    repository = GroupRepository(settings, found.group_id)
    reports: dict[str, Any] = json.loads(repository.show(tag, METRICS))
    if not settings.git_remote:
        _make(settings, found, tag, repository, reports)
    return reports


def _make(
    settings: Settings, found: Subject, tag: str, repository: GroupRepository, reports: Mapping[str, Any]
) -> None:
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    # Beside the Bento store, so that the files are hard links all the way from DVC's cache.
    settings.bento_home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".artefact-{found.version.id}-", dir=settings.bento_home) as scratch:
        artefact = Path(scratch) / "artefact"
        repository.materialise(tag, ARTEFACT, artefact)
        bentos.build(settings, bentos.Spec.of(found, reports, artefact))


def restore(settings: Settings, version_id: str) -> None:
    """Rebuild a version's model and Bento, as last updated, from the DVC remote; raises VersionGone or RepositoryError."""
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            found = subject(conn, version_id)
    finally:
        database.dispose()
    reason = dropped(found.version)
    if reason is not None:
        raise VersionGone(reason)
    repository, tag = GroupRepository(settings, found.group_id), found.artefact_tag
    _make(settings, found, tag, repository, json.loads(repository.show(tag, METRICS)))
