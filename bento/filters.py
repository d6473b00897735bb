"""Filters of requests: found in the registry, read once, worked out once a version.

A filter never changes, so what was read of it holds as long as it is there; whether it is there is asked once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from bento.database import Database
from bento.deployments import Campaign
from bento.items import Items
from bento.lookups import Lookups
from bento.routes import Loaded
from pipelines.aws.errors import InvalidInput, ResourceNotFound
from pipelines.filters.checking import kept
from pipelines.filters.tree import Filter
from pipelines.filters.values import Values, read_values

if TYPE_CHECKING:
    from pipelines.serving.filtering import Filtering
    from pipelines.serving.recommender import Recommender

KEPT = 100
"""Filters of a version that are kept worked out; a group has 10 unless its quota says otherwise."""

_READ = """
SELECT id, group_id, status, doc ->> 'filterExpression', internal -> 'columns'
FROM openpersonalize.resources WHERE kind = 'Filter' AND arn = %(arn)s
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A filter of the registry that is ACTIVE."""

    id: str
    group_id: str
    filter: Filter


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filter of a request, and the values that the request gives it."""

    found: Found
    values: Values


class Filters:
    """Filters for the requests of one worker."""

    def __init__(self, database: Database, items: Items) -> None:
        self._database = database
        self._items = items
        self._lookups = Lookups(self._read)
        self._read_before: dict[str, Filter] = {}
        self._worked_out: WeakKeyDictionary[Recommender, dict[str, Filtering]] = WeakKeyDictionary()

    async def chosen(self, call: Mapping[str, Any], campaign: Campaign) -> Chosen | None:
        """The filter of a request or of a promotion, if it has one.

        Raises ResourceNotFound, InvalidInput or ServiceUnavailable.
        """
        arn, given = call.get("filterArn"), call.get("filterValues") or {}
        if arn is None:
            if given:
                raise InvalidInput("filterValues is given without a filterArn.")
            return None
        found = await self._lookups.find(arn)
        if found.group_id != campaign.group_id:
            raise InvalidInput(f"filterArn: {arn} belongs to another dataset group than the campaign.")
        return Chosen(found, read_values(found.filter, given))

    async def on(self, found: Found, loaded: Loaded) -> Filtering:
        """The filter on what serves; raises InvalidInput when the version cannot be filtered so."""
        from pipelines.serving.filtering import Filtering

        kept, known = self._worked_out.setdefault(loaded.recommender, {}), self._items.of(loaded)
        made = kept.get(found.id)
        if made is not None and (known is None or made.known is known):
            return made
        if made is not None and known is not None and made.known.base is known.base:
            made = await asyncio.to_thread(made.over, known)
        else:
            made = await asyncio.to_thread(Filtering, loaded.recommender.artefact, found.filter, known)
        if len(kept) >= KEPT:
            kept.clear()
        kept[found.id] = made
        return made

    async def _read(self, arn: str) -> Found:
        rows = await self._database.rows(_READ, {"arn": arn})
        if not rows or rows[0][2].startswith("DELETE"):
            raise ResourceNotFound(f"Filter {arn} does not exist.")
        id, group_id, status, text, columns = rows[0]
        if status != "ACTIVE":
            raise InvalidInput(f"filterArn: {arn} is {status}; it must be ACTIVE.")
        if id not in self._read_before:
            if len(self._read_before) >= 1000:
                self._read_before.clear()
            # In a thread: the first one loads the parser.
            self._read_before[id] = await asyncio.to_thread(kept, text, columns)
        return Found(id, group_id, self._read_before[id])
