"""Metric attributions through boto3: their life, their metrics, every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.group import ROLE, Group, make_group, refused, schema_text

OUTPUT = {"roleArn": ROLE, "s3DataDestination": {"path": "s3://bucket/metrics/"}}


def metric(name: str, expression: str = "SAMPLECOUNT()", event: str = "watch") -> dict[str, str]:
    return {"metricName": name, "eventType": event, "expression": expression}


@pytest.fixture
def films(personalize: Any) -> Group:
    """With lengths in seconds and prices."""
    columns = [{"name": "EVENT_VALUE", "type": ["null", "float"]}, {"name": "DEVICE", "type": "string"}]
    group = make_group(personalize, "films", columns)
    fields = [{"name": "ITEM_ID", "type": "string"}, {"name": "PRICE", "type": "double"}]
    schema = personalize.create_schema(name="items", schema=schema_text(fields, "Items"))["schemaArn"]
    personalize.create_dataset(name="items", datasetType="Items", datasetGroupArn=group.arn, schemaArn=schema)
    return group


def create(personalize: Any, group: Group, name: str = "sums", *metrics: Any, **more: Any) -> str:
    given = list(metrics) or [metric("watches")]
    made = personalize.create_metric_attribution(
        **{"name": name, "datasetGroupArn": group.arn, "metrics": given, "metricsOutputConfig": OUTPUT, **more}
    )
    return str(made["metricAttributionArn"])


def names(personalize: Any, arn: str) -> list[str]:
    return [
        one["metricName"] for one in personalize.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"]
    ]


def test_a_new_one_is_active_and_says_what_it_was_given(personalize: Any, films: Group) -> None:
    every = [metric("n"), metric("paid", "SUM(Items.PRICE)"), metric("seen", " sum( interactions.EVENT_VALUE ) ")]
    arn = create(personalize, films, "sums", *every)
    assert arn == "arn:aws:personalize:us-east-1:123456789012:metric-attribution/sums"
    shown = personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]
    assert shown.pop("creationDateTime") and shown.pop("lastUpdatedDateTime")
    assert shown == {
        "name": "sums", "metricAttributionArn": arn, "datasetGroupArn": films.arn, "metricsOutputConfig": OUTPUT,
        "status": "ACTIVE",
    }  # fmt: skip
    assert personalize.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"] == every
    [summary] = personalize.list_metric_attributions(datasetGroupArn=films.arn)["metricAttributions"]
    assert (summary["metricAttributionArn"], summary["status"]) == (arn, "ACTIVE")
    personalize.delete_metric_attribution(metricAttributionArn=arn)
    assert refused(personalize.update_metric_attribution, metricAttributionArn=arn, addMetrics=[metric("x")])[0] == (
        "ResourceInUseException"
    )


def test_an_import_publishes_to_an_attribution_that_says_where(personalize: Any, films: Group, move: Any) -> None:
    asked = {
        "jobName": "j", "datasetArn": films.dataset, "dataSource": {"dataLocation": "s3://b/k"}, "roleArn": ROLE,
        "publishAttributionMetricsToS3": True,
    }  # fmt: skip
    call = personalize.create_dataset_import_job
    assert refused(call, **asked)[1].endswith("the dataset group has no metric attribution; create one first.")
    arn = create(personalize, films, metricsOutputConfig={"roleArn": ROLE})
    code, message = refused(call, **asked)
    assert (code, f"{arn} does not say where to" in message) == ("InvalidInputException", True)
    personalize.update_metric_attribution(metricAttributionArn=arn, metricsOutputConfig=OUTPUT)
    items = personalize.list_datasets(datasetGroupArn=films.arn)["datasets"]
    other = next(one["datasetArn"] for one in items if one["datasetType"] == "ITEMS")
    assert "metric attributions count interactions" in refused(call, **{**asked, "datasetArn": other})[1]
    job = call(**asked)["datasetImportJobArn"]
    shown = personalize.describe_dataset_import_job(datasetImportJobArn=job)["datasetImportJob"]
    assert shown["publishAttributionMetricsToS3"] is True


def test_a_group_has_one_beside_those_that_failed(personalize: Any, films: Group, move: Any) -> None:
    arn = create(personalize, films)
    asked = {"name": "other", "datasetGroupArn": films.arn, "metrics": [metric("n")], "metricsOutputConfig": OUTPUT}
    for status in ("CREATE PENDING", "ACTIVE"):
        move(arn, status=status)
        code, message = refused(personalize.create_metric_attribution, **asked)
        assert (code, arn in message) == ("ResourceAlreadyExistsException", True)
    move(arn, status="CREATE FAILED")
    assert create(personalize, films, "other")
    # The name is the account's.
    assert (
        refused(
            personalize.create_metric_attribution, **{**asked, "datasetGroupArn": make_group(personalize, "b").arn}
        )[0]
        == "ResourceAlreadyExistsException"
    )


BAD_EXPRESSIONS = {
    "COUNT()": "is not SAMPLECOUNT(), SUM(Interactions.COLUMN) or SUM(Items.COLUMN)",
    "SAMPLECOUNT": "is not SAMPLECOUNT()",
    "SUM(Users.AGE)": "is not SAMPLECOUNT()",
    "SUM(Items.PRICE) + SUM(Items.PRICE)": "is not SAMPLECOUNT()",
    "SUM(Items.COST)": "ITEMS has no column COST; it has ITEM_ID, PRICE",
    "SUM(Interactions.DEVICE)": "DEVICE is a string; only columns of type int, long, float, double",
}


def test_an_expression_counts_or_sums_a_number_that_is_there(personalize: Any, films: Group, move: Any) -> None:
    asked = {"name": "new", "datasetGroupArn": films.arn, "metricsOutputConfig": OUTPUT}
    arn = create(personalize, films)
    for expression, says in BAD_EXPRESSIONS.items():
        bad = metric("bad", expression)
        move(arn, status="CREATE FAILED")
        code, message = refused(personalize.create_metric_attribution, metrics=[metric("good"), bad], **asked)
        assert (code, "metrics: expression of 'bad'" in message) == ("InvalidInputException", True)
        assert says in message
        move(arn, status="ACTIVE")
        code, message = refused(personalize.update_metric_attribution, metricAttributionArn=arn, addMetrics=[bad])
        assert (code, "addMetrics: expression of 'bad'" in message) == ("InvalidInputException", True)
        assert says in message
    assert names(personalize, arn) == ["watches"]


def test_events_must_have_a_type_and_the_dataset_must_be_there(personalize: Any, group: Group) -> None:
    code, message = refused(create, personalize=personalize, group=group, metrics=[metric("n", "SUM(Items.PRICE)")])
    assert (code, "no dataset of type ITEMS" in message) == ("InvalidInputException", True)
    bare = Group(personalize.create_dataset_group(name="bare")["datasetGroupArn"], "", "")
    code, message = refused(create, personalize=personalize, group=bare)
    assert (code, "EVENT_TYPE" in message) == ("InvalidInputException", True)
    assert refused(create, personalize=personalize, group=Group(bare.arn + "x", "", ""))[0] == (
        "ResourceNotFoundException"
    )


def test_the_output_is_a_place_that_may_be_written_to(personalize: Any, films: Group, move: Any) -> None:
    arn = create(personalize, films, metricsOutputConfig={"roleArn": ROLE})
    update = personalize.update_metric_attribution
    for path in ("https://bucket/x", "file:///etc"):
        output = {"roleArn": ROLE, "s3DataDestination": {"path": path}}
        move(arn, status="CREATE FAILED")
        code, message = refused(create, personalize=personalize, group=films, name="b", metricsOutputConfig=output)
        assert (code, message.startswith("metricsOutputConfig.s3DataDestination: ")) == ("InvalidInputException", True)
        move(arn, status="ACTIVE")
        assert refused(update, metricAttributionArn=arn, metricsOutputConfig=output)[0] == "InvalidInputException"
    update(metricAttributionArn=arn, metricsOutputConfig=OUTPUT)
    shown = personalize.describe_metric_attribution(metricAttributionArn=arn)["metricAttribution"]
    assert shown["metricsOutputConfig"] == OUTPUT


def test_an_update_takes_metrics_off_and_adds_others(personalize: Any, films: Group, move: Any) -> None:
    arn = create(personalize, films, "sums", metric("a"), metric("b"))
    move(arn, status="ACTIVE")
    update = personalize.update_metric_attribution
    code, message = refused(update, metricAttributionArn=arn, addMetrics=[metric("c"), metric("a")])
    assert (code, "'a'" in message) == ("ResourceAlreadyExistsException", True)
    assert refused(update, metricAttributionArn=arn, addMetrics=[metric("c"), metric("c")])[0] == (
        "ResourceAlreadyExistsException"
    )
    code, message = refused(update, metricAttributionArn=arn, removeMetrics=["z"], addMetrics=[metric("c")])
    assert (code, "no metric 'z'" in message) == ("InvalidInputException", True)
    assert refused(update, metricAttributionArn=arn)[0] == "InvalidInputException"
    assert refused(update, addMetrics=[metric("c")])[0] == "InvalidInputException"
    assert refused(update, metricAttributionArn=arn + "x", addMetrics=[metric("c")])[0] == "ResourceNotFoundException"
    assert names(personalize, arn) == ["a", "b"]

    changed = metric("a", "SUM(Items.PRICE)", event="buy")
    assert (
        update(metricAttributionArn=arn, removeMetrics=["a", "b"], addMetrics=[changed, metric("c")])[
            "metricAttributionArn"
        ]
        == arn
    )
    shown = personalize.list_metric_attribution_metrics(metricAttributionArn=arn)["metrics"]
    assert shown == [changed, metric("c")]
    eight = [metric(f"m{number}") for number in range(8)]
    update(metricAttributionArn=arn, addMetrics=eight)
    code, message = refused(update, metricAttributionArn=arn, addMetrics=[metric("eleventh")])
    assert (code, "at most 10" in message) == ("InvalidInputException", True)


def test_metrics_are_listed_in_pages(personalize: Any, films: Group) -> None:
    arn = create(personalize, films, "sums", *(metric(name) for name in "edcba"))
    pages = personalize.get_paginator("list_metric_attribution_metrics").paginate(
        metricAttributionArn=arn, PaginationConfig={"PageSize": 2}
    )
    assert [[one["metricName"] for one in page["metrics"]] for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    call = personalize.list_metric_attribution_metrics
    token = call(metricAttributionArn=arn, maxResults=2)["nextToken"]
    assert refused(call, metricAttributionArn=arn + "x", nextToken=token)[0] == "InvalidNextTokenException"
    assert refused(call, nextToken="no token")[0] == "InvalidNextTokenException"
    # The service model lets it answer no ResourceNotFound.
    assert call(metricAttributionArn=arn + "x")["metrics"] == []
    assert refused(call)[0] == "InvalidInputException"


def test_a_name_is_given_to_one_metric(personalize: Any, films: Group) -> None:
    code, message = refused(create, personalize=personalize, group=films, metrics=[metric("a"), metric("a", event="b")])
    assert (code, "given twice" in message) == ("InvalidInputException", True)
    eleven = [metric(str(number)) for number in range(11)]
    assert refused(create, personalize=personalize, group=films, metrics=eleven)[0] == "ValidationException"
