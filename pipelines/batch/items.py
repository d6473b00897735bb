"""The Items dataset as a batch job's filter reads it: with what was put and imported until the job's work began."""

from __future__ import annotations

from pathlib import Path

from pipelines.batch.job import Job
from pipelines.registry.database import engine
from pipelines.serving.artefact import Artefact
from pipelines.serving.item_table import ItemTable
from pipelines.serving.newer import KnownItems
from pipelines.settings import Settings
from pipelines.versions.item_tables import freeze, write
from pipelines.versions.lookup import UPDATES
from pipelines.versions.new_items import items_dataset, new_items


def items_of(settings: Settings, job: Job) -> str:
    """The folder of a table of the dataset (pipelines/serving/item_table.py); empty if the version knows all of it.

    Which of the two is kept in the job's folder, so that a job that goes on answers as it did before.
    """
    table, settled = job.work / "items" / "table", job.work / "items" / "settled"
    if not settled.exists():
        database, group_id = engine(settings, pool_size=1), str(job.resource.group_id)
        try:
            with database.begin() as conn:
                dataset = items_dataset(conn, group_id)
                seen = (job.version.internal.get(UPDATES) or [job.version.internal])[-1]
                is_new = new_items(conn, group_id, seen)
            if dataset is not None and is_new and not table.exists():
                write(settings, database, *freeze(database, dataset.id), table)
        finally:
            database.dispose()
        settled.parent.mkdir(parents=True, exist_ok=True)
        settled.touch()
    return str(table) if table.exists() else ""


def known_items(artefact: Artefact, folder: str) -> KnownItems | None:
    """What filters on a version read of items; `folder` is what `items_of` gave."""
    if not folder:
        return None
    table = ItemTable.open(Path(folder))
    return KnownItems(table.rows_of(artefact.items), table=table)
