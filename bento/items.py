"""What the Items datasets say by now: what came since a version's training reaches filters, and metadata columns are read.

Every few seconds a worker asks how many item records are newer than what its versions know; only when that has changed does
it read them, make columns of them in a thread, and put those over the versions' own (pipelines/serving/newer.py) in one
assignment. A request looks at nothing but that. After an import the dataset itself is read anew, by a process of its own
(pipelines/serving/local_items.py), and takes the place of what a version knows of items; and so it does when more than
MOST_NEWER records are newer. Both reach filters in seconds; AWS says within 15 minutes.

Metadata columns are read from that table too (bento/item_metadata.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import orjson

from bento.campaigns import Campaigns
from bento.database import Database
from bento.outage import Outage
from bento.routes import Loaded

if TYPE_CHECKING:
    from pipelines.serving.columns import Columns
    from pipelines.serving.item_table import ItemTable, Moment
    from pipelines.serving.newer import KnownItems, Record
    from pipelines.serving.recommender import Recommender

POLL_SECONDS = 5.0
SHARE = 0.02
"""Of its time a worker spends at most this on what has changed: after a long read it waits longer."""
LONGEST = 300.0
"""But never longer than this: 15 minutes is what AWS promises."""
MOST_NEWER = 10_000
"""Records that are laid over what a version knows; with more the dataset is read anew, once for all workers."""
RETRY_SECONDS = 30.0

_TRAINED = """
SELECT id, internal #>> '{snapshots,ITEMS,imported}', internal #>> '{record_cutoffs,ITEMS}', internal -> 'updates'
FROM openpersonalize.resources WHERE kind = 'SolutionVersion' AND id = ANY(%(versions)s)
"""
_DATASETS = """
SELECT d.group_id, d.id, coalesce(d.internal ->> 'imported', ''), d.schema_id, newer.count, newer.last
FROM unnest(%(groups)s::text[], %(after)s::bigint[]) AS asked(group_id, after)
JOIN openpersonalize.resources d ON d.group_id = asked.group_id AND d.kind = 'Dataset'
     AND d.doc ->> 'datasetType' = 'ITEMS' AND d.status = 'ACTIVE',
LATERAL (SELECT count(*) AS count, coalesce(max(id), 0) AS last FROM openpersonalize.records
         WHERE dataset_id = d.id AND id > asked.after) AS newer
"""
# A record's values as text, as a training reads them (pipelines/datasets/streamed.py).
TEXTS = "coalesce((SELECT jsonb_object_agg(key, value) FROM jsonb_each_text(properties))::text, '{}')"
_NEWER = f"""
SELECT record_id, {TEXTS} FROM (
    SELECT DISTINCT ON (record_id) record_id, properties FROM openpersonalize.records
    WHERE dataset_id = %(dataset)s AND id > %(after)s ORDER BY record_id, id DESC
) AS newest
"""
Fetch = Callable[[str, "Moment", Event], "ItemTable"]
"""The table of a dataset, of that import and schema, with records up to that number at least; runs in a thread."""

log = logging.getLogger("openpersonalize.items")


class Seen(NamedTuple):
    """An Items dataset at one look."""

    dataset_id: str
    imported: str
    schema: str
    after: int
    """Newer records than this one were counted."""
    newer: int
    last: int


@dataclass
class Group:
    """What a worker has of one group's Items dataset."""

    seen: Seen
    records: Mapping[str, Record] = field(default_factory=dict)
    """The newest by item id, of those numbered above `seen.after`."""
    table: ItemTable | None = None
    loading: asyncio.Task[None] | None = None
    failed: str = ""
    """Why the table could not be made; empty: it could."""
    retry_at: float = 0.0


class _Based(NamedTuple):
    """What a version's items are read from: its own columns, later maybe a table's."""

    columns: Columns
    imported: str
    records: int
    """Number of the newest streamed record in it."""


class Items:
    """The items of what one worker serves."""

    def __init__(self, database: Database, campaigns: Campaigns, fetch: Fetch) -> None:
        self.groups: dict[str, Group] = {}
        self._database = database
        self._campaigns = campaigns
        self._fetch = fetch
        self._based: WeakKeyDictionary[Recommender, _Based] = WeakKeyDictionary()
        self._known: WeakKeyDictionary[Recommender, KnownItems] = WeakKeyDictionary()
        self._looking = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._stop = Event()

    def of(self, loaded: Loaded) -> KnownItems | None:
        """What filters on this version read of items; None: what the version itself knows."""
        return self._known.get(loaded.recommender)

    async def run(self) -> None:
        """Follow the datasets until cancelled."""
        outage = Outage(log, "new items do not reach filters")
        while True:
            began = monotonic()
            with outage.noted():
                await self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(max(POLL_SECONDS, (monotonic() - began) / SHARE), LONGEST)):
                    await self._arrived.wait()
            self._arrived.clear()

    async def close(self) -> None:
        self._stop.set()
        tasks = [group.loading for group in self.groups.values() if group.loading is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def look(self) -> None:
        """Bring what filters read up to the datasets; raises ServiceUnavailable."""
        async with self._looking:
            served = self._served()
            await self._begin([loaded for of_group in served.values() for loaded in of_group])
            # Before the look: what is read after it is then at least as new as they are.
            tables = {id: group.table for id, group in self.groups.items()}
            after = {id: self._after(of_group, tables.get(id)) for id, of_group in served.items()}
            asked = {"groups": list(after), "after": list(after.values())}
            rows = await self._database.rows(_DATASETS, asked) if after else []
            seen = {
                id: Seen(dataset, imported, schema, after[id], *counted)
                for id, dataset, imported, schema, *counted in rows
            }
            self.groups = {id: self._group(id, one) for id, one in seen.items()}
            for id, one in seen.items():
                await self._follow(self.groups[id], one, served[id], tables.get(id))

    def _served(self) -> dict[str, list[Loaded]]:
        """By group what answers here and reads items: for filters or for metadata."""
        found: dict[str, list[Loaded]] = {}
        for route in self._campaigns.routes.values():
            for loaded in (route.loaded, route.loaded.challenger) if route.loaded is not None else ():
                if loaded is not None and (_filters(loaded) or shows_metadata(loaded)):
                    found.setdefault(route.campaign.group_id, []).append(loaded)
        return found

    async def _begin(self, served: Sequence[Loaded]) -> None:
        """Find out what the versions that are new here know of items."""
        new = [one for one in served if _filters(one) and one.recommender not in self._based]
        if not new:
            return
        rows = await self._database.rows(_TRAINED, {"versions": [one.version.id for one in new]})
        trained = {id: more for id, *more in rows}
        for one in new:
            # A version whose row is gone is on its way out.
            imported, records, updates = trained.get(one.version.id, (None, None, None))
            edition = int(one.recommender.artefact.manifest.get("edition", 0))
            for update in updates or ():
                if update["edition"] <= edition:
                    imported = update["snapshots"].get("ITEMS", {}).get("imported")
                    records = update["record_cutoffs"].get("ITEMS")
            columns = _filters(one)
            assert columns is not None
            self._based[one.recommender] = _Based(columns, imported or "", int(records or 0))

    def _after(self, served: Sequence[Loaded], table: ItemTable | None) -> int:
        """The number above which records are newer than what some version knows."""
        based = [self._based[one.recommender].records for one in served if one.recommender in self._based]
        return min(based, default=0 if table is None else table.moment.records)

    def _group(self, id: str, seen: Seen) -> Group:
        known = self.groups.get(id)
        return (
            known if known is not None and known.seen.dataset_id == seen.dataset_id else Group(seen._replace(last=-1))
        )

    async def _follow(self, group: Group, seen: Seen, served: Sequence[Loaded], table: ItemTable | None) -> None:
        from pipelines.serving.item_table import Moment
        from pipelines.serving.newer import KnownItems

        versions = {one.recommender for one in served if one.recommender in self._based}
        is_far = seen.newer > MOST_NEWER
        is_new = any(self._based[version].imported != seen.imported for version in versions)
        if is_new or is_far or any(map(shows_metadata, served)):
            # Too far behind is also a table that was made before these records came.
            self._load(group, Moment(seen.imported, seen.schema, seen.after + 1 if is_far else 0))
        if table is not None and table.moment[:2] == (seen.imported, seen.schema):
            for version in versions:
                based = self._based[version]
                if based.imported != seen.imported or (is_far and based.records < table.moment.records):
                    columns = await asyncio.to_thread(table.rows_of, version.artefact.items)
                    self._based[version] = _Based(columns, seen.imported, table.moment.records)
        if seen != group.seen and seen.newer <= 10 * MOST_NEWER:
            rows = await self._database.rows(_NEWER, {"dataset": seen.dataset_id, "after": seen.after})
            group.records = await asyncio.to_thread(lambda: {item: orjson.loads(texts) for item, texts in rows})
        group.seen = seen
        for version in versions:
            known, base = self._known.get(version), self._based[version].columns
            if known is None or not (known.base is base and known.records is group.records and known.table is table):
                self._known[version] = await asyncio.to_thread(
                    KnownItems.of, base, version.artefact.items, group.records, table
                )

    def _load(self, group: Group, wanted: Moment) -> None:
        """Have the table made, unless it is there: of that import and schema, with records up to that number at least."""
        table = group.table
        is_there = table is not None and table.moment[:2] == wanted[:2] and table.moment.records >= wanted.records
        if is_there or group.loading is not None or monotonic() < group.retry_at:
            return
        group.loading = asyncio.create_task(self._fetch_table(group, wanted))

    async def _fetch_table(self, group: Group, wanted: Moment) -> None:
        try:
            group.table = await asyncio.to_thread(self._fetch, group.seen.dataset_id, wanted, self._stop)
            group.failed = ""
        except Exception as failure:  # noqa: BLE001 (filters go on with what they have)
            log.warning("items of dataset %s are not read anew for now: %s", group.seen.dataset_id, failure)
            group.failed, group.retry_at = str(failure)[:500], monotonic() + RETRY_SECONDS
        finally:
            group.loading = None
            self._arrived.set()


def shows_metadata(loaded: Loaded) -> bool:
    """Whether requests may ask for metadata columns."""
    return bool(loaded.config.get("enableMetadataWithRecommendations"))


def _filters(loaded: Loaded) -> Columns | None:
    """What the version itself knows of items; None: it is of before there were filters."""
    data = loaded.recommender.artefact.filter_data
    return None if data is None else data.items
