"""An Items dataset of the columns of tests/support/filters.py, put and imported, beside a shop of tests/support/runtime.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipelines.datasets.streamed import newest_record
from pipelines.registry import store
from pipelines.repository import GroupRepository
from tests.support import imports
from tests.support.filters import DATASETS
from tests.support.runtime import Shop

SCHEMA = {
    "type": "record",
    "name": "Items",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {
            "name": one.name,
            "type": one.avro if one.name == "ITEM_ID" else ["null", one.avro],
            **({"categorical": True} if one.categorical else {}),
            **({"textual": True} if one.textual else {}),
        }
        for one in DATASETS["ITEMS"]
    ],
}


def put(events: Any, dataset_arn: str, records: Mapping[str, Mapping[str, Any]]) -> None:
    """PutItems of at most ten."""
    items = [{"itemId": id, "properties": json.dumps(properties)} for id, properties in records.items()]
    events.put_items(datasetArn=dataset_arn, items=items)


def bring(shop: Shop, dataset_arn: str, records: Mapping[str, Mapping[str, str]], job: str) -> None:
    """A FULL import of these cells by column, as its job leaves it."""
    names = [one.name for one in DATASETS["ITEMS"]]
    rows = [[id, *(cells.get(name, "") for name in names[1:])] for id, cells in records.items()]
    csv = "\n".join(map(",".join, [names, *rows])) + "\n"
    with shop.engine.begin() as conn:
        dataset = store.get(conn, arn=dataset_arn)
        assert dataset is not None
        after = newest_record(conn, dataset.id)
    made = imports.run(shop.settings.home / job, "ITEMS", csv.encode(), name=job, schema=SCHEMA, after=after).snapshot
    tag, facts = f"data/{dataset.id}/{job}", made.facts(f"data/{dataset.id}/{job}")
    GroupRepository(shop.settings, shop.group_id).commit_snapshot(dataset.id, made.directory, tag, "Import")
    with shop.engine.begin() as conn:
        store.update(conn, dataset.id, internal={"snapshot": facts, "imported": job})
