"""The data sets that streamed records go into, with the rules that their schemas make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from bento.database import Database
from bento.event_rules import action_event_properties
from bento.lookups import Lookups
from bento.property_rules import PropertyRules
from bento.record_rules import record_properties
from pipelines.aws.errors import ResourceInUse, ResourceNotFound
from pipelines.datasets.schema import DatasetType

_BY_ARN = "d.arn = %(key)s"
_BY_TRACKING_ID = "d.doc ->> 'trackingId' = %(key)s AND d.doc ->> 'datasetType' = 'ACTION_INTERACTIONS'"
_READ = """
SELECT d.id, d.arn, d.status, d.doc ->> 'datasetType', s.doc ->> 'schema'
FROM openpersonalize.resources d JOIN openpersonalize.resources s ON s.id = d.schema_id
WHERE d.kind = 'Dataset' AND """


@dataclass(frozen=True, slots=True)
class Dataset:
    """An ACTIVE data set and what its records may carry."""

    id: str
    arn: str
    dataset_type: DatasetType
    rules: PropertyRules


class Datasets:
    """Data sets as the calls name them: by ARN, or by trackingId."""

    def __init__(self, database: Database, *, by_tracking_id: bool = False) -> None:
        self._database = database
        self._statement = _READ + (_BY_TRACKING_ID if by_tracking_id else _BY_ARN)
        self._named = (
            "trackingId {!r} is not that of an Action_Interactions dataset."
            if by_tracking_id
            else ("Dataset {} does not exist.")
        )
        self._lookups = Lookups(self._read)

    async def find(self, key: str) -> Dataset:
        """Raises ResourceNotFound, ResourceInUse unless ACTIVE, or ServiceUnavailable."""
        return await self._lookups.find(key)

    async def refuse(self, key: str) -> NoReturn:
        """Say why the data set, found a moment ago, was not written to; raises as `find` does."""
        self._lookups.forget(key)
        dataset = await self.find(key)
        raise ResourceInUse(f"{dataset.arn} was made anew at this moment. Try again.")

    async def _read(self, key: str) -> Dataset:
        rows = await self._database.rows(self._statement, {"key": key})
        if not rows:
            raise ResourceNotFound(self._named.format(key))
        id, arn, status, dataset_type, schema = rows[0]
        if status != "ACTIVE":
            raise ResourceInUse(f"{arn} is {status}; it must be ACTIVE.")
        if dataset_type == "ACTION_INTERACTIONS":
            return Dataset(id, arn, dataset_type, action_event_properties(schema))
        return Dataset(id, arn, dataset_type, record_properties(schema, dataset_type))
