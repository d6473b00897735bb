"""Metric attributions: which events of a group are counted or summed, and where the sums go (spec: runtime.md section 9).

The sums are made by pipelines/datasets/attribution.py. Whether S3 lets the server write to the destination shows when the
first report is written, as with exports; then the import that asked for it fails with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete as sql_delete

from pipelines.aws.errors import InvalidInput, ResourceAlreadyExists
from pipelines.control import lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import NOT_COUNTED, create, members
from pipelines.control.datasets import fields
from pipelines.control.locations import check_destination
from pipelines.datasets.attribution import METRICS, beginning, read_expression
from pipelines.datasets.schema import EVENT_TYPE, Field
from pipelines.filters.literals import NUMBERS
from pipelines.registry import paging, store
from pipelines.registry.tables import attribution_sums

MOST_METRICS = 10

Metrics = Mapping[str, Mapping[str, Any]]

describe = views.describing("MetricAttribution")
list_all = views.listing("MetricAttribution", "metricAttributions", within="DatasetGroup")
delete = views.deleting("MetricAttribution", lambda _context, _attribution: ())


def create_metric_attribution(context: Context, given: Given) -> Given:
    """ACTIVE at once. Raises ResourceAlreadyExists when the group has one, InvalidInput, ResourceNotFound."""
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    for other in store.in_group(context.conn, group.id, "MetricAttribution"):
        if other.status not in NOT_COUNTED:
            raise ResourceAlreadyExists(f"{group.arn} has a metric attribution already: {other.arn}.")
    metrics = _begun(context, group.id, given["metrics"])
    if len(metrics) < len(given["metrics"]):
        raise InvalidInput("metrics: the same metricName is given twice.")
    _check_metrics("metrics", given["metrics"], fields(context, group))
    _check_output(context, given["metricsOutputConfig"])
    made = create(
        context,
        "MetricAttribution",
        given,
        group=group,
        doc={**members(given, "metricsOutputConfig"), "datasetGroupArn": group.arn},
        internal={METRICS: metrics},
    )
    return {"metricAttributionArn": made.arn}


def update_metric_attribution(context: Context, given: Given) -> Given:
    """Takes metrics off with their sums, then adds others, so that one call replaces one; at once.

    What is added counts from now on; the other metrics go on.
    Raises ResourceAlreadyExists for a metric that is there, InvalidInput, ResourceInUse unless ACTIVE.
    """
    attribution = lookup.lock_active(context, "MetricAttribution", _arn(given))
    added, removed = given.get("addMetrics", []), given.get("removeMetrics", [])
    config = members(given, "metricsOutputConfig")
    if not (added or removed or config):
        raise InvalidInput("Give what to update: addMetrics, removeMetrics or metricsOutputConfig.")
    there = dict(attribution.internal[METRICS])
    for name in removed:
        if there.pop(name, None) is None:
            raise InvalidInput(f"removeMetrics: {attribution.arn} has no metric {name!r}.")
    for metric in added:
        if metric["metricName"] in there:
            raise ResourceAlreadyExists(f"addMetrics: {attribution.arn} has a metric {metric['metricName']!r} already.")
        there |= _begun(context, attribution.group_id or "", [metric])
    if len(there) > MOST_METRICS:
        raise InvalidInput(f"addMetrics: there would be {len(there)} metrics; there can be at most {MOST_METRICS}.")
    _check_metrics("addMetrics", added, fields(context, lookup.group_of(context, attribution)))
    if config:
        _check_output(context, config["metricsOutputConfig"])
    of_removed = (attribution_sums.c.attribution_id == attribution.id) & attribution_sums.c.metric.in_(removed)
    context.conn.execute(sql_delete(attribution_sums).where(of_removed))
    store.update(context.conn, attribution.id, doc=config, internal={METRICS: there})
    return {"metricAttributionArn": attribution.arn}


def list_metrics(context: Context, given: Given) -> Given:
    """By name; an attribution that does not exist has none, as its operation can answer no ResourceNotFound."""
    scope = f"Metric:{given.get('metricAttributionArn')}"
    after = paging.decode(given["nextToken"], scope, str)[0] if "nextToken" in given else None
    attribution = store.get(context.conn, arn=_arn(given))
    metrics: Metrics = attribution.internal.get(METRICS, {}) if attribution is not None else {}
    left = [name for name in sorted(metrics) if after is None or name > after]
    shown = left[: given.get("maxResults", views.DEFAULT_PAGE)]
    token = paging.encode(scope, shown[-1]) if len(shown) < len(left) else None
    return {"metrics": [metrics[name] for name in shown], "nextToken": token}


def _begun(context: Context, group_id: str, metrics: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """The metrics by name, as they count from now on."""
    return {metric["metricName"]: {**metric, **beginning(context.conn, group_id)} for metric in metrics}


def _arn(given: Given) -> str:
    """The service model does not require it; raises InvalidInput."""
    arn: str | None = given.get("metricAttributionArn")
    if arn is None:
        raise InvalidInput("metricAttributionArn is missing.")
    return arn


def _check_metrics(member: str, metrics: Sequence[Mapping[str, str]], columns: Mapping[str, Sequence[Field]]) -> None:
    """Raise InvalidInput unless each counts events or sums a numeric column that the group's datasets have now."""
    if all(field.name != EVENT_TYPE for field in columns.get("INTERACTIONS", ())):
        raise InvalidInput(
            f"datasetGroupArn: the group needs an Interactions dataset with a column {EVENT_TYPE}: metrics are of event types."
        )
    for metric in metrics:
        at, text = f"{member}: expression of {metric['metricName']!r}", metric["expression"]
        found = read_expression(text)
        if found is None:
            raise InvalidInput(f"{at}: {text!r} is not SAMPLECOUNT(), SUM(Interactions.COLUMN) or SUM(Items.COLUMN).")
        if found.dataset:
            _check_column(at, found.column, found.dataset, columns)


def _check_column(at: str, name: str, dataset: str, columns: Mapping[str, Sequence[Field]]) -> None:
    if dataset not in columns:
        raise InvalidInput(f"{at}: the dataset group has no dataset of type {dataset}.")
    types = {field.name: field.avro for field in columns[dataset]}
    if name not in types:
        raise InvalidInput(f"{at}: {dataset} has no column {name}; it has {', '.join(types)}.")
    if types[name] not in NUMBERS:
        raise InvalidInput(f"{at}: {name} is a {types[name]}; only columns of type {', '.join(NUMBERS)} can be summed.")


def _check_output(context: Context, config: Mapping[str, Any]) -> None:
    if "s3DataDestination" in config:
        check_destination(context.settings, config["s3DataDestination"], "metricsOutputConfig.s3DataDestination")
