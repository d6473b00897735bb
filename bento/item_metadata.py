"""`metadataColumns`: what the Items dataset says of the items of an answer (spec/runtime.md sections 2 and 3).

From the dataset's table (pipelines/serving/item_table.py), and from the newest records since it, which are read for the
request: what was put counts at once. An item without a row has no `metadata`, a null no key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from bento.database import Database
from bento.items import TEXTS, Items, shows_metadata
from bento.routes import Loaded
from pipelines.aws.errors import InvalidInput, ServiceUnavailable

if TYPE_CHECKING:
    from pipelines.serving.item_table import ItemTable

MOST_COLUMNS = 10
PATIENCE = 10.0
"""Seconds that a request waits at most for the dataset of a campaign that this worker has just begun to serve."""

_NEWER = f"""
SELECT newest.record_id, newest.texts FROM unnest(%(items)s::text[]) AS asked(item),
LATERAL (SELECT record_id, {TEXTS} AS texts FROM openpersonalize.records
         WHERE dataset_id = %(dataset)s AND record_id = asked.item AND id > %(after)s
         ORDER BY id DESC LIMIT 1) AS newest
"""


class ItemMetadata:
    """Metadata for the requests of one worker."""

    def __init__(self, database: Database, items: Items) -> None:
        self._database = database
        self._items = items

    async def columns(self, call: Mapping[str, Any], group_id: str, loaded: Loaded) -> Columns | None:
        """The columns that a request asks for; None: it asks for none. Raises InvalidInput or ServiceUnavailable."""
        asked = call.get("metadataColumns")
        if not asked:
            return None
        names = _asked(asked)
        if not shows_metadata(loaded):
            raise InvalidInput(
                "metadataColumns cannot be used: the campaign does not have enableMetadataWithRecommendations."
            )
        dataset_id, table = await self._table(group_id)
        columns = {name: table.named(name) for name in names}
        for name, column in columns.items():
            if column is None:
                known = ", ".join(table.columns.by_name)
                raise InvalidInput(f"metadataColumns: the Items dataset has no column {name!r}; it has {known}.")
        return Columns(dataset_id, table, {name: column for name, column in columns.items() if column is not None})

    async def of(self, columns: Columns, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Items of an answer with their `metadata`; raises ServiceUnavailable."""
        from pipelines.serving.newer import of_records

        table = columns.table
        asked = {
            "dataset": columns.dataset_id,
            "items": [item["itemId"] for item in items],
            "after": table.moment.records,
        }
        rows = await self._database.rows(_NEWER, asked)
        newer = {item: of_records([orjson.loads(texts)], table.columns) for item, texts in rows}
        answered = []
        for item in items:
            values = table.values(item["itemId"], columns.names, newer.get(item["itemId"]))
            answered.append({**item, "metadata": values} if values else item)
        return answered

    async def _table(self, group_id: str) -> tuple[str, ItemTable]:
        """The group's Items dataset and its table; raises InvalidInput or ServiceUnavailable."""
        group = self._items.groups.get(group_id)
        if group is None or group.table is None:
            await self._items.look()
            group = self._items.groups.get(group_id)
        if group is None:
            raise InvalidInput("metadataColumns: the dataset group has no Items dataset.")
        if group.table is None and group.loading is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(group.loading), PATIENCE)
        if group.table is None:
            raise ServiceUnavailable(f"The metadata of items are being read, try again. {group.failed}".rstrip())
        return group.seen.dataset_id, group.table


class Columns(NamedTuple):
    """What a request asks for."""

    dataset_id: str
    table: ItemTable
    names: Mapping[str, str]
    """As the caller writes them, and the columns' own."""


def _asked(given: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """The names of the columns; raises InvalidInput."""
    [(dataset, names)] = given.items()  # the service model allows one
    if dataset != "ITEMS":
        raise InvalidInput(f"metadataColumns: the key must be ITEMS, not {dataset}.")
    if len(names) > MOST_COLUMNS:
        raise InvalidInput(f"metadataColumns: at most {MOST_COLUMNS} columns, not {len(names)}.")
    return names
