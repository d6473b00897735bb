"""Files in the shape of AWS's solution, and a way to apply one to a control plane whose DAGs are played."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.declared import applying
from pipelines.declared.applying import Applied
from pipelines.declared.steps import Action, Step
from pipelines.platform import declaring_command
from pipelines.platform.declaring_command import Planned
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings

NOW = datetime(2026, 11, 22, 11, 48, 3, tzinfo=UTC)
"""A Sunday."""

SHOP = """\
# What a shop wants, in the shape of AWS's solution.
datasetGroup:
  serviceConfig: {name: shop}
  workflowConfig:
    schedules: {import: "cron(0 */6 * * ? *)"}
datasets:
  interactions:
    dataset:
      serviceConfig: {name: shop-clicks}
    schema:
      serviceConfig:
        name: shop-clicks
        schema:
          type: record
          name: interactions
          namespace: com.amazonaws.personalize.schema
          fields:
            - {name: USER_ID, type: string}
            - {name: ITEM_ID, type: string}
            - {name: TIMESTAMP, type: long}
            - {name: EVENT_TYPE, type: string}
          version: "1.0"
  items:
    dataset:
      serviceConfig: {name: shop-items}
    schema:
      serviceConfig:
        name: shop-items
        schema:
          type: record
          name: Items
          namespace: com.amazonaws.personalize.schema
          fields:
            - {name: ITEM_ID, type: string}
            - {name: GENRE, type: string, categorical: true}
          version: "1.0"
    workflowConfig:
      schedules: {import: rate(1 day)}
solutions:
  - serviceConfig:
      name: taste
      recipeArn: arn:aws:personalize:::recipe/aws-user-personalization
      solutionConfig:
        algorithmHyperParameters: {hidden_dimension: "55"}
    workflowConfig:
      schedules:
        full: cron(0 2 ? * 1 *)
        update: rate(2 hours)
    campaigns:
      - serviceConfig: {name: front, minProvisionedTPS: 1}
  - serviceConfig:
      name: together
      recipeArn: arn:aws:personalize:::recipe/aws-sims
eventTracker:
  serviceConfig: {name: shop-events}
filters:
  - serviceConfig:
      name: seen
      filterExpression: EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")
"""
"""Two datasets, of which one has a rate of its own; two solutions, of which one trains by itself; a filter."""


def planned(settings: Settings, folder: Path, text: str = SHOP, now: datetime = NOW) -> Planned:
    """The plan for a file of that text in `folder`."""
    file = folder / "shop.yaml"
    file.write_text(text)
    return declaring_command.plan(settings, file, now)


def changes(plan: Planned) -> list[tuple[str, str, str]]:
    """Action, kind and name of every step that is not kept."""
    return [(str(one.action), one.what, one.name) for one in plan.steps if one.action is not Action.KEEP]


def by_name(plan: Planned, what: str) -> dict[str, Step]:
    """The steps of a kind."""
    return {one.name: one for one in plan.steps if one.what == what}


def apply(settings: Settings, personalize: Any, plan: Planned, play: Callable[[], None] = lambda: None) -> Applied:
    """Do a plan; `play` is called whenever it waits, and does what the DAGs would do."""
    return applying.apply(settings, personalize, plan.group_arn, plan.steps, lambda _line: play())


def finish(settings: Settings, *, fails: str = "") -> None:
    """End everything unfinished as the DAGs and the reconciler would; what has `fails` in its name fails."""
    with transaction(settings) as conn:
        for kind in ("DatasetImportJob", "SolutionVersion", "Campaign"):
            for one in store.of_kind(conn, kind):
                if one.status not in store.UNFINISHED:
                    continue
                if fails and fails in one.name:
                    store.update(conn, one.id, status=store.CREATE_FAILED, failure_reason="the disk is full")
                    continue
                store.update(conn, one.id, status=store.ACTIVE)
                if kind == "DatasetImportJob":
                    store.update(conn, one.parent_id or "", internal={"snapshot": {"tag": "t", "rows": 5}})
