"""A campaign is ACTIVE when every living worker has reported what is wanted, and not before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy import update as sql_update

from pipelines.platform.activation import activate_campaigns
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import deployments, workers
from tests.support.registry import add_campaign, add_group, add_solution, add_version, wanted

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def beat(conn: Connection, worker: str, at: datetime = NOW) -> None:
    with conn.begin():
        conn.execute(insert(workers).values(id=worker, pid=1, heartbeat_at=at))


def report(conn: Connection, campaign: Resource, worker: str, error: str | None = None) -> None:
    """The worker has taken the campaign's wanted deployment."""
    deployment = look(conn, campaign).internal["deployment"]["id"]
    with conn.begin():
        conn.execute(deployments.delete().where(deployments.c.worker_id == worker))
        values = {"campaign_id": campaign.id, "worker_id": worker, "deployment_id": deployment, "error": error}
        conn.execute(insert(deployments).values(values))


def look(conn: Connection, campaign: Resource) -> Resource:
    with conn.begin():
        found = store.get(conn, id=campaign.id)
    assert found is not None
    return found


def new_campaign(conn: Connection, status: str = store.CREATE_PENDING) -> tuple[Resource, Resource, Resource]:
    """(campaign on the first version, first version, second version)"""
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
        first, second = add_version(conn, solution, "00000001"), add_version(conn, solution, "00000002")
        return add_campaign(conn, first, status=status), first, second


def want(conn: Connection, campaign: Resource, version: Resource) -> None:
    """What UpdateCampaign writes."""
    update = {"solutionVersionArn": version.arn, "status": store.CREATE_PENDING, "creationDateTime": 1.0}
    with conn.begin():
        store.update(conn, campaign.id, doc={"latestCampaignUpdate": update}, internal={"deployment": wanted(version)})


def test_it_waits_for_every_living_worker(conn: Connection) -> None:
    campaign, first, _ = new_campaign(conn)
    beat(conn, "w1")
    beat(conn, "w2")
    activate_campaigns(conn, NOW)
    report(conn, campaign, "w1")
    activate_campaigns(conn, NOW)
    assert look(conn, campaign).status == store.CREATE_IN_PROGRESS
    report(conn, campaign, "w2")
    activate_campaigns(conn, NOW)
    active = look(conn, campaign)
    assert (active.status, active.doc["solutionVersionArn"]) == (store.ACTIVE, first.arn)
    assert "latestCampaignUpdate" not in active.doc


def test_a_dead_worker_is_not_waited_for(conn: Connection) -> None:
    campaign, *_ = new_campaign(conn)
    beat(conn, "w1")
    beat(conn, "dead", NOW - timedelta(seconds=6))
    report(conn, campaign, "w1")
    activate_campaigns(conn, NOW)
    assert look(conn, campaign).status == store.ACTIVE


def test_without_a_living_worker_it_waits(conn: Connection) -> None:
    campaign, *_ = new_campaign(conn)
    beat(conn, "dead", NOW - timedelta(seconds=6))
    report(conn, campaign, "dead")
    activate_campaigns(conn, NOW)
    activate_campaigns(conn, NOW)
    assert look(conn, campaign).status == store.CREATE_IN_PROGRESS


def test_a_version_that_cannot_be_loaded_fails_it_with_the_reason(conn: Connection) -> None:
    campaign, *_ = new_campaign(conn)
    beat(conn, "w1")
    beat(conn, "w2")
    report(conn, campaign, "w1", "encoder.onnx is missing")
    activate_campaigns(conn, NOW)
    failed = look(conn, campaign)
    assert failed.status == store.CREATE_FAILED
    assert "encoder.onnx is missing" in (failed.failure_reason or "")


def test_an_update_shows_the_old_version_until_the_new_one_serves(conn: Connection) -> None:
    campaign, first, second = new_campaign(conn, store.ACTIVE)
    beat(conn, "w1")
    report(conn, campaign, "w1")
    want(conn, campaign, second)
    activate_campaigns(conn, NOW)
    updating = look(conn, campaign)
    assert (updating.status, updating.doc["solutionVersionArn"]) == (store.ACTIVE, first.arn)
    assert updating.doc["latestCampaignUpdate"]["status"] == store.CREATE_IN_PROGRESS
    report(conn, campaign, "w1")
    activate_campaigns(conn, NOW)
    updated = look(conn, campaign)
    assert (updated.status, updated.doc["solutionVersionArn"]) == (store.ACTIVE, second.arn)
    assert updated.doc["latestCampaignUpdate"]["status"] == store.ACTIVE


def test_an_update_that_fails_leaves_the_old_version_active(conn: Connection) -> None:
    campaign, first, second = new_campaign(conn, store.ACTIVE)
    beat(conn, "w1")
    want(conn, campaign, second)
    report(conn, campaign, "w1", "no such artefact")
    activate_campaigns(conn, NOW)
    shown = look(conn, campaign)
    assert (shown.status, shown.failure_reason) == (store.ACTIVE, None)
    assert shown.doc["solutionVersionArn"] == first.arn
    update: dict[str, Any] = shown.doc["latestCampaignUpdate"]
    assert update["status"] == store.CREATE_FAILED and "no such artefact" in update["failureReason"]
    assert activate_campaigns(conn, NOW) == 0


def test_a_failed_campaign_comes_up_with_its_update(conn: Connection) -> None:
    campaign, _, second = new_campaign(conn, store.CREATE_FAILED)
    beat(conn, "w1")
    want(conn, campaign, second)
    activate_campaigns(conn, NOW)
    # The runtime loads nothing for a campaign that has ended.
    assert look(conn, campaign).status == store.CREATE_IN_PROGRESS
    report(conn, campaign, "w1")
    activate_campaigns(conn, NOW)
    assert (look(conn, campaign).status, look(conn, campaign).doc["solutionVersionArn"]) == (store.ACTIVE, second.arn)


def test_a_report_of_an_earlier_deployment_does_not_count(conn: Connection) -> None:
    campaign, _, second = new_campaign(conn)
    beat(conn, "w1")
    report(conn, campaign, "w1")
    with conn.begin():
        store.update(conn, campaign.id, internal={"deployment": wanted(second)})
    activate_campaigns(conn, NOW)
    assert look(conn, campaign).status == store.CREATE_IN_PROGRESS


def test_a_campaign_that_is_being_deleted_stays_so(conn: Connection) -> None:
    campaign, *_ = new_campaign(conn)
    beat(conn, "w1")
    report(conn, campaign, "w1")
    with conn.begin():
        store.update(conn, campaign.id, status=store.DELETE_PENDING)
    activate_campaigns(conn, NOW)
    assert look(conn, campaign).status == store.DELETE_PENDING


def test_a_settled_campaign_is_not_touched_again(conn: Connection) -> None:
    campaign, *_ = new_campaign(conn)
    beat(conn, "w1")
    report(conn, campaign, "w1")
    activate_campaigns(conn, NOW)
    before = look(conn, campaign).updated_at
    with conn.begin():
        conn.execute(sql_update(workers).values(heartbeat_at=NOW))
    assert activate_campaigns(conn, NOW) == 0
    assert look(conn, campaign).updated_at == before
