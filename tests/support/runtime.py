"""What the runtime works with in tests, in place of control plane and reconciler, and its clients.

`Shop` writes what the control plane and a training would have left (group, schema, tracker, versions with a tiny
artefact each, campaigns) and turns campaigns ACTIVE as the reconciler does: once every living worker has reported.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.config import Config
from sqlalchemy import Engine

from pipelines.aws import arns
from pipelines.filters.checking import columns
from pipelines.platform.activation import activate_campaigns
from pipelines.platform.splitting import start_experiments
from pipelines.registry import store
from pipelines.registry.database import engine, libpq_url
from pipelines.serving.artefact import Artefact
from pipelines.serving.local import model_directory
from pipelines.serving.recommender import Recommender
from pipelines.settings import Settings
from tests.support.artefacts import make_artefact
from tests.support.filters import checked

RECIPE = "arn:aws:personalize:::recipe/"
ROLE = {
    "USER_PERSONALIZATION": "aws-user-personalization",
    "PERSONALIZED_RANKING": "aws-personalized-ranking",
    "RELATED_ITEMS": "aws-sims",
    "USER_SEGMENTATION": "aws-item-affinity",
}
INTERACTIONS = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
        {"name": "DEVICE_TYPE", "type": ["null", "string"], "categorical": True},
        {"name": "NUM_RATINGS", "type": "int"},
        {"name": "IS_MEMBER", "type": ["boolean", "null"]},
    ],
}


def until(what: str, look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value of `look`; fails naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True)
class Version:
    """A solution version that was trained, as far as tests need it."""

    id: str
    arn: str
    directory: Path

    @property
    def recommender(self) -> Recommender:
        return Recommender(Artefact.open(self.directory))


class Shop:
    """One dataset group, written straight into the registry of `settings`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.engine: Engine = engine(settings)
        self.url = libpq_url(settings)
        with self.engine.begin() as conn:
            group = store.insert(
                conn, kind="DatasetGroup", arn=self.arn("DatasetGroup", "shop"), name="shop", status="ACTIVE", doc={}
            )
            self.group_id = group.id
        self.dataset_arn = self.add_dataset("INTERACTIONS", INTERACTIONS)
        self.tracker_id, self.tracking_id = self.add_tracker()

    def close(self) -> None:
        self.engine.dispose()

    def arn(self, kind: str, *parts: str) -> str:
        return arns.build(kind, self.settings.region, self.settings.account_id, *parts)

    def add_dataset(self, dataset_type: str, schema: Mapping[str, Any], **doc: str) -> str:
        """The ARN of a new ACTIVE dataset; `doc` are further members of its description."""
        with self.engine.begin() as conn:
            made = store.insert(
                conn,
                kind="Schema",
                arn=self.arn("Schema", dataset_type.lower()),
                name=dataset_type.lower(),
                status=None,
                doc={"schema": json.dumps(schema)},
            )
            group = store.get(conn, id=self.group_id)
            assert group is not None
            dataset = store.insert(
                conn,
                kind="Dataset",
                arn=self.arn("Dataset", "shop", dataset_type),
                name=dataset_type.lower(),
                status="ACTIVE",
                group_id=self.group_id,
                parent_id=self.group_id,
                schema_id=made.id,
                doc={"datasetGroupArn": group.arn, "datasetType": dataset_type, "schemaArn": made.arn, **doc},
            )
        return dataset.arn

    def add_tracker(self) -> tuple[str, str]:
        """(resource id, trackingId) of a new ACTIVE event tracker."""
        tracking_id = str(uuid.uuid4())
        with self.engine.begin() as conn:
            tracker = store.insert(
                conn,
                kind="EventTracker",
                arn=self.arn("EventTracker", tracking_id[:8]),
                name=f"tracker-{tracking_id[:8]}",
                status="ACTIVE",
                group_id=self.group_id,
                parent_id=self.group_id,
                doc={"trackingId": tracking_id, "accountId": self.settings.account_id},
            )
        return tracker.id, tracking_id

    def add_version(
        self,
        name: str = "sol",
        *,
        recipe_type: str = "USER_PERSONALIZATION",
        event_cutoff: int = 0,
        record_cutoff: int = 0,
        **artefact: Any,
    ) -> Version:
        """A version of solution `name` whose artefact lies in the local Bento store."""
        with self.engine.begin() as conn:
            solution = store.get(conn, arn=self.arn("Solution", name)) or store.insert(
                conn,
                kind="Solution",
                arn=self.arn("Solution", name),
                name=name,
                status="ACTIVE",
                group_id=self.group_id,
                parent_id=self.group_id,
                doc={"recipeArn": RECIPE + ROLE[recipe_type]},
            )
            hexes = uuid.uuid4().hex[:8]
            version = store.insert(
                conn,
                kind="SolutionVersion",
                arn=self.arn("SolutionVersion", name, hexes),
                name=f"{name}/{hexes}",
                status="ACTIVE",
                group_id=self.group_id,
                parent_id=solution.id,
                doc={"solutionArn": solution.arn, "recipeArn": RECIPE + ROLE[recipe_type]},
                internal={"event_cutoff": event_cutoff, "record_cutoffs": {"USERS": record_cutoff}},
            )
        directory = model_directory(self.settings, solution.id, version.id)
        directory.parent.mkdir(parents=True, exist_ok=True)
        staged = make_artefact(
            self.settings.home / "staged" / version.id,
            **{"recipe": ROLE[recipe_type], "recipe_type": recipe_type, **artefact},
        )
        shutil.move(staged, directory)
        return Version(version.id, version.arn, directory)

    def add_filter(self, name: str, text: str, status: str = "ACTIVE") -> str:
        """The ARN of a filter for the datasets of tests/support/filters.py."""
        with self.engine.begin() as conn:
            made = store.insert(
                conn,
                kind="Filter",
                arn=self.arn("Filter", name),
                name=name,
                status=status,
                group_id=self.group_id,
                doc={"filterExpression": text},
                internal={"columns": columns(checked(text))},
            )
        return made.arn

    def add_campaign(self, version: Version, name: str, **config: Any) -> str:
        """The ARN of a campaign in CREATE PENDING that wants `version`; `config` is its campaignConfig."""
        with self.engine.begin() as conn:
            campaign = store.insert(
                conn,
                kind="Campaign",
                arn=self.arn("Campaign", name),
                name=name,
                status="CREATE PENDING",
                group_id=self.group_id,
                doc={"solutionVersionArn": version.arn, "minProvisionedTPS": 1, "campaignConfig": config},
                internal={"deployment": _deployment(version, config)},
            )
        return campaign.arn

    def want(self, campaign_arn: str, version: Version, **config: Any) -> None:
        """UpdateCampaign: another version or campaignConfig is wanted, the old one goes on."""
        with self.engine.begin() as conn:
            campaign = store.get(conn, arn=campaign_arn, lock=True)
            assert campaign is not None
            update = {"solutionVersionArn": version.arn, "status": "CREATE PENDING"}
            store.update(
                conn,
                campaign.id,
                doc={"latestCampaignUpdate": update},
                internal={"deployment": _deployment(version, config)},
            )

    def activate(self, campaign_arn: str, workers: int = 1, seconds: float = 30.0) -> float:
        """Wait until every living worker serves what is wanted, make it ACTIVE; when (time.monotonic)."""
        until(f"{workers} workers serve {campaign_arn}", lambda: self._all_report(campaign_arn, workers), seconds)
        with self.engine.begin() as conn:
            campaign = store.get(conn, arn=campaign_arn, lock=True)
            assert campaign is not None
            wanted = campaign.internal["deployment"]
            arn = wanted["solution_version_arn"]
            doc: dict[str, Any] = {"solutionVersionArn": arn, "campaignConfig": wanted["config"]}
            if "latestCampaignUpdate" in campaign.doc:
                doc["latestCampaignUpdate"] = {"solutionVersionArn": arn, "status": "ACTIVE"}
            store.update(conn, campaign.id, status="ACTIVE", doc=doc)
        return time.monotonic()

    def deploy(self, version: Version, name: str, workers: int = 1, **config: Any) -> str:
        """The ARN of a new ACTIVE campaign on `version`."""
        arn = self.add_campaign(version, name, **config)
        self.activate(arn, workers)
        return arn

    def reconcile(self) -> None:
        """Let the reconciler decide on campaigns and experiments once."""
        with self.engine.connect() as conn:
            activate_campaigns(conn, datetime.now(UTC))
            start_experiments(conn, datetime.now(UTC))

    def wanted(self, campaign_arn: str) -> str:
        """The id of the deployment that the campaign wants."""
        select = "SELECT internal #>> '{deployment,id}' FROM openpersonalize.resources WHERE arn = %s"
        return str(self.query(select, campaign_arn)[0][0])

    def reports(self, campaign_arn: str) -> list[tuple[str, str | None]]:
        """(deployment id wanted or another, error) of every living worker."""
        return [
            (report, error)
            for report, error in self.query(
                "SELECT d.deployment_id, d.error FROM openpersonalize.deployments d "
                "JOIN openpersonalize.workers w ON w.id = d.worker_id "
                "JOIN openpersonalize.resources c ON c.id = d.campaign_id "
                "WHERE c.arn = %s AND w.heartbeat_at > now() - interval '5 seconds'",
                campaign_arn,
            )
        ]

    def set_status(self, arn: str, status: str) -> None:
        self.query(
            "UPDATE openpersonalize.resources SET status = %s, updated_at = now() WHERE arn = %s RETURNING 1",
            status,
            arn,
        )

    def query(self, statement: str, *parameters: Any) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as conn:
            return conn.execute(statement, parameters).fetchall()

    def _all_report(self, campaign_arn: str, workers: int) -> bool:
        rows = self.query(
            "SELECT w.id, d.deployment_id = c.internal #>> '{deployment,id}', d.error "
            "FROM openpersonalize.resources c CROSS JOIN openpersonalize.workers w "
            "LEFT JOIN openpersonalize.deployments d ON d.campaign_id = c.id AND d.worker_id = w.id "
            "WHERE c.arn = %s AND w.heartbeat_at > now() - interval '5 seconds'",
            campaign_arn,
        )
        errors = [error for _, is_wanted, error in rows if is_wanted and error]
        assert not errors, errors
        return len(rows) >= workers and all(is_wanted for _, is_wanted, _ in rows)


def _deployment(version: Version, config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": store.new_id(),
        "solution_version_id": version.id,
        "solution_version_arn": version.arn,
        "config": config,
        "minProvisionedTPS": 1,
    }


# Clients ------------------------------------------------------------------------------------------------


def client(
    service: str,
    url: str,
    *,
    key_id: str = "AKIAIOSFODNN7EXAMPLE",
    secret: str = "harness-not-a-secret",
    retries: int = 0,
    **config: Any,
) -> Any:
    """A boto3 client of `personalize-runtime` or `personalize-events`; without retries it shows every failure."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(
            retries={"total_max_attempts": retries + 1, "mode": "standard"},
            parameter_validation=False,
            read_timeout=15,
            connect_timeout=5,
            max_pool_connections=256,
            **config,
        ),
    )


def event(item: str | None, *, sent_at: float | None = None, kind: str = "watch", **members: Any) -> dict[str, Any]:
    """One event for put_events."""
    given = {} if item is None else {"itemId": item}
    return {"eventType": kind, "sentAt": time.time() if sent_at is None else sent_at, **given, **members}


def get(url: str) -> tuple[int, str]:
    """(status, body) of a plain GET."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as failure:
        return failure.code, failure.read().decode()
