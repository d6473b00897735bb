"""`python -m pipelines.versions.item_tables <dataset id>`: the Items dataset as it is now, for the runtime of this machine.

It takes the rows that count as a training does (pipelines/datasets/joining.py), so a filter reads the same after a new
import as after the next training. A process of its own: workers load neither pyarrow nor DVC.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path

from sqlalchemy import Engine

from pipelines.datasets.schema import ITEM_ID, Schema, read_schema
from pipelines.datasets.snapshot import IMPORTED
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.repository import CommandFailed, GroupRepository, RepositoryError
from pipelines.serving.item_table import Moment, write_item_table
from pipelines.serving.local_items import tables_directory
from pipelines.settings import Settings

log = logging.getLogger(__name__)


class DatasetGone(Exception):
    """There is no such Items dataset any more."""


def build(settings: Settings, dataset_id: str) -> Path:
    """Make the folder of the newest table; older ones of the dataset go. Raises DatasetGone, RepositoryError, CommandFailed."""
    database = engine(settings, pool_size=1)
    try:
        dataset, schema, moment = freeze(database, dataset_id)
        target = tables_directory(settings, dataset_id) / moment.name
        write(settings, database, dataset, schema, moment, target)
    finally:
        database.dispose()
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)
    return target


def freeze(database: Engine, dataset_id: str) -> tuple[Resource, Schema, Moment]:
    """The dataset and what it consists of now; raises DatasetGone."""
    from pipelines.datasets.streamed import newest_record

    # Short: it holds back what is put.
    with database.begin() as conn:
        dataset = store.get(conn, id=dataset_id)
        schema = store.get(conn, id=dataset.schema_id) if dataset is not None and dataset.schema_id else None
        if dataset is None or dataset.is_deleting or schema is None:
            raise DatasetGone(f"There is no dataset {dataset_id}.")
        moment = Moment(dataset.internal.get(IMPORTED) or "", schema.id, newest_record(conn, dataset_id))
    return dataset, read_schema(schema.doc["schema"], "ITEMS"), moment


def write(
    settings: Settings, database: Engine, dataset: Resource, schema: Schema, moment: Moment, target: Path
) -> None:
    """Write the table of that moment into the folder `target`, which appears whole."""
    import pyarrow.parquet as pq

    from pipelines.datasets import snapshot, streamed
    from pipelines.datasets.joining import joined
    from pipelines.recipes.filter_data import columns

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".table-", dir=target.parent) as folder:
        scratch = Path(folder)
        if taken := dataset.internal.get("snapshot"):
            repository = GroupRepository(settings, str(dataset.group_id))
            repository.materialise(taken["tag"], "snapshot", scratch / "snapshot")
        else:
            snapshot.write_empty(scratch / "snapshot", "ITEMS")
        with database.connect() as conn:
            streamed.freeze(conn, dataset, schema, moment.records, scratch / "streamed.parquet")
        items = joined(snapshot.Snapshot.open(scratch / "snapshot"), pq.read_table(scratch / "streamed.parquet"))
        ids = items[ITEM_ID].to_pylist()
        (scratch / "table").mkdir()
        textual = [field.name for field in schema.metadata if field.textual]
        write_item_table(scratch / "table", moment, ids, columns(items, ITEM_ID, ids, schema.metadata), textual)
        if not target.exists():
            (scratch / "table").rename(target)
    log.info(
        "%s items of %s as of import %s and record %d", f"{len(ids):,}", dataset.arn, moment.imported, moment.records
    )


def main(arguments: list[str]) -> int:
    """Exit code 0 when the table is there, 1 with one line on standard error otherwise, 2 for wrong usage."""
    if len(arguments) != 1:
        print("usage: python -m pipelines.versions.item_tables <dataset id>", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        build(Settings.from_env(), arguments[0])
    except (DatasetGone, RepositoryError, CommandFailed) as error:
        print(f"the items of dataset {arguments[0]} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
