"""What cannot become an experiment, and what must wait while one runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.aws.errors import AwsError, InvalidInput, ResourceInUse
from pipelines.control import experiments
from pipelines.control.context import Context
from pipelines.registry import experiments as rows
from pipelines.registry import store
from pipelines.settings import Settings
from pipelines.versions import deploy
from pipelines.versions.collecting import decide
from tests.support.group import RECIPE, Group, make_group, make_version, refused

Do = Callable[..., Any]


@pytest.fixture
def do(settings: Settings, db: Engine) -> Do:
    """`do(experiments.start, campaign, version, 20)`, in a transaction of its own."""

    def call(operation: Callable[..., Any], *given: Any) -> Any:
        with db.begin() as conn:
            return operation(Context(conn, settings, "request", datetime.now(UTC)), *given)

    return call


@pytest.fixture
def control(personalize, group: Group, move) -> str:
    return make_version(personalize, group, "taste", move)


@pytest.fixture
def challenger(personalize, group: Group, move) -> str:
    return make_version(personalize, group, "other", move)


@pytest.fixture
def campaign(personalize, control: str, move) -> Iterator[str]:
    arn = personalize.create_campaign(name="front", solutionVersionArn=control)["campaignArn"]
    move(arn, status="ACTIVE")
    return arn


def deployment(db: Engine, campaign: str) -> dict[str, Any]:
    with db.begin() as conn:
        found = store.get(conn, arn=campaign)
    assert found is not None
    return dict(found.internal["deployment"])


def test_it_is_wanted_as_a_deployment_that_clients_do_not_see_and_the_winner_by_an_update(
    personalize, do: Do, db: Engine, campaign, challenger, control
) -> None:
    before = personalize.describe_campaign(campaignArn=campaign)["campaign"]
    old = deployment(db, campaign)
    begun = do(experiments.start, campaign, challenger, 20)
    assert personalize.describe_campaign(campaignArn=campaign)["campaign"] == before
    wanted = deployment(db, campaign)
    assert wanted.pop("challenger")["solution_version_arn"] == challenger
    assert wanted.pop("id") != old.pop("id") and wanted == old
    assert (begun.control_arn, begun.challenger_arn, begun.share, begun.started_at) == (control, challenger, 20, None)
    do(experiments.stop, campaign)
    assert "challenger" not in deployment(db, campaign)
    for operation in (experiments.stop, experiments.promote):
        with pytest.raises(InvalidInput, match="carries no experiment"):
            do(operation, campaign)
    do(experiments.start, campaign, challenger, 20)
    do(experiments.promote, campaign)
    update = personalize.describe_campaign(campaignArn=campaign)["campaign"]["latestCampaignUpdate"]
    assert (update["status"], update["solutionVersionArn"]) == ("CREATE PENDING", challenger)
    wanted = deployment(db, campaign)
    assert wanted["solution_version_arn"] == challenger and "challenger" not in wanted


def test_versions_that_cannot_be_compared_are_refused(personalize, do: Do, group, campaign, control, move) -> None:
    def said(version: str) -> str:
        with pytest.raises(AwsError) as error:
            do(experiments.start, campaign, version, 20)
        return f"{type(error.value).__name__}: {error.value.message}"

    for share in (0, 100):
        with pytest.raises(InvalidInput, match=f"share: {share} is not"):
            do(experiments.start, campaign, control, share)
    assert "is what the campaign serves" in said(control)
    elsewhere = make_version(personalize, make_group(personalize, "second"), "far", move)
    assert said(elsewhere).startswith("InvalidInput: challenger: the version belongs to another dataset group")
    training = make_version(personalize, group, "young", move)
    move(training, status="CREATE IN_PROGRESS")
    assert said(training).startswith("ResourceInUse")
    move(training, status="ACTIVE", internal={"dropped": {"at": "2026-01-01"}})
    assert "was dropped on 2026-01-01" in said(training)
    personalize.create_solution(name="sims", datasetGroupArn=group.arn, recipeArn=RECIPE + "sims")
    sims = make_version(personalize, group, "sims", move)
    assert "is of recipe type RELATED_ITEMS, and the campaign serves USER_PERSONALIZATION" in said(sims)
    assert said(control[:-4] + "0000").startswith("ResourceNotFound")


def test_a_campaign_that_is_changing_or_has_one_takes_no_other(do: Do, campaign, challenger, move) -> None:
    move(campaign, doc={"latestCampaignUpdate": {"status": "CREATE IN_PROGRESS"}})
    with pytest.raises(ResourceInUse, match="being updated"):
        do(experiments.start, campaign, challenger, 20)
    move(campaign, doc={"latestCampaignUpdate": {"status": "CREATE FAILED"}})
    do(experiments.start, campaign, challenger, 20)
    with pytest.raises(ResourceInUse, match="carries an experiment"):
        do(experiments.start, campaign, challenger, 30)
    move(campaign, status="CREATE FAILED")
    with pytest.raises(ResourceInUse, match="must be ACTIVE"):
        do(experiments.start, campaign, challenger, 30)


def test_what_is_compared_does_not_change_and_is_not_deleted(
    personalize, settings, db, do: Do, campaign, challenger, control
) -> None:
    do(experiments.start, campaign, challenger, 20)
    code, message = refused(personalize.update_campaign, campaignArn=campaign, minProvisionedTPS=2)
    assert code == "ResourceInUseException" and "openpersonalize ab front --stop" in message
    for version in (challenger, control):
        code, message = refused(personalize.delete_solution, solutionArn=version.rpartition("/")[0])
        assert code == "ResourceInUseException" and "campaign/front" in message
    with db.begin() as conn:
        solution = store.get(conn, arn=challenger.rpartition("/")[0])
        assert solution is not None
        store.update(conn, store.get(conn, arn=challenger).id, internal={"tag": "t"})  # type: ignore[union-attr]
        newer = store.children(conn, solution.id, "SolutionVersion")[0]
        assert [one.kept_for for one in decide(conn, solution, 1)] == ["campaign front"], newer
    do(experiments.stop, campaign)
    personalize.delete_solution(solutionArn=challenger.rpartition("/")[0])


def test_a_campaign_that_follows_waits_and_catches_up_at_the_end(
    personalize, settings, db, do: Do, group, control, challenger, move
) -> None:
    latest = control.rpartition("/")[0] + "/$LATEST"
    follow = {"syncWithLatestSolutionVersion": True}
    campaign = personalize.create_campaign(name="follows", solutionVersionArn=latest, campaignConfig=follow)[
        "campaignArn"
    ]
    move(campaign, status="ACTIVE")
    do(experiments.start, campaign, challenger, 20)
    newer = make_version(personalize, group, "taste", move)
    with db.begin() as conn:
        found = store.get(conn, arn=newer)
    assert found is not None
    deploy(settings, found.id)
    assert deployment(db, campaign)["solution_version_arn"] == control
    do(experiments.stop, campaign)
    assert deployment(db, campaign)["solution_version_arn"] == newer
    shown = personalize.describe_campaign(campaignArn=campaign)["campaign"]
    assert shown["latestCampaignUpdate"]["solutionVersionArn"] == newer


def test_a_campaign_takes_its_experiments_with_it(personalize, settings, db, do: Do, campaign, challenger) -> None:
    from pipelines.platform.removal import remove_deleted
    from pipelines.platform.splitting import start_experiments

    begun = do(experiments.start, campaign, challenger, 20)
    personalize.delete_campaign(campaignArn=campaign)
    now = datetime.now(UTC)
    with db.connect() as conn:
        assert start_experiments(conn, now) == 0
        remove_deleted(conn, settings, now)
    with db.begin() as conn:
        assert rows.of_campaign(conn, begun.campaign_id) == []
