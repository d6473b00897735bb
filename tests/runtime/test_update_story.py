"""A new item from PutItems to a list, and out of it again: real training, real updates, the real runtime, boto3."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.datasets.example import build_snapshot
from pipelines.registry import store
from pipelines.schedules.updates_due import updates_due
from pipelines.versions import claim, publish, reproduce
from pipelines.versions.updating import update
from tests.support import shop as clothes
from tests.support.registry import add_version
from tests.support.runtime import Shop, Version
from tests.support.versions import World, commit, look

pytestmark = pytest.mark.soak

NEWEST = 1_600_400_000
LISTS = 200
FRESH = [f"fresh{n}" for n in range(5)]
INTERACTIONS = {
    **clothes.INTERACTIONS,
    # Without the column, what clients say that they have shown is no part of the dataset.
    "fields": [*clothes.INTERACTIONS["fields"], {"name": "IMPRESSION", "type": ["null", "string"]}],
}
ITEMS = {
    **clothes.ITEMS,
    "fields": [*clothes.ITEMS["fields"], {"name": "CREATION_TIMESTAMP", "type": ["null", "long"]}],
}


@pytest.fixture
def version(conn: Connection, shop: Shop, tmp_path: Path) -> Version:
    """Trained on four tastes: u0, u4, ... like Action, u1, u5, ... Comedy|Drama, ..."""
    with conn.begin():
        group = store.get(conn, id=shop.group_id)
        assert group is not None
        doc = {"recipeArn": "arn:aws:personalize:::recipe/aws-user-personalization", "solutionConfig": {}}
        solution = store.insert(
            conn,
            kind="Solution",
            arn=shop.arn("Solution", "taste"),
            name="taste",
            status=store.ACTIVE,
            group_id=group.id,
            parent_id=group.id,
            doc=doc,
        )
    world = World(shop.settings, group, solution)
    files = clothes.write(tmp_path / "csv")
    rows = files["ITEMS"].read_text().splitlines()
    files["ITEMS"].write_text(
        "\n".join([f"{rows[0]},CREATION_TIMESTAMP", *(f"{row},1500000000" for row in rows[1:])]) + "\n"
    )
    shop.add_dataset("ITEMS", ITEMS)
    rows = files["INTERACTIONS"].read_text().splitlines()
    files["INTERACTIONS"].write_text("\n".join([f"{rows[0]},IMPRESSION", *(f"{row}," for row in rows[1:])]) + "\n")
    for kind, schema in (("INTERACTIONS", INTERACTIONS), ("ITEMS", ITEMS)):
        with conn.begin():
            [dataset] = [d for d in store.in_group(conn, group.id, "Dataset") if d.doc["datasetType"] == kind]
            store.update(conn, str(dataset.schema_id), doc={"schema": json.dumps(schema)})
        build_snapshot(files[kind], schema, kind, tmp_path / "snapshot")  # type: ignore[arg-type]
        commit(conn, world, dataset, tmp_path / "snapshot")
    with conn.begin():
        made = add_version(conn, solution, "00000001", status=store.CREATE_PENDING)
    for step in (claim, reproduce, publish):
        step(shop.settings, made.id)
    return Version(made.id, made.arn, tmp_path)


def test_a_new_item_is_shown_to_those_who_like_its_kind_after_one_update_and_less_as_nobody_takes_it(
    conn: Connection, shop: Shop, version: Version, recommendations: Any, events: Any
) -> None:
    campaign = shop.deploy(version, "home", itemExplorationConfig={"explorationWeight": "0.5"})
    items = shop.query("SELECT arn FROM openpersonalize.resources WHERE doc ->> 'datasetType' = 'ITEMS'")[0][0]
    tracker = shop.tracking_id

    def share(user: str) -> float:
        """Of the places in lists of 25 those of the new items."""
        found = 0
        for _ in range(LISTS):
            answer = recommendations.get_recommendations(campaignArn=campaign, userId=user, numResults=25)
            found += sum(item["itemId"] in FRESH for item in answer["itemList"])
        return found / LISTS / 25

    def show(times: int) -> None:
        """Lists with the new items in which users took another, which says nothing of those users' tastes."""
        for start in range(0, times, 10):
            batch = [
                {"eventType": "watch", "itemId": "i99", "impression": [*FRESH, "i99"], "sentAt": NEWEST + start + n}
                for n in range(10)
            ]
            events.put_events(trackingId=tracker, userId=f"viewer{start}", sessionId=f"v{start}", eventList=batch)

    def updated() -> None:
        assert [wanted["version_id"] for wanted in updates_due(shop.settings)] == [version.id]
        update(shop.settings, version.id, datetime.now(UTC))
        assert updates_due(shop.settings) == []

    described = [
        {"itemId": item, "properties": json.dumps({"genres": "Action", "creationTimestamp": NEWEST})} for item in FRESH
    ]
    events.put_items(datasetArn=items, items=described)
    before = share("u0")
    updated()
    shares = [share("u0")]
    others = share("u2")
    for times in (200, 2000):
        show(times)
        updated()
        shares.append(share("u0"))
    print(f"new items' share of places: {before:.3f} before the update, then {shares}; of others {others:.3f}")
    assert before == 0
    assert shares[0] > 2 * others and shares[0] > 0.02
    # Down to what relevance alone gives them, which more impressions do not take away.
    assert shares[0] > shares[1] and shares[0] > 2 * shares[2]
    made = look(conn, version.id)
    assert [one["number"] for one in made.internal["updates"]] == [1, 2, 3]
    assert made.status == store.ACTIVE and made.arn == version.arn
