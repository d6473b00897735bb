"""Quotas as boto3 meets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from pipelines.quotas import Quotas
from pipelines.settings import Settings
from plugins.control_plane.app import create_app
from tests.api.conftest import client_for, serving
from tests.support.group import Group, make_version, refused


@pytest.fixture
def with_quotas(settings: Settings) -> Iterator[Callable[[str], Any]]:
    """`with_quotas(text)`: a client of a platform with those quotas."""
    running = []

    def client(text: str) -> Any:
        running.append(serving(create_app(replace(settings, quotas=Quotas.read(text)))))
        return client_for(running[-1].__enter__())

    yield client
    for one in running:
        one.__exit__(None, None, None)


def test_the_sixth_dataset_group_is_refused_and_is_not_there(with_quotas: Callable[[str], Any]) -> None:
    personalize = with_quotas("")
    for number in range(5):
        personalize.create_dataset_group(name=f"g{number}")
    code, message = refused(personalize.create_dataset_group, name="g5")
    assert code == "LimitExceededException"
    assert message.startswith("Cannot create a dataset group. More than 5 resources in ACTIVE state.")
    assert [one["name"] for one in personalize.list_dataset_groups()["datasetGroups"]] == ["g4", "g3", "g2", "g1", "g0"]
    personalize.delete_dataset_group(
        datasetGroupArn=personalize.list_dataset_groups()["datasetGroups"][0]["datasetGroupArn"]
    )
    personalize.create_dataset_group(name="g5")


def test_a_quota_holds_when_all_come_at_once(with_quotas: Callable[[str], Any]) -> None:
    personalize = with_quotas("dataset_groups=3")

    def create(number: int) -> str:
        try:
            personalize.create_dataset_group(name=f"g{number}")
        except ClientError as failure:
            return str(failure.response["Error"]["Code"])
        return "ok"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(create, range(8))) == {"ok": 3, "LimitExceededException": 5}


def test_a_failed_campaign_comes_back_only_if_there_is_a_place_for_it(
    with_quotas: Callable[[str], Any], group: Group, personalize: Any, move: Any
) -> None:
    version = make_version(personalize, group, "taste", move)
    limited = with_quotas("campaigns_per_group=1")
    failed = limited.create_campaign(name="front", solutionVersionArn=version)["campaignArn"]
    move(failed, status="CREATE FAILED", failure_reason="why")
    other = limited.create_campaign(name="other", solutionVersionArn=version)["campaignArn"]
    move(other, status="ACTIVE")
    code, message = refused(limited.update_campaign, campaignArn=failed, minProvisionedTPS=2)
    assert code == "LimitExceededException" and "More than 1 resources in ACTIVE state" in message
    shown = limited.describe_campaign(campaignArn=failed)["campaign"]
    assert (shown["status"], "latestCampaignUpdate" in shown) == ("CREATE FAILED", False)
    limited.update_campaign(campaignArn=other, minProvisionedTPS=2)  # it has its place
    move(other, status="CREATE FAILED")
    limited.update_campaign(campaignArn=failed, minProvisionedTPS=2)
    shown = limited.describe_campaign(campaignArn=failed)["campaign"]
    assert (shown["status"], "failureReason" in shown) == ("CREATE PENDING", False)
    assert refused(limited.create_campaign, name="more", solutionVersionArn=version)[0] == "LimitExceededException"


def test_off_is_without_end(with_quotas: Callable[[str], Any]) -> None:
    personalize = with_quotas("off")
    for number in range(7):
        personalize.create_dataset_group(name=f"g{number}")
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 7
