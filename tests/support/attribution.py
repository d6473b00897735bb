"""A group with a metric attribution: events and records as the runtime writes them, imports, answers of campaigns."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, text

from pipelines.datasets import attribution, attribution_streamed
from pipelines.datasets.attribution import Attribution, Sum
from pipelines.datasets.attribution_streamed import Streamed
from pipelines.datasets.snapshot import Snapshot
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, records, served
from pipelines.settings import Settings
from tests.support import imports
from tests.support.imports import avro
from tests.support.registry import add, add_group

START = 1_700_000_100
"""Epoch seconds, the beginning of a window."""
NOW = datetime.fromtimestamp(START, UTC)
INTERACTIONS = avro(
    "Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", EVENT_TYPE="string",
    EVENT_VALUE=["null", "float"], MINUTES_SEEN=["null", "int"], RECOMMENDATION_ID=["null", "string"],
    EVENT_ATTRIBUTION_SOURCE=["null", "string"],
)  # fmt: skip
ITEMS = avro("Items", ITEM_ID="string", PRICE=["null", "float"], LENGTH=["null", "long"])
HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,MINUTES_SEEN,RECOMMENDATION_ID,EVENT_ATTRIBUTION_SOURCE"
ROLE = "arn:aws:iam::000000000000:role/not-assumed"


def metric(name: str, expression: str = "SAMPLECOUNT()", event_type: str = "watch") -> dict[str, str]:
    return {"metricName": name, "eventType": event_type, "expression": expression}


@dataclass
class World:
    """One dataset group; every method is a transaction."""

    conn: Connection
    settings: Settings
    work: Path
    group: Resource
    interactions: Resource
    items: Resource
    campaigns: dict[str, Resource] = field(default_factory=dict)
    number: int = 0

    def attribute(self, *metrics: dict[str, str], destination: str | None = None) -> Attribution:
        """Metrics that count from now on, in the group's attribution, which is made with the first ones."""
        with self.conn.begin():
            begun = attribution.beginning(self.conn, self.group.id)
            made = {one["metricName"]: {**one, **begun} for one in metrics}
            there = attribution.of_group(self.conn, self.group.id)
            if there is None:
                output = {"roleArn": ROLE, **({"s3DataDestination": {"path": destination}} if destination else {})}
                doc, internal = {"metricsOutputConfig": output}, {attribution.METRICS: made}
                add(self.conn, "MetricAttribution", self.group.name, group=self.group, doc=doc, internal=internal)
            else:
                old = there.resource.internal[attribution.METRICS]
                store.update(self.conn, there.resource.id, internal={attribution.METRICS: {**old, **made}})
            found = attribution.of_group(self.conn, self.group.id)
        assert found is not None
        return found

    def put(self, event_type: str = "watch", item: str | None = "i1", at: float = 0, **given: Any) -> None:
        """One event, `at` seconds after START."""
        self.number += 1
        row = {
            "group_id": self.group.id, "user_key": "u", "user_id": "u", "session_id": "s", "event_type": event_type,
            "event_id": f"e{self.number}", "item_id": item, "sent_at": START + at, "received_at": NOW, **given,
        }  # fmt: skip
        with self.conn.begin():
            self.conn.execute(insert(events).values(row))

    def put_item(self, item: str, **properties: Any) -> None:
        with self.conn.begin():
            self.conn.execute(insert(records).values(dataset_id=self.items.id, record_id=item, properties=properties))

    def serve(self, recommendation_id: str, campaign: str = "front") -> str:
        """An answer of the campaign, which is made when it is new; its ARN."""
        with self.conn.begin():
            if campaign not in self.campaigns:
                self.campaigns[campaign] = add(self.conn, "Campaign", campaign, group=self.group)
            row = {"served_at": NOW, "recommendation_id": recommendation_id, "solution_version_id": "v"}
            self.conn.execute(insert(served).values(**row, campaign_id=self.campaigns[campaign].id, items=["i1"]))
        return self.campaigns[campaign].arn

    def streamed(self, since: float = 0) -> Streamed:
        with self.conn.begin():
            found = attribution.of_group(self.conn, self.group.id)
            assert found is not None
            return attribution_streamed.summed(self.settings, self.conn, found, since)

    def sums(self, since: float = 0) -> dict[tuple[str, str, int], tuple[float, int]]:
        """Of streamed events: value and events by metric, source and the window's distance from START."""
        return by_key(self.streamed(since).sums)

    def import_job(self, mode: str = "INCREMENTAL", **doc: Any) -> Resource:
        """A job that was asked for just now."""
        self.number += 1
        given = {"importMode": mode, "datasetArn": self.interactions.arn, **doc}
        with self.conn.begin():
            return add(
                self.conn, "DatasetImportJob", f"job-{self.number}", group=self.group, parent=self.interactions,
                status=store.CREATE_IN_PROGRESS, doc=given,
            )  # fmt: skip

    def load(self, job: Resource, *lines: str) -> Snapshot:
        """What the job's import makes of the lines, without registry and repository."""
        done = imports.run(
            self.work, "INTERACTIONS", imports.text(list(lines), HEADER), name=job.id, schema=INTERACTIONS
        )
        assert done.rejects == []
        return done.snapshot


def by_key(sums: list[Sum]) -> dict[tuple[str, str, int], tuple[float, int]]:
    found = {(s.metric, s.source, s.start - START): (attribution.rounded(s.value), s.events) for s in sums}
    assert len(found) == len(sums)
    return found


def make_world(conn: Connection, settings: Settings, work: Path, name: str = "shop") -> World:
    with conn.begin():
        group = add_group(conn, name)
        datasets = []
        for kind, schema in (("INTERACTIONS", INTERACTIONS), ("ITEMS", ITEMS)):
            given = add(conn, "Schema", f"{name}-{kind}", status=None, doc={"schema": json.dumps(schema)})
            datasets.append(add(conn, "Dataset", name, kind, group=group, schema=given, doc={"datasetType": kind}))
    return World(conn, settings, work, group, *datasets)


def forget_answers(conn: Connection) -> None:
    """As after a day."""
    with conn.begin():
        conn.execute(text("DELETE FROM openpersonalize.served"))
