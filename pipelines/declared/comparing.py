"""How what is there differs from what a file wants, and which operation mends it, if one does.

AWS lets little be changed: of a dataset its schema, of a solution automatic training and event weights, of a campaign
version, capacity and configuration. For the rest there is only a resource of another name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.registry.store import CREATE_FAILED, Resource

DEFAULT_TRAINING = {"schedulingExpression": "rate(7 days)"}
_AUTO, _EVENTS = "solutionConfig.autoTrainingConfig", "solutionConfig.eventsConfig"


@dataclass(frozen=True)
class Kind:
    """Which members of a kind count, what can be changed by which operation, and what to do about the others."""

    members: tuple[str, ...]
    advice: str
    operation: str = ""
    changeable: tuple[str, ...] = ()


KINDS: Mapping[str, Kind] = {
    "DatasetGroup": Kind(("domain", "roleArn", "kmsKeyArn"), "a dataset group cannot be changed: give it another name"),
    "Schema": Kind(
        ("schema", "domain"),
        "a schema cannot be changed: give the new one a name of its own, and its dataset moves to it",
    ),
    "Dataset": Kind(
        ("name", "schemaArn"),
        "a dataset has one name for life: write that one, or delete the dataset",
        "UpdateDataset",
        ("schemaArn",),
    ),
    "EventTracker": Kind(("name",), "a group has one event tracker: write its name, or delete it"),
    "Solution": Kind(
        ("recipeArn", "performHPO", "performAutoML", "performAutoTraining", "performIncrementalUpdate", "eventType",
         "solutionConfig", _AUTO, _EVENTS),
        "of a solution only automatic training and event weights can change: give the new one a name of its own",
        "UpdateSolution",
        ("performAutoTraining", "performIncrementalUpdate", _AUTO, _EVENTS),
    ),
    "Campaign": Kind(
        ("minProvisionedTPS", "campaignConfig", "solution"),
        "",
        "UpdateCampaign",
        ("minProvisionedTPS", "campaignConfig", "solution"),
    ),
    "Filter": Kind(("filterExpression",), "a filter cannot be changed: give the new one a name of its own"),
    "Recommender": Kind(
        ("recipeArn", "recommenderConfig"),
        "a recommender has one recipe for life: give the new one a name of its own",
        "UpdateRecommender",
        ("recommenderConfig",),
    ),
}  # fmt: skip


def differing(kind: str, want: Mapping[str, Any], have: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """`{member: (have, want)}` of the members that differ; both are what a Create request would say."""
    wanted, there = _comparable(kind, want), _comparable(kind, have)
    return {
        name: (there.get(name), wanted.get(name)) for name in KINDS[kind].members if there.get(name) != wanted.get(name)
    }


def of_campaign(campaign: Resource) -> dict[str, Any]:
    """What a campaign serves or is about to: an update that runs is not asked for twice, one that failed is."""
    deployment = campaign.internal["deployment"]
    failed = CREATE_FAILED in (campaign.status, campaign.doc.get("latestCampaignUpdate", {}).get("status"))
    return {
        "minProvisionedTPS": deployment["minProvisionedTPS"],
        "campaignConfig": None if failed else deployment["config"],
        "solution": deployment["solution_version_arn"].rpartition("/")[0],
    }


def solution_update(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    """The members of UpdateSolution."""
    given = {name: bool(want) for name, (_, want) in changes.items() if name.startswith("perform")}
    config = {name.partition(".")[2]: want for name, (_, want) in changes.items() if "." in name}
    return {**given, **({"solutionUpdateConfig": config} if config else {})}


def _comparable(kind: str, members: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "Schema":
        return {**members, "schema": json.loads(members["schema"])}
    if kind == "Campaign" and members["campaignConfig"] is not None:
        return {**members, "campaignConfig": {"syncWithLatestSolutionVersion": False, **members["campaignConfig"]}}
    if kind != "Solution":
        return dict(members)
    config = dict(members.get("solutionConfig", {}))
    automatic = {**DEFAULT_TRAINING, **config.pop("autoTrainingConfig", {})}
    events = config.pop("eventsConfig", {})
    defaults = {"performHPO": False, "performAutoML": False, "performIncrementalUpdate": False}
    return {**defaults, **members, "solutionConfig": config, _AUTO: automatic, _EVENTS: events}
