"""A registry with thousands of resources of every kind, written through the store with documents as the platform's are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, text

from pipelines.aws import arns
from pipelines.registry import store
from pipelines.registry.store import Resource
from tests.support.group import INTERACTIONS, ROLE, USER_PERSONALIZATION, schema_text
from tests.support.registry import ACCOUNT, REGION

GROUPS, SOLUTIONS_A_GROUP = 50, 10
RESOURCES = 10_000
VERSIONS_OF_LARGEST, IMPORTS_OF_LARGEST = 600, 400
"""The first group's first solution and first dataset are as old platforms have them: trained and filled for years."""
_COLUMNS = [{"name": f"COLUMN_{n}", "type": ["null", "string"], "categorical": True} for n in range(15)]
_SCHEMA = schema_text([*INTERACTIONS, {"name": "EVENT_TYPE", "type": "string"}, *_COLUMNS])
_DATA = {
    "dataSource": {"dataLocation": "s3://company-personalize/incoming/2026-11-22/interactions.csv"},
    "roleArn": ROLE,
}
_OUTPUT = {"jobOutput": {"s3DataDestination": {"path": "s3://company-personalize/out/2026-11-22/"}}, "roleArn": ROLE}
_PLACES = {"jobInput": {"s3DataSource": {"path": "s3://company-personalize/in/users.json"}}, **_OUTPUT}
_CONFIG = {
    "algorithmHyperParameters": {"hidden_dimension": "149", "bptt": "32", "recency_mask": "true"},
    "trainingDataConfig": {"excludedDatasetColumns": {"INTERACTIONS": ["COLUMN_1", "COLUMN_2"]}},
    "autoTrainingConfig": {"schedulingExpression": "rate(7 days)"},
}
_METRICS = {
    f"{name}_at_{k}": 0.123456789
    for name in ("precision", "normalized_discounted_cumulative_gain")
    for k in (5, 10, 25)
}
_TRAINED = {
    "metrics": {**_METRICS, "coverage": 0.4321, "mean_reciprocal_rank_at_25": 0.2345},
    "snapshots": {
        kind: {
            "tag": f"data/0123456789abcdef/{n}",
            "dataset_id": "0123456789abcdef",
            "rows": 12_345_678,
            "sha256": "0" * 64,
        }
        for n, kind in enumerate(("INTERACTIONS", "ITEMS", "USERS"))
    },
    "event_cutoff": 123_456_789,
    "record_cutoffs": {"ITEMS": 12345, "USERS": 6789},
    "bento": "solution-0123456789abcdef:0123456789abcdef",
    "code": {"commit": "0" * 40, "lock": "0" * 64, "stages": "0" * 64},
    "artefact": {"tag": "sv/0123456789abcdef/0123456789abcdef", "bytes": 123_456_789, "sha256": "0" * 64},
    "timings": dict.fromkeys(("prepare", "train", "evaluate", "package", "publish"), 123.456),
}


def fill(db: Engine, total: int = RESOURCES) -> None:
    """`total` resources; made over a year, one after the other."""
    with db.begin() as conn:
        left = total - sum(1 for _ in _resources(conn))
        solution = store.get(conn, arn=arns.build("Solution", REGION, ACCOUNT, "solution-1-1"))
        assert solution is not None and left > 0
        for n in range(left):
            _version(conn, solution, f"f{n:07x}")
    with db.begin() as conn:
        conn.execute(
            text(
                "UPDATE openpersonalize.resources r SET created_at = now() - (:total - n) * interval '52 minutes', "
                "updated_at = now() FROM (SELECT id, row_number() OVER (ORDER BY ctid) AS n FROM openpersonalize.resources) "
                "o WHERE o.id = r.id"
            ),
            {"total": total},
        )
    with db.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("VACUUM ANALYZE openpersonalize.resources"))


def _resources(conn: Connection) -> Iterator[Resource]:
    for g in range(GROUPS):
        group = _add(conn, "DatasetGroup", f"group-{g}", doc={"domain": "ECOMMERCE"} if g % 2 else {})
        yield group
        yield _add(conn, "EventTracker", f"{g:08x}", group=group, doc={"trackingId": "0" * 36, **_of(group)})
        metric = {"eventType": "click", "expression": "SAMPLECOUNT()", "after": 0, "since": "2026-01-01T00:00:00+00:00"}
        metrics = {"metrics": {f"m{n}": {**metric, "metricName": f"m{n}"} for n in range(10)}}
        output = {"metricsOutputConfig": {"roleArn": ROLE, "s3DataDestination": {"path": "s3://company/metrics/"}}}
        yield _add(
            conn, "MetricAttribution", f"attribution-{g}", group=group, doc={**output, **_of(group)}, internal=metrics
        )
        yield from _data(conn, g, group)
        for n in range(10):
            text_ = f'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase","cart-{n}")'
            yield _add(conn, "Filter", f"filter-{g}-{n}", group=group, doc={"filterExpression": text_, **_of(group)})
        for n in range(5):
            doc = {"recipeArn": USER_PERSONALIZATION, "recommenderConfig": _CONFIG, **_of(group)}
            yield _add(conn, "Recommender", f"recommender-{g}-{n}", group=group, doc=doc)
        for n in range(SOLUTIONS_A_GROUP):
            yield from _solution(conn, g, n, group)


def _data(conn: Connection, g: int, group: Resource) -> Iterator[Resource]:
    for kind in ("INTERACTIONS", "ITEMS", "USERS"):
        schema = _add(conn, "Schema", f"schema-{g}-{kind}", status=None, doc={"schema": _SCHEMA})
        doc = {"datasetType": kind, "schemaArn": schema.arn, **_of(group)}
        dataset = _add(conn, "Dataset", group.name, kind, group=group, schema=schema, doc=doc, internal=_TRAINED)
        yield from (schema, dataset)
        for n in range(IMPORTS_OF_LARGEST if (g, kind) == (0, "INTERACTIONS") else 8):
            doc = {**_DATA, "datasetArn": dataset.arn, "importMode": "FULL"}
            yield _add(conn, "DatasetImportJob", f"import-{dataset.id}-{n}", group=group, parent=dataset, doc=doc)
        for n in range(3):
            doc = {**_OUTPUT, "datasetArn": dataset.arn, "ingestionMode": "ALL"}
            yield _add(conn, "DatasetExportJob", f"export-{dataset.id}-{n}", group=group, parent=dataset, doc=doc)
    for n in range(8):
        yield _add(
            conn, "DataDeletionJob", f"delete-{g}-{n}", group=group, status="COMPLETED", doc={**_DATA, **_of(group)}
        )


def _solution(conn: Connection, g: int, n: int, group: Resource) -> Iterator[Resource]:
    doc = {"recipeArn": USER_PERSONALIZATION, "solutionConfig": _CONFIG, "performAutoTraining": True, **_of(group)}
    solution = _add(
        conn, "Solution", f"solution-{g}-{n}", group=group, doc=doc, internal={"columns": {"ITEMS": ["A"] * 20}}
    )
    yield solution
    for v in range(VERSIONS_OF_LARGEST if (g, n) == (0, 0) else 4):
        version = _version(conn, solution, f"{v:08x}")
        yield version
    served = {"solutionVersionArn": version.arn, "minProvisionedTPS": 1, "campaignConfig": {}}
    deployment = {
        "id": store.new_id(),
        "solution_version_id": version.id,
        "solution_version_arn": version.arn,
        "config": {},
    }
    yield _add(
        conn,
        "Campaign",
        f"campaign-{g}-{n}",
        group=group,
        parent=solution,
        doc={**served, "latestCampaignUpdate": {**served, "status": "ACTIVE", "creationDateTime": 1.7e9}},
        internal={"deployment": deployment},
    )
    doc = {**_PLACES, "solutionVersionArn": version.arn, "numResults": 25}
    for kind, many in (("BatchInferenceJob", 2), ("BatchSegmentJob", 1)):
        for b in range(150 if (g, n) == (0, 0) else many):
            yield _add(conn, kind, f"batch-{g}-{n}-{b}", group=group, parent=version, doc=doc)


def _version(conn: Connection, solution: Resource, end: str) -> Resource:
    doc = {
        **{name: solution.doc[name] for name in ("recipeArn", "solutionConfig", "datasetGroupArn")},
        "solutionArn": solution.arn,
        "trainingMode": "FULL",
        "trainingType": "AUTOMATIC",
        "trainingHours": 1.234,
        "tunedHPOParams": {"algorithmHyperParameters": _CONFIG["algorithmHyperParameters"]},
    }
    return _add(
        conn, "SolutionVersion", solution.name, end, group=solution, parent=solution, doc=doc, internal=_TRAINED
    )


def _of(group: Resource) -> dict[str, Any]:
    return {"datasetGroupArn": group.arn}


def _add(
    conn: Connection,
    kind: str,
    *parts: str,
    group: Resource | None = None,
    parent: Resource | None = None,
    schema: Resource | None = None,
    status: str | None = "ACTIVE",
    **given: Any,
) -> Resource:
    return store.insert(
        conn,
        kind=kind,
        arn=arns.build(kind, REGION, ACCOUNT, *parts),
        name="/".join(parts),
        status=status,
        group_id=(group.group_id or group.id) if group else None,
        parent_id=parent.id if parent else None,
        schema_id=schema.id if schema else None,
        request_id="0" * 36,
        tags={"team": "shop", "stage": "production"} if kind == "Campaign" else None,
        **given,
    )
