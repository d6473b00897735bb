"""From a tagged artefact to a version that clients can use: model, Bento, metrics, ACTIVE."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions import bentos
from pipelines.versions.claiming import start
from pipelines.versions.lookup import Subject, subject, unfinished

log = logging.getLogger(__name__)

METRICS = "data/reports/metrics.json"
ARTEFACT = "data/artefact"


def publish(settings: Settings, version_id: str) -> None:
    """Build the Bento from the version's tag, then make the version ACTIVE with its metrics, in one transaction.

    Raises VersionGone when the solution was deleted meanwhile; the Bento is then removed again.
    """
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            found = start(conn, version_id)
        reports = build(settings, found)
        try:
            with database.begin() as conn:
                found = unfinished(conn, version_id)
                hours = found.version.internal.get("training_seconds", 0.0) / 3600
                store.update(
                    conn,
                    version_id,
                    status=store.ACTIVE,
                    failure_reason=None,
                    doc={"trainingHours": max(round(hours, 3), 0.001)},
                    internal={
                        "tag": found.tag,
                        "bento": found.bento,
                        "metrics": reports["metrics"],
                        "baselines": reports["baselines"],
                        "best_epoch": reports.get("best_epoch"),
                    },
                )
        except Exception:
            bentos.remove(settings, found.solution.id, version_id)
            raise
        log.info("ACTIVE: %s, metrics %s", found.version.arn, reports["metrics"])
    finally:
        database.dispose()


def build(settings: Settings, found: Subject) -> dict[str, Any]:
    """Model and Bento of a version from its tag; returns its metrics.json."""
    repository = GroupRepository(settings, found.group_id)
    reports: dict[str, Any] = json.loads(repository.show(found.tag, METRICS))
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    # Beside the Bento store, so that the files are hard links all the way from DVC's cache.
    settings.bento_home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".artefact-", dir=settings.bento_home) as scratch:
        artefact = Path(scratch) / "artefact"
        repository.materialise(found.tag, ARTEFACT, artefact)
        bentos.build(settings, bentos.Spec.of(found, reports, artefact))
    return reports


def restore(settings: Settings, version_id: str) -> None:
    """Rebuild a version's model and Bento from the DVC remote; raises VersionGone or RepositoryError."""
    database = engine(settings, pool_size=1)
    try:
        with database.begin() as conn:
            found = subject(conn, version_id)
    finally:
        database.dispose()
    build(settings, found)
