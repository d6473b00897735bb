"""Updates drawn at random, with what the model says of each; as control_asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.support.control_asks import Asks, Draw
from tests.support.control_model import ACTIVE, FAILED, IN_USE, INVALID, NOT_FOUND
from tests.support.kinds import KINDS


@dataclass
class Change:
    """An update, what stands against it, and what it does to the model."""

    operation: str
    given: dict[str, Any]
    refusals: set[str]
    apply: Callable[[], None]


class Changes:
    """Draws updates of the model's resources."""

    def __init__(self, asks: Asks) -> None:
        self.asks, self.model = asks, asks.model

    def update(self, draw: Draw) -> Change:
        changes = [
            self._update_solution,
            self._update_campaign,
            self._update_dataset,
            self._move_recommender,
            self._tag,
        ]
        return draw(st.sampled_from(changes))(draw)  # type: ignore[no-any-return]

    def _update_solution(self, draw: Draw) -> Change:
        arn, auto = self.asks.arn("Solution", draw), draw(st.booleans())
        given = {"solutionArn": arn, "performAutoTraining": auto}
        against = set(self.model.usable("Solution", arn))
        return Change("UpdateSolution", given, against, lambda: self.model.rows[arn].facts.update(auto=auto))

    def _update_campaign(self, draw: Draw) -> Change:
        arn = self.asks.arn("Campaign", draw)
        campaign = self.model.get("Campaign", arn)
        asked, version, against = self.asks.version(draw)
        if campaign is None:
            against.add(NOT_FOUND)
        else:
            if campaign.status not in (ACTIVE, FAILED) or campaign.updating:
                against.add(IN_USE)
            if version is not None and version.group != campaign.group:
                against.add(INVALID)
            if campaign.status == FAILED:
                against |= set(self.model.over_quota("Campaign", campaign.group))

        def apply() -> None:
            assert campaign is not None and version is not None
            campaign.facts.update(wanted=version.arn, update="CREATE PENDING")
            if campaign.status == FAILED:
                campaign.status = "CREATE PENDING"
            campaign.parent = version.parent

        return Change("UpdateCampaign", {"campaignArn": arn, "solutionVersionArn": asked}, against, apply)

    def _update_dataset(self, draw: Draw) -> Change:
        arn, schema = self.asks.arn("Dataset", draw), self.asks.arn("Schema", draw)
        against = set(self.model.usable("Dataset", arn))
        dataset, new = self.model.get("Dataset", arn), self.model.get("Schema", schema)
        if new is None:
            against.add(NOT_FOUND)
        if dataset is not None:
            against |= set(self.model.dataset_fits(dataset.group or "", schema, dataset.facts["type"]))
            if dataset.facts["type"] not in ("ITEMS", "USERS"):
                against.add(INVALID)
            if any(job.unfinished for job in self.model.of("DatasetImportJob", parent=arn)):
                against.add(IN_USE)
            old = self.model.get("Schema", dataset.facts["schema"])
            if new is not None and old is not None and old.facts["more"] and not new.facts["more"]:
                against.add(INVALID)
        given = {"datasetArn": arn, "schemaArn": schema}
        return Change("UpdateDataset", given, against, lambda: self.model.rows[arn].facts.update(schema=schema))

    def _move_recommender(self, draw: Draw) -> Change:
        """Stop, start or update it."""
        arn, verb = self.asks.arn("Recommender", draw), draw(st.sampled_from(["Stop", "Start", "Update"]))
        row = self.model.get("Recommender", arn)
        needed = "INACTIVE" if verb == "Start" else ACTIVE
        against = {NOT_FOUND} if row is None else {IN_USE} if row.status != needed or row.updating else set()

        def apply() -> None:
            assert row is not None
            if verb == "Update":
                row.facts["update"] = "CREATE PENDING"
            else:
                row.status = f"{verb.upper()} PENDING"

        given = {"recommenderArn": arn, **({"recommenderConfig": {}} if verb == "Update" else {})}
        return Change(f"{verb}Recommender", given, against, apply)

    def _tag(self, draw: Draw) -> Change:
        """Put tags on anything, or take them off."""
        arn = self.asks.arn(draw(self.asks.there()), draw)
        keys = draw(st.lists(st.sampled_from(["team", "stage", "Stage"]), unique=True))
        taggable = [kind.name for kind in KINDS.values() if kind.taggable]
        against = set(self.model.taggable(arn, taggable))
        if draw(st.booleans()):
            given = {"resourceArn": arn, "tags": [{"tagKey": key, "tagValue": "new"} for key in keys]}
            return Change(
                "TagResource", given, against, lambda: self.model.rows[arn].tags.update(dict.fromkeys(keys, "new"))
            )

        def untag() -> None:
            for key in keys:
                self.model.rows[arn].tags.pop(key, None)

        return Change("UntagResource", {"resourceArn": arn, "tagKeys": keys}, against, untag)

    def _stop_version(self, draw: Draw) -> Change:
        """At once when nothing has begun."""
        arn = self.asks.arn("SolutionVersion", draw)
        row = self.model.get("SolutionVersion", arn)
        stopped = {"CREATE PENDING": "CREATE STOPPED", "CREATE IN_PROGRESS": "CREATE STOPPING"}
        against = {NOT_FOUND} if row is None else {IN_USE} if row.status not in stopped else set()

        def apply() -> None:
            assert row is not None and row.status is not None
            row.status = stopped[row.status]

        return Change("StopSolutionVersionCreation", {"solutionVersionArn": arn}, against, apply)
