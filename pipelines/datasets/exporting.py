"""A dataset export job, from CREATE PENDING to ACTIVE or CREATE FAILED: the task of DAG `dataset_export`.

| ingestionMode | rows (spec/datasets.md section 9) |
|---|---|
| BULK | what import jobs brought; of one id the record of each import |
| PUT | what was put one by one; of one id every record |
| ALL | both by the rule of joining.py: the newest record of each id, all events |

Rows equal in every field come once. The rows are those of the moment the job was created (an import that ended later is
not in it). Sessions that nobody is linked to appear with their sessionId as USER_ID; events without an item, which an
import could not take back, do not appear. After a compaction BULK has the newest record of each id only.

The files: `<job name>-00001.csv`, ... of about a gigabyte; UTF-8; first line the schema's field names, not quoted; strings in
double quotes, which are doubled inside; null is an empty cell. An empty string, which only Put calls can bring, is `""`;
readers of CSV, our importer too, take it for null. A retry writes the same names again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipelines.datasets import joining, streamed
from pipelines.datasets.errors import ExportRefused
from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import DatasetType, Schema, read_schema
from pipelines.datasets.snapshot import Snapshot, write_empty
from pipelines.datasets.target import find_target
from pipelines.datasets.values import quoted, text
from pipelines.disk import require_disk
from pipelines.progress import Progress
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.working import set_failed, working
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

# Unlike AWS, data: exports carry a sessionId as USER_ID where nobody is linked to the session. An export can be
# imported again, and the column may not be empty.
log = logging.getLogger(__name__)

FILE_BYTES = 1_000_000_000
"""A file ends with the first batch of rows that makes it larger."""
BATCH_ROWS = 100_000
CSV_BYTES_PER_SNAPSHOT_BYTE = 8
"""For the disk check: how much larger CSV is than a snapshot's sorted, compressed Parquet (measured: 5.6)."""
STREAMED_ROW_BYTES = 300


@dataclass(frozen=True)
class Export:
    """What an export needs to know, read from the registry."""

    resource: store.Resource
    dataset: store.Resource
    schema: Schema
    work: Path
    """Scratch; gone at its end."""

    @property
    def mode(self) -> str:
        """BULK, PUT or ALL."""
        return str(self.resource.doc["ingestionMode"])

    @property
    def tag(self) -> str | None:
        """The snapshot that there was when the job was created."""
        tag: str | None = self.resource.internal["snapshot"]
        return tag if self.mode != "PUT" else None

    @property
    def cutoff(self) -> int:
        """The newest streamed row of that moment; of imports alone none."""
        return int(self.resource.internal["cutoff"]) if self.mode != "BULK" else 0

    @property
    def repository_id(self) -> str:
        assert self.dataset.group_id is not None
        return self.dataset.group_id


def export(settings: Settings, job_id: str) -> None:
    """Write the files, then set the job ACTIVE; nothing to do when it has ended.

    Raises ExportRefused after the job was set to CREATE FAILED, and anything else for a retry.
    """
    job = _start(settings, job_id)
    if job is None:
        log.info("export job %s is finished or gone: nothing to do", job_id)
        return
    log.info("request %s: export job %s, %s", job.resource.request_id, job.resource.arn, job.mode)
    shutil.rmtree(job.work, ignore_errors=True)
    try:
        rows = _export(settings, job)
    except ExportRefused as error:
        fail(settings, job_id, str(error))
        raise
    finally:
        shutil.rmtree(job.work, ignore_errors=True)
    _activate(settings, job_id, rows)


def fail(settings: Settings, job_id: str, reason: str) -> None:
    """CREATE FAILED with a reason, unless the job is finished."""
    if set_failed(settings, job_id, reason):
        shutil.rmtree(settings.exports_dir / job_id, ignore_errors=True)


# ----------------------------------------------------------------------------------------------------


def _start(settings: Settings, job_id: str) -> Export | None:
    """The job, CREATE IN_PROGRESS; None when it is finished, or gone with its dataset."""
    with working(settings, job_id) as (conn, job):
        dataset = store.get(conn, id=job.parent_id) if job is not None and job.parent_id is not None else None
        if job is None or dataset is None or dataset.is_deleting or dataset.schema_id is None:
            return None
        schema = store.get(conn, id=dataset.schema_id)
        store.update(conn, job_id, status=store.CREATE_IN_PROGRESS)
    assert schema is not None, "a dataset's schema can't be deleted before it"
    kind = cast(DatasetType, dataset.doc["datasetType"])
    return Export(job, dataset, read_schema(schema.doc["schema"], kind), settings.exports_dir / job_id)


def _activate(settings: Settings, job_id: str, rows: int) -> None:
    with working(settings, job_id) as (conn, job):
        if job is not None:
            store.update(conn, job_id, status=store.ACTIVE, internal={"rows": rows})


def _export(settings: Settings, job: Export) -> int:
    """Rows written."""
    output = job.resource.doc["jobOutput"]["s3DataDestination"]
    target = find_target(settings, output["path"], output.get("kmsKeyArn"))
    snapshot, spool = _fetch(settings, job)
    files = Files(job.work, job.resource.name)
    with target:
        for file in files.write(snapshot, spool, job.mode):
            target.put(file)
    log.info("%s rows in %d file(s) at %s", f"{files.rows:,}", files.count, output["path"])
    return files.rows


def _query(both: joining.Both, mode: str) -> str:
    if mode == "BULK":
        return both.imported()
    if mode == "PUT":
        return both.put()
    return both.events() if both.schema.is_event_log else both.records()


def _fetch(settings: Settings, job: Export) -> tuple[Snapshot, Path]:
    """The snapshot, maybe empty, and the streamed rows as a Parquet file, both in the job's folder; raises DiskFull."""
    repository = GroupRepository(settings, job.repository_id)
    directory, spool = job.work / "snapshot", job.work / "streamed.parquet"
    held = int(repository.pointer(job.tag, "snapshot").get("size", 0)) if job.tag is not None else 0
    with transaction(settings) as conn:
        put = streamed.count(conn, job.dataset, job.cutoff) * STREAMED_ROW_BYTES
        file = min(held * CSV_BYTES_PER_SNAPSHOT_BYTE + put, FILE_BYTES)
        require_disk(job.work, held + put + file)
        tables = streamed.tables(conn, job.dataset, job.schema, job.cutoff, anonymous=True)
        streamed.write(tables, spool, job.schema)
    if job.tag is None:
        write_empty(directory, job.schema.dataset_type)
    else:
        repository.materialise(job.tag, "snapshot", directory)
    return Snapshot.open(directory), spool


class Files:
    """Rows as CSV files `<name>-00001.csv`, ... in a folder, each given away before the next is begun."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.count = self.rows = 0

    def write(self, snapshot: Snapshot, spool: Path, mode: str) -> Iterator[Path]:
        """The files as they become whole; at least one, maybe with the header only. Raises DiskFull.

        `spool` is what streamed.write wrote, whose columns are those of the files.
        """
        with closing(open_database(self.folder / "database")) as connection:
            connection.execute(f"CREATE VIEW streamed AS FROM read_parquet({text(str(spool))})")
            both = joining.Both.load(connection, snapshot)
            most = sum(part.rows for part in snapshot.manifest.parts) + connection.view("streamed").shape[0]
            names = ", ".join(map(quoted, both.fields))
            reader = connection.sql(f"SELECT {names} FROM ({_query(both, mode)})").to_arrow_reader(BATCH_ROWS)
            with Progress("rows exported (at most)", most) as progress:
                yield from self._all(reader, progress)

    def _all(self, reader: pa.RecordBatchReader, progress: Progress) -> Iterator[Path]:
        batches = iter(reader)
        batch = next(batches, None)
        while batch is not None or not self.count:
            self.count += 1
            path = self.folder / f"{self.name}-{self.count:05d}.csv"
            batch = self._one(path, reader.schema, batch, batches, progress)
            yield path

    def _one(
        self,
        path: Path,
        schema: pa.Schema,
        batch: pa.RecordBatch | None,
        batches: Iterator[pa.RecordBatch],
        progress: Progress,
    ) -> pa.RecordBatch | None:
        """Write batches into one file until it is full; the first that has no room."""
        from pyarrow import csv

        options = csv.WriteOptions(include_header=False)
        with path.open("wb") as out:
            # Arrow would quote the header.
            out.write((",".join(schema.names) + "\n").encode())
            with csv.CSVWriter(out, schema, write_options=options) as writer:
                while batch is not None and out.tell() < FILE_BYTES:
                    require_disk(self.folder, batch.nbytes)
                    writer.write(batch)
                    self.rows += batch.num_rows
                    progress.advance(batch.num_rows)
                    batch = next(batches, None)
        return batch
