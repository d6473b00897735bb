"""A metric attribution from its creation to its sums, through boto3: what PutEvents says is counted at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from pipelines.datasets.attribution import UNDEFINED
from pipelines.platform.attribution_command import collect
from plugins.control_plane.app import create_app
from tests.api.conftest import client_for, serving
from tests.runtime.conftest import Standing
from tests.support.group import ROLE, refused
from tests.support.runtime import event, until


@pytest.fixture(scope="module")
def personalize(standing: Standing) -> Any:
    with serving(create_app(standing.shop.settings)) as url:
        yield client_for(url)


def test_events_count_at_once_for_the_source_that_they_name_or_the_campaign_they_came_from(
    standing: Standing, personalize: Any
) -> None:
    group = standing.shop.arn("DatasetGroup", "shop")
    metrics = [
        {"metricName": "clicks", "eventType": "CLICK", "expression": "SAMPLECOUNT()"},
        {"metricName": "ratings", "eventType": "click", "expression": "SUM(Interactions.NUM_RATINGS)"},
    ]
    arn = personalize.create_metric_attribution(
        name="impact", datasetGroupArn=group, metrics=metrics, metricsOutputConfig={"roleArn": ROLE}
    )["metricAttributionArn"]
    shown = personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]
    assert (shown["status"], "failureReason" in shown) == ("ACTIVE", False)

    answer = standing.recommendations.get_recommendations(campaignArn=standing.campaign, userId="u1")
    mail = {"metricAttribution": {"eventAttributionSource": "mail"}, "recommendationId": answer["recommendationId"]}
    sent = [
        event("i1", kind="click", recommendationId=answer["recommendationId"], properties='{"numRatings": 4}'),
        event("i2", kind="click", properties='{"numRatings": "3"}', **mail),
        event("i3", kind="Click"),
        event("i3", kind="view"),
    ]
    tracker = standing.shop.tracking_id
    standing.events.put_events(trackingId=tracker, userId="u1", sessionId="s", eventList=sent)

    settings = standing.shop.settings
    counted = collect(settings, "impact", None).rows["clicks"]
    assert {row.source for row in counted} >= {"mail", UNDEFINED} and sum(row.events for row in counted) == 3
    written = "SELECT 1 FROM openpersonalize.served WHERE recommendation_id = %s"
    until("the answer in `served`", partial(standing.shop.query, written, answer["recommendationId"]))
    found = collect(settings, "shop", None)
    rows = {name: {row.source: row.value for row in rows} for name, rows in found.rows.items()}
    assert rows == {
        "clicks": {"mail": 1.0, UNDEFINED: 1.0, standing.campaign: 1.0},
        "ratings": {"mail": 3.0, standing.campaign: 4.0},
    }
    assert found.without_value == {"ratings": 1}

    update = personalize.update_metric_attribution
    update(metricAttributionArn=arn, removeMetrics=["ratings"], addMetrics=[{**metrics[1], "metricName": "later"}])
    code, message = refused(update, metricAttributionArn=arn, addMetrics=[{**metrics[1], "expression": "SUM(Items.X)"}])
    assert (code, "no dataset of type ITEMS" in message) == ("InvalidInputException", True)
    standing.events.put_events(trackingId=tracker, userId="u1", sessionId="s", eventList=[event("i1", kind="click")])
    found = collect(settings, arn, None)
    assert {name: sum(row.events for row in rows) for name, rows in found.rows.items()} == {"clicks": 4, "later": 0}
