"""Campaigns: what is wanted, what is served, and when they may change."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from pipelines.registry import store
from pipelines.versions import deploy
from tests.support.group import Group, make_group, make_version


@pytest.fixture
def version(personalize, group: Group, move) -> str:
    return make_version(personalize, group, "taste", move)


def read(db, arn: str) -> store.Resource:
    with db.begin() as conn:
        found = store.get(conn, arn=arn)
    assert found is not None
    return found


def test_a_new_campaign_wants_the_deployment_that_workers_load(personalize, version: str, db) -> None:
    config = {"itemExplorationConfig": {"explorationWeight": "0.3", "explorationItemAgeCutOff": "30"}}
    arn = personalize.create_campaign(
        name="front", solutionVersionArn=version, minProvisionedTPS=3, campaignConfig=config
    )["campaignArn"]
    wanted = read(db, arn).internal["deployment"]
    trained = read(db, version)
    assert len(wanted.pop("id")) == 16
    assert wanted == {
        "solution_version_id": trained.id,
        "solution_version_arn": version,
        "bento": f"solution-{trained.parent_id}:{trained.id}",
        "config": config,
        "minProvisionedTPS": 3,
    }
    assert read(db, arn).parent_id == trained.parent_id


def test_an_update_is_shown_beside_what_is_still_served(personalize, group: Group, version: str, move, db) -> None:
    arn = personalize.create_campaign(name="front", solutionVersionArn=version)["campaignArn"]
    in_use = personalize.exceptions.ResourceInUseException
    with pytest.raises(in_use, match="CREATE PENDING"):
        personalize.update_campaign(campaignArn=arn, minProvisionedTPS=2)
    first = move(arn, status="ACTIVE").internal["deployment"]
    newer = make_version(personalize, group, "taste", move)
    assert personalize.update_campaign(campaignArn=arn, solutionVersionArn=newer)["campaignArn"] == arn
    shown = personalize.describe_campaign(campaignArn=arn)["campaign"]
    update = shown["latestCampaignUpdate"]
    assert (shown["status"], shown["solutionVersionArn"]) == ("ACTIVE", version)
    assert (update["status"], update["solutionVersionArn"], update["minProvisionedTPS"]) == ("CREATE PENDING", newer, 1)
    assert update["creationDateTime"].year >= 2026
    assert read(db, arn).internal["deployment"]["id"] != first["id"]
    with pytest.raises(in_use, match="being updated"):
        personalize.update_campaign(campaignArn=arn, minProvisionedTPS=2)


def test_an_update_after_a_failed_one_starts_from_what_is_served(personalize, group, version: str, move, db) -> None:
    arn = personalize.create_campaign(name="front", solutionVersionArn=version, minProvisionedTPS=2)["campaignArn"]
    newer = make_version(personalize, group, "taste", move)
    move(arn, status="ACTIVE")
    personalize.update_campaign(campaignArn=arn, solutionVersionArn=newer, minProvisionedTPS=9)
    move(arn, doc={"latestCampaignUpdate": {"status": "CREATE FAILED", "failureReason": "why"}})
    config = {"itemExplorationConfig": {"explorationWeight": "0"}}
    personalize.update_campaign(campaignArn=arn, campaignConfig=config)
    wanted = read(db, arn).internal["deployment"]
    assert (wanted["solution_version_arn"], wanted["minProvisionedTPS"], wanted["config"]) == (version, 2, config)


def test_a_campaign_can_move_to_another_solution_and_holds_on_to_both(personalize, group, version, move, db) -> None:
    arn = personalize.create_campaign(name="front", solutionVersionArn=version)["campaignArn"]
    move(arn, status="ACTIVE")
    other = make_version(personalize, group, "other", move)
    personalize.update_campaign(campaignArn=arn, solutionVersionArn=other)
    for solution in (version.rpartition("/")[0], other.rpartition("/")[0]):
        with pytest.raises(personalize.exceptions.ResourceInUseException, match="campaign/front"):
            personalize.delete_solution(solutionArn=solution)
    assert read(db, arn).parent_id == read(db, other).parent_id


def test_latest_stands_for_the_newest_active_version(personalize, group: Group, version: str, move, db) -> None:
    latest = version.rpartition("/")[0] + "/$LATEST"
    newer = make_version(personalize, group, "taste", move)
    personalize.create_solution_version(solutionArn=latest.removesuffix("/$LATEST"))  # not ACTIVE
    arn = personalize.create_campaign(
        name="front", solutionVersionArn=latest, campaignConfig={"syncWithLatestSolutionVersion": True}
    )["campaignArn"]
    shown = personalize.describe_campaign(campaignArn=arn)["campaign"]
    assert shown["solutionVersionArn"] == newer
    assert shown["campaignConfig"] == {"syncWithLatestSolutionVersion": True}
    move(arn, status="ACTIVE")
    personalize.update_campaign(campaignArn=arn, minProvisionedTPS=2)  # goes on following
    assert read(db, arn).internal["deployment"]["config"] == {"syncWithLatestSolutionVersion": True}


def follower(personalize, version: str, move) -> str:
    """The ARN of an ACTIVE campaign that follows the version's solution."""
    arn: str = personalize.create_campaign(
        name="front", solutionVersionArn=version.rpartition("/")[0] + "/$LATEST", campaignConfig=FOLLOW
    )["campaignArn"]
    move(arn, status="ACTIVE")
    return arn


FOLLOW, STAY = {"syncWithLatestSolutionVersion": True}, {"syncWithLatestSolutionVersion": False}


def test_rolled_back_with_following_off_it_stays(personalize, settings, group, version: str, move, db) -> None:
    newer = make_version(personalize, group, "taste", move)
    arn = follower(personalize, newer, move)
    with pytest.raises(personalize.exceptions.InvalidInputException, match=r"\$LATEST"):
        personalize.update_campaign(campaignArn=arn, solutionVersionArn=version)
    personalize.update_campaign(campaignArn=arn, solutionVersionArn=version, campaignConfig=STAY)
    wanted = read(db, arn).internal["deployment"]
    assert (wanted["solution_version_arn"], wanted["config"]) == (version, STAY)
    served = {"solutionVersionArn": version, "campaignConfig": STAY, "latestCampaignUpdate": {"status": "ACTIVE"}}
    move(arn, doc=served)
    newest = make_version(personalize, group, "taste", move)
    deploy(settings, read(db, newest).id)
    assert read(db, arn).internal["deployment"] == wanted
    # And follows again once it is told to.
    personalize.update_campaign(campaignArn=arn, campaignConfig=FOLLOW)
    assert read(db, arn).internal["deployment"]["solution_version_arn"] == newest


def test_a_version_that_waits_for_a_person_does_not_slip_in_by_another_update(
    personalize, group, version: str, move, db
) -> None:
    arn = follower(personalize, version, move)
    held = make_version(personalize, group, "taste", move)
    move(held, internal={"held": {"decision": {"choice": "rejected"}}})
    personalize.update_campaign(campaignArn=arn, minProvisionedTPS=2)
    assert read(db, arn).internal["deployment"]["solution_version_arn"] == version
    move(arn, doc={"latestCampaignUpdate": {"status": "ACTIVE"}})
    # Named by hand it is what AWS says it is: the newest ACTIVE version.
    latest = version.rpartition("/")[0] + "/$LATEST"
    personalize.update_campaign(campaignArn=arn, solutionVersionArn=latest)
    assert read(db, arn).internal["deployment"]["solution_version_arn"] == held


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"itemExplorationConfig": {"explorationWeight": "1.1"}}, "explorationWeight"),
        ({"itemExplorationConfig": {"explorationWeight": "nan"}}, "explorationWeight"),
        ({"itemExplorationConfig": {"explorationItemAgeCutOff": "-1"}}, "explorationItemAgeCutOff"),
        ({"itemExplorationConfig": {"explorationItemAgeCutOff": "0"}}, "explorationItemAgeCutOff"),
        ({"itemExplorationConfig": {"boldness": "1"}}, "boldness"),
        ({"syncWithLatestSolutionVersion": True}, "$LATEST"),
        ({"rankingInfluence": {"POPULARITY": 0.5}}, "not available yet: campaignConfig.rankingInfluence"),
    ],
)
def test_a_configuration_that_cannot_be_honoured_is_refused(personalize, version: str, config, said) -> None:
    with pytest.raises(personalize.exceptions.InvalidInputException) as refused:
        personalize.create_campaign(name="front", solutionVersionArn=version, campaignConfig=config)
    assert said in str(refused.value)
    assert personalize.list_campaigns()["campaigns"] == []


def test_only_an_active_version_can_be_deployed(personalize, group: Group, version: str, move) -> None:
    solution = version.rpartition("/")[0]
    move(version, status="CREATE FAILED")
    with pytest.raises(personalize.exceptions.ResourceInUseException, match="CREATE FAILED"):
        personalize.create_campaign(name="front", solutionVersionArn=version)
    with pytest.raises(personalize.exceptions.InvalidInputException, match="no version that is ACTIVE"):
        personalize.create_campaign(name="front", solutionVersionArn=solution + "/$LATEST")
    with pytest.raises(personalize.exceptions.ResourceNotFoundException):
        personalize.create_campaign(name="front", solutionVersionArn=solution)


def test_a_campaign_stays_in_its_dataset_group(personalize, version: str, move) -> None:
    arn = personalize.create_campaign(name="front", solutionVersionArn=version)["campaignArn"]
    move(arn, status="ACTIVE")
    elsewhere = make_version(personalize, make_group(personalize, "second"), "far", move)
    with pytest.raises(ClientError, match="another dataset group"):
        personalize.update_campaign(campaignArn=arn, solutionVersionArn=elsewhere)


def test_campaigns_are_listed_by_solution(personalize, group: Group, version: str, move) -> None:
    other = make_version(personalize, group, "other", move)
    for name, of in (("a", version), ("b", other), ("c", version)):
        personalize.create_campaign(name=name, solutionVersionArn=of)
    listed = personalize.list_campaigns(solutionArn=version.rpartition("/")[0])["campaigns"]
    assert [campaign["name"] for campaign in listed] == ["c", "a"]
