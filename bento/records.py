"""PutItems, PutUsers, PutActions: checked, then committed, then answered.

Every record that came is kept, in the order in which it came; of one id the newest counts, as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bento.commits import Commits
from bento.database import Database
from bento.datasets import Datasets
from bento.record_rules import RECORD_TYPES, record_rows
from pipelines.aws.errors import InvalidInput

# Ordered, so that of two records with one id in a call the later gets the higher number.
_PUT = """
WITH dataset AS MATERIALIZED (
    SELECT id FROM openpersonalize.resources WHERE id = ANY(%(owners)s) AND status = 'ACTIVE'
), put AS (
    INSERT INTO openpersonalize.records (dataset_id, record_id, properties)
    SELECT r.owner, r.record_id, r.properties
    FROM ROWS FROM (jsonb_to_recordset(%(rows)s::jsonb) AS (owner text, record_id text, properties jsonb))
         WITH ORDINALITY AS r
    JOIN dataset ON dataset.id = r.owner
    ORDER BY r.ordinality
    RETURNING 1
)
SELECT (SELECT array_agg(id) FROM dataset), (SELECT count(*) FROM put)
"""


class Records:
    """Streamed items, users and actions of all data sets."""

    def __init__(self, database: Database, on_new: Callable[[int], None]) -> None:
        self._datasets = Datasets(database)
        self._commits = Commits(database, _PUT, on_new)

    async def put(self, operation: str, call: Mapping[str, Any]) -> None:
        """Commit a call of `operation` (members as modelled).

        Raises InvalidInput, ResourceNotFound, ResourceInUse or ServiceUnavailable.
        """
        records, arn = RECORD_TYPES[operation], call["datasetArn"]
        dataset = await self._datasets.find(arn)
        if dataset.dataset_type != records.dataset_type:
            raise InvalidInput(
                f"datasetArn: {operation} needs a dataset of type {records.dataset_type}, "
                f"{arn} is of type {dataset.dataset_type}."
            )
        if not await self._commits.put(dataset.id, record_rows(call, records, dataset.rules)):
            await self._datasets.refuse(arn)
