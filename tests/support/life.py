"""A client's life on a running platform, through boto3: the steps that end-to-end tests are made of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.platform.clients import Clients
from tests.support import shop

ROLE = "arn:aws:iam::123456789012:role/tests"
RECIPE = "arn:aws:personalize:::recipe/aws-"


def wait_for(what: str, probe: Callable[[], Any], *, seconds: float = 300, every: float = 0.2) -> Any:
    """The first true value of `probe`; AssertionError after `seconds`, with the last one."""
    deadline = time.monotonic() + seconds
    value = probe()
    while not value:
        assert time.monotonic() < deadline, f"{what}: not after {seconds} s"
        time.sleep(every)
        value = probe()
    return value


@dataclass
class Life:
    """One dataset group called `name` and what hangs on it."""

    clients: Clients
    name: str

    def final(self, kind: str, arn: str, *, seconds: float = 300) -> dict[str, Any]:
        """The resource of AWS's shape name `kind` once its status is final."""

        def settled() -> dict[str, Any] | None:
            resource = self.clients.describe(kind, arn)
            update = resource.get("latestCampaignUpdate", {"status": "ACTIVE"})
            pending = any("PENDING" in s or "IN_PROGRESS" in s for s in (resource["status"], update["status"]))
            return None if pending else resource

        settled_resource: dict[str, Any] = wait_for(f"{kind} {arn}", settled, seconds=seconds)
        return settled_resource

    def active(self, kind: str, arn: str, *, seconds: float = 300) -> dict[str, Any]:
        """The resource once it is ACTIVE; fails with its failureReason."""
        resource = self.final(kind, arn, seconds=seconds)
        assert resource["status"] == "ACTIVE", resource.get("failureReason", resource["status"])
        return resource

    def group(self) -> str:
        """The dataset group's ARN, with a dataset of each of the three types."""
        personalize = self.clients.personalize
        arn: str = personalize.create_dataset_group(name=self.name)["datasetGroupArn"]
        for kind, schema in shop.SCHEMAS.items():
            schema_arn = personalize.create_schema(name=f"{self.name}-{kind.lower()}", schema=json.dumps(schema))
            personalize.create_dataset(
                name=kind.lower(), datasetType=kind, datasetGroupArn=arn, schemaArn=schema_arn["schemaArn"]
            )
        return arn

    def dataset(self, kind: str) -> str:
        return self.clients.arn("dataset", f"{self.name}/{kind}")

    def start_import(self, kind: str, location: str | Path, job: str | None = None) -> str:
        """The ARN of an import job of a file (or an s3:// location)."""
        job_arn: str = self.clients.personalize.create_dataset_import_job(
            jobName=job or f"{self.name}-{kind.lower().replace('_', '-')}",
            datasetArn=self.dataset(kind),
            dataSource={"dataLocation": location.as_uri() if isinstance(location, Path) else location},
            roleArn=ROLE,
        )["datasetImportJobArn"]
        return job_arn

    def import_all(self, files: Mapping[str, Path]) -> None:
        """One import a dataset type, at the same time, all ACTIVE."""
        jobs = [self.start_import(kind, path) for kind, path in files.items()]
        for job in jobs:
            self.active("DatasetImportJob", job)

    def start_training(self, recipe: str, solution: str | None = None, **config: str) -> str:
        """The ARN of a new version of a new solution; `config` are hyperparameters."""
        name = solution or f"{self.name}-{recipe.split('-')[-1]}"
        solution_arn = self.clients.personalize.create_solution(
            name=name,
            datasetGroupArn=self.clients.arn("dataset-group", self.name),
            recipeArn=RECIPE + recipe,
            performAutoTraining=False,
            solutionConfig={"algorithmHyperParameters": config} if config else {},
        )["solutionArn"]
        return self.train_again(solution_arn)

    def train_again(self, solution_arn: str) -> str:
        """The ARN of a new version of an existing solution."""
        version: str = self.clients.personalize.create_solution_version(solutionArn=solution_arn)["solutionVersionArn"]
        return version

    def deploy(self, name: str, version: str) -> str:
        """The ARN of an ACTIVE campaign, which does not explore: its lists are the same until something is done."""
        config = {"itemExplorationConfig": {"explorationWeight": "0"}}
        created = self.clients.personalize.create_campaign(name=name, solutionVersionArn=version, campaignConfig=config)
        arn: str = created["campaignArn"]
        self.active("Campaign", arn)
        return arn

    def tracker(self) -> str:
        """The tracking id of a new event tracker."""
        group = self.clients.arn("dataset-group", self.name)
        tracking_id: str = self.clients.personalize.create_event_tracker(name=self.name, datasetGroupArn=group)[
            "trackingId"
        ]
        return tracking_id

    def send(self, tracking_id: str, user: str, item: str, **event: Any) -> None:
        """One event of now."""
        self.clients.events.put_events(
            trackingId=tracking_id,
            userId=user,
            sessionId=f"session-{user}",
            eventList=[{"eventType": "watch", "itemId": item, "sentAt": int(time.time()), **event}],
        )
