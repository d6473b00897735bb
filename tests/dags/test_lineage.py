"""The Assets pages of Airflow: dataset snapshot -> solution version -> campaign, and the history of each resource."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines import dag_lineage as lineage
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions.rollout import JUDGE
from tests.support.registry import add, add_campaign, add_dataset, add_group, add_solution, add_version


def ports(dags: Any, dag_id: str, task_id: str) -> tuple[list[str], list[str]]:
    task = dags.dags[dag_id].get_task(task_id)
    return [one.name for one in task.inlets], [one.name for one in task.outlets]


def test_the_graph_goes_from_snapshots_by_versions_to_campaigns(dags: Any) -> None:
    made = {
        ("dataset_import", "commit"): ([], ["dataset snapshots", "one dataset"]),
        ("solution_version", "publish"): (["dataset snapshots"], ["solution versions", "one solution"]),
        ("incremental_update", "fold.update"): (["dataset snapshots"], ["solution versions", "one solution"]),
        ("solution_version", "deploy"): (["solution versions"], ["campaigns", "one campaign"]),
        ("campaign_deployment", "wait"): (["solution versions"], ["campaigns", "one campaign"]),
    }
    assert {task: ports(dags, *task) for task in made} == made


@pytest.fixture
def shop(conn: Connection) -> dict[str, Resource]:
    """An import, the version trained from it, and the campaign that serves that."""
    with conn.begin():
        group = add_group(conn)
        tag = {"tag": "data/d/j", "rows": 12}
        dataset = add_dataset(conn, group, snapshot=tag)
        job = add(conn, "DatasetImportJob", "monday", group=group, parent=dataset)
        frozen = {"INTERACTIONS": {"dataset_id": dataset.id, **tag}}
        version = add_version(
            conn, add_solution(conn, group), snapshots=frozen, tag="sv/s/v", metrics={JUDGE: 0.25, "coverage": 1.0}
        )
        return {"job": job, "version": version, "campaign": add_campaign(conn, version, "front")}


def test_each_event_names_what_it_was_made_from(settings: Settings, shop: dict[str, Resource]) -> None:
    [imported] = lineage.imported(settings, shop["job"].id)
    assert imported.name == "dataset/shop/INTERACTIONS"
    assert imported.extra == {"job": shop["job"].arn, "tag": "data/d/j", "rows": 12}
    [trained] = lineage.trained(settings, shop["version"].id)
    assert (trained.name, trained.uri) == ("solution/taste", shop["version"].arn.rpartition("/")[0])
    assert trained.extra == {
        "version": shop["version"].arn,
        "tag": "sv/s/v",
        "trained_from": {"INTERACTIONS": "data/d/j"},
        "ndcg_at_25": 0.25,
    }
    assert lineage.updated(settings, shop["version"].id) == []
    [deployed] = lineage.deployed(settings, shop["version"].id)
    assert [deployed] == lineage.moved(settings, shop["campaign"].id)
    assert (deployed.name, deployed.extra) == ("campaign/front", {"version": shop["version"].arn})


def test_an_automatic_update_is_an_event_with_what_it_folded_in(
    conn: Connection, settings: Settings, shop: dict[str, Resource]
) -> None:
    folded = {"number": 2, "tag": "sv/s/v.2", "snapshots": {"ITEMS": {"tag": "data/i/j"}}}
    with conn.begin():
        store.update(conn, shop["version"].id, internal={"updates": [folded]})
    [updated] = lineage.updated(settings, shop["version"].id)
    assert (updated.name, updated.extra["version"]) == ("solution/taste", shop["version"].arn)
    assert (updated.extra["update"], updated.extra["tag"]) == (2, "sv/s/v.2")
    assert updated.extra["trained_from"] == {"ITEMS": "data/i/j"}


def test_an_import_that_failed_made_nothing(conn: Connection, settings: Settings, shop: dict[str, Resource]) -> None:
    with conn.begin():
        store.update(conn, shop["job"].id, status=store.CREATE_FAILED)
    assert lineage.imported(settings, shop["job"].id) == []
