"""Runs started in the Airflow UI make their resource as the API would, and are tied to it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from pipelines.aws.errors import AwsError, InvalidInput, ResourceNotFound, Validation
from pipelines.control import import_jobs
from pipelines.control.campaigns import update_in_run
from pipelines.control.solution_versions import create_in_run
from pipelines.registry import store
from pipelines.registry.tables import outbox
from pipelines.versions import DeploymentFailed, is_deployed
from tests.support.access import audited
from tests.support.group import USER_PERSONALIZATION, make_group, make_version


def test_the_run_takes_the_place_of_a_wish_and_its_retry_gets_the_same_version(personalize, settings, db) -> None:
    group = make_group(personalize, "shop")
    given = {"name": "taste", "datasetGroupArn": group.arn, "recipeArn": USER_PERSONALIZATION}
    solution = personalize.create_solution(**given)["solutionArn"]
    ids = []
    for _ in range(2):
        with db.begin() as conn:
            ids.append(create_in_run(settings, conn, {"solutionArn": solution}, "manual__2026-01-01", None))
    assert ids[0] == ids[1]
    [shown] = personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]
    assert shown["status"] == "CREATE PENDING"
    with db.begin() as conn:
        [row] = conn.execute(select(outbox)).all()
        version = store.get(conn, id=ids[0])
    assert (row.run_id, row.resource_id) == ("manual__2026-01-01", ids[0])
    assert row.started_at is not None
    assert version is not None
    assert (version.arn, version.request_id) == (shown["solutionVersionArn"], "manual__2026-01-01")
    assert by_runs(settings) == [("CreateSolutionVersion", version.arn, "Airflow run manual__2026-01-01", None)]


def by_runs(settings) -> list[tuple[str | None, ...]]:
    """What the audit has of runs."""
    return [
        (one["operation"], one["resource"], one["key_name"], one["key_id"])
        for one in audited(settings)
        if one["key_id"] is None
    ]


def test_an_unknown_solution_is_refused_as_by_the_api(settings, db) -> None:
    nowhere = "arn:aws:personalize:us-east-1:123456789012:solution/none"
    with db.begin() as conn, pytest.raises(ResourceNotFound):
        create_in_run(settings, conn, {"solutionArn": nowhere}, "manual__x", None)


def test_an_import_by_hand_is_named_after_its_run(personalize, settings, db) -> None:
    group = make_group(personalize, "shop")
    request = {"datasetArn": group.dataset, "dataSource": {"dataLocation": "s3://b/k"}, "importMode": "FULL"}
    ids = []
    for _ in range(2):
        with db.begin() as conn:
            ids.append(import_jobs.create_in_run(settings, conn, request, "manual__2026-01-01T00:00:00+00:00", "r-1"))
    assert ids[0] == ids[1]
    [shown] = personalize.list_dataset_import_jobs(datasetArn=group.dataset)["datasetImportJobs"]
    assert (shown["jobName"], shown["status"]) == ("manual__2026-01-01T00-00-00-00-00", "CREATE PENDING")


@pytest.mark.parametrize(
    ("location", "error"), [("file:///etc/passwd", InvalidInput), ("ftp://x/y", Validation), ("", Validation)]
)
def test_a_form_is_checked_like_a_request(personalize, settings, db, location: str, error: type[AwsError]) -> None:
    group = make_group(personalize, "shop")
    request = {"datasetArn": group.dataset, "dataSource": {"dataLocation": location}}
    with db.begin() as conn, pytest.raises(error, match=r"dataLocation|IMPORT_ROOTS"):
        import_jobs.create_in_run(settings, conn, request, "manual__x", None)


def test_a_deployment_by_hand_updates_the_campaign_once_and_is_followed_to_its_end(
    personalize, settings, db, move
) -> None:
    group = make_group(personalize, "shop")
    old, new = (make_version(personalize, group, "taste", move) for _ in range(2))
    config = {"syncWithLatestSolutionVersion": True, "itemExplorationConfig": {"explorationWeight": "0"}}
    latest = new.rpartition("/")[0] + "/$LATEST"
    arn = personalize.create_campaign(name="front", solutionVersionArn=latest, campaignConfig=config)["campaignArn"]
    move(arn, status="ACTIVE")

    def update(version: str, follow: bool) -> str:
        config = {"syncWithLatestSolutionVersion": follow}
        request = {"campaignArn": arn, "solutionVersionArn": version, "campaignConfig": config}
        with db.begin() as conn:
            return update_in_run(settings, conn, request, "manual__x", None)

    def wanted() -> dict:
        with db.begin() as conn:
            found = store.get(conn, arn=arn)
        assert found is not None
        return found.internal["deployment"]

    id = update(old, follow=False)
    assert not is_deployed(settings, id)
    first = wanted()
    assert first["solution_version_arn"] == old
    assert first["config"] == {**config, "syncWithLatestSolutionVersion": False}
    assert update(old, follow=False) == id  # the run's second try
    assert wanted() == first
    assert by_runs(settings) == [("UpdateCampaign", arn, "Airflow run manual__x", None)]
    move(arn, doc={"latestCampaignUpdate": {"status": "ACTIVE"}})
    assert is_deployed(settings, id)
    update("$LATEST", follow=True)
    assert (wanted()["solution_version_arn"], wanted()["config"]) == (new, config)
    move(arn, doc={"latestCampaignUpdate": {"status": "CREATE FAILED", "failureReason": "no memory"}})
    with pytest.raises(DeploymentFailed, match="no memory"):
        is_deployed(settings, id)
    # What failed can be tried again.
    failed = wanted()
    update("$LATEST", follow=True)
    assert wanted()["id"] != failed["id"]
    with pytest.raises(InvalidInput, match=r"\$LATEST"):
        move(arn, doc={"latestCampaignUpdate": {"status": "ACTIVE"}})
        update(old, follow=True)
