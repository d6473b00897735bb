"""What a campaign serves, held against the registry, the Git tags, the Bento store and what the workers say."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from pipelines.platform.airflow_client import AirflowClient, AirflowUnavailable
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import outbox
from pipelines.registry.workers import reports
from pipelines.repository import GroupRepository
from pipelines.repository.cached import link_cached
from pipelines.serving import scrubbing
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import model_directory
from pipelines.settings import Settings
from pipelines.versions.bentos import MODEL
from pipelines.versions.lookup import UPDATES, UPDATING, Subject
from pipelines.versions.publishing import ARTEFACT
from pipelines.versions.rollout import HELD
from tests.support.life import wait_for


@dataclass(frozen=True)
class Served:
    """A version of which nothing is half-done."""

    found: Subject
    tags: tuple[str, ...]
    """Of its solution: versions and updates."""

    @property
    def version(self) -> Resource:
        return self.found.version

    @property
    def edition(self) -> int:
        return int(self.version.internal.get("edition", 0))

    @property
    def updates(self) -> list[dict[str, Any]]:
        """Automatic updates that are kept, newest last."""
        return list(self.version.internal.get(UPDATES, []))

    @property
    def seen(self) -> int:
        """Id of the newest streamed event that is in what is served."""
        frozen = self.updates[-1] if self.updates else self.version.internal
        return int(frozen["event_cutoff"])


def registered(settings: Settings, arn: str) -> Resource:
    with transaction(settings) as conn:
        found = store.get(conn, arn=arn)
    assert found is not None, arn
    return found


def served(settings: Settings, campaign_arn: str, *, seconds: float = 60) -> Served:
    """What the campaign serves, once every worker says so; AssertionError when it is not whole and written down."""
    wait_for("every worker serves what is wanted", lambda: _is_served(settings, campaign_arn), seconds=seconds)
    campaign = registered(settings, campaign_arn)
    version = registered(settings, campaign.doc["solutionVersionArn"])
    solution = registered(settings, version.arn.rpartition("/")[0])
    repository = GroupRepository(settings, str(version.group_id))
    found = Served(Subject(version, solution), tuple(repository.tags(f"sv/{solution.id}")))
    assert (campaign.status, version.status) == (store.ACTIVE, store.ACTIVE)
    assert version.internal.get(UPDATING) is None, "an update is under way"
    assert found.edition == (found.updates[-1]["edition"] if found.updates else 0)
    assert {found.found.tag, *(update["tag"] for update in found.updates)} <= set(found.tags)
    directory = model_directory(settings, solution.id, version.id)
    assert scrubbing.edition(directory) == found.edition
    Artefact.open(directory)
    with tempfile.TemporaryDirectory(dir=settings.run_dir) as scratch:
        tagged = Path(scratch) / "artefact"
        if not link_cached(repository, found.found.artefact_tag, ARTEFACT, tagged):
            repository.materialise(found.found.artefact_tag, ARTEFACT, tagged)
        assert _digests(directory) == _digests(tagged), "the Bento store has other bytes than the tag"
    return found


def approve_if_asked(settings: Settings, version_arn: str) -> None:
    """Tests of this size have hold-outs of a few users: a version may measure worse by chance."""
    version = registered(settings, version_arn)
    held = version.internal.get(HELD)
    if held is None or held["decision"] is not None:
        return
    with transaction(settings) as conn:
        run_id = conn.execute(select(outbox.c.run_id).where(outbox.c.resource_id == version.id)).scalar_one()
    try:
        AirflowClient(settings).answer("solution_version", run_id, "approve", "Approve")
    except AirflowUnavailable:
        return  # the caller asks again


def follows(settings: Settings, campaign_arn: str, version_arn: str) -> bool:
    """Whether the campaign that follows its solution has come to the version; a person's answer is given."""
    approve_if_asked(settings, version_arn)
    campaign = registered(settings, campaign_arn)
    update = campaign.doc.get("latestCampaignUpdate", {"status": store.ACTIVE})
    return bool(campaign.doc["solutionVersionArn"] == version_arn and update["status"] == store.ACTIVE)


def _is_served(settings: Settings, campaign_arn: str) -> bool:
    with transaction(settings) as conn:
        campaign = store.get(conn, arn=campaign_arn)
        assert campaign is not None
        now = conn.execute(select(func.now())).scalar_one()
        ready, error = reports(conn, campaign.id, campaign.internal["deployment"]["id"], now)
    assert error is None, error
    update = campaign.doc.get("latestCampaignUpdate", {"status": store.ACTIVE})
    return ready and update["status"] not in store.UNFINISHED


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 by name, less what BentoML adds."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MODEL)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
