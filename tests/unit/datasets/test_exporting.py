"""Exports on real PostgreSQL, Git, DVC and (moto's) S3: which rows come, how they are written, what a refusal says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from pipelines.datasets import exporting, streamed
from pipelines.datasets.errors import ExportRefused, SourceUnreachable
from pipelines.datasets.schema import DatasetType, Schema, read_schema
from pipelines.datasets.snapshot import Snapshot, write_empty
from pipelines.datasets.source import fetch
from pipelines.disk import DiskFull
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, records
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from tests.support import imports
from tests.support.imports import avro
from tests.support.registry import add, add_group

ITEMS = avro("Items", ITEM_ID="string", PRICE=["null", "float"], TITLE=["null", "string"], NEW=["null", "boolean"])
EVENTS = avro(
    "Interactions", USER_ID="string", ITEM_ID="string", TIMESTAMP="long", EVENT_VALUE=["null", "float"],
    DEVICE=["null", "string"],
)  # fmt: skip
ITEM_HEADER = "ITEM_ID,PRICE,TITLE,NEW"
EVENT_HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_VALUE,DEVICE"
NASTY = ['say "hi"', "two\nlines", "a,b", "C:\\", '\\"', '"', " space ", "ümläut 商品", "NULL", "'", "#x", "a|b"]


@dataclass
class Shop:
    """One dataset of a group, what is put into it, and its export jobs."""

    conn: Connection
    settings: Settings
    group: Resource
    dataset: Resource
    schema: Schema
    work: Path

    def put(self, *rows: tuple[str, dict[str, Any]]) -> None:
        with self.conn.begin():
            for record_id, properties in rows:
                values = {"dataset_id": self.dataset.id, "record_id": record_id, "properties": properties}
                self.conn.execute(insert(records).values(values))

    def watch(self, *rows: dict[str, Any]) -> None:
        with self.conn.begin():
            for given in rows:
                row = {"user_id": None, "session_id": "s", "event_type": "w", "item_id": "i", "sent_at": 1.0, **given}
                row |= {"group_id": self.group.id, "user_key": "k", "event_id": store.new_id()}
                self.conn.execute(insert(events).values(row))

    def load(self, name: str, lines: list[str], previous: Snapshot | None = None) -> Snapshot:
        """Import lines, behind those of `previous` if it is given."""
        with self.conn.begin():
            after = streamed.newest(self.conn, self.dataset)
        done = imports.run(
            self.work,
            self.schema.dataset_type,
            imports.text(lines, ",".join(self.schema.names)),
            name=name,
            schema=self.schema.avro,
            previous=previous,
            incremental=previous is not None,
            after=after,
        )
        assert done.rejects == []
        return done.snapshot

    def lines(self, snapshot: Snapshot, mode: str) -> list[str]:
        """What an export of these rows, and of those that are streamed, writes into its one file."""
        spool, folder = self.work / "spool.parquet", self.work / mode
        with self.conn.begin():
            cutoff = streamed.newest(self.conn, self.dataset) if mode != "BULK" else 0
            streamed.write(
                streamed.tables(self.conn, self.dataset, self.schema, cutoff, anonymous=True), spool, self.schema
            )
        [file] = exporting.Files(folder, "out").write(snapshot, spool, mode)
        return file.read_text().splitlines()

    def nothing(self) -> Snapshot:
        """The snapshot of a dataset that was never imported into."""
        write_empty(self.work / "nothing", self.schema.dataset_type)
        return Snapshot.open(self.work / "nothing")

    def job(self, mode: str, path: str, name: str = "out", **output: str) -> Resource:
        """An export job as the control plane writes it."""
        with self.conn.begin():
            dataset = store.get(self.conn, id=self.dataset.id)
            assert dataset is not None
            internal = {
                "snapshot": dataset.internal.get("snapshot", {}).get("tag"),
                "cutoff": streamed.newest(self.conn, dataset),
            }
            return add(
                self.conn, "DatasetExportJob", name, group=self.group, parent=dataset,
                status=store.CREATE_PENDING, internal=internal,
                doc={"ingestionMode": mode, "jobOutput": {"s3DataDestination": {"path": path, **output}}},
            )  # fmt: skip

    def look(self, job: Resource) -> Resource:
        with self.conn.begin():
            found = store.get(self.conn, id=job.id)
        assert found is not None
        return found

    @property
    def folder(self) -> Path:
        return self.settings.home / "data" / "out"


def make(conn: Connection, settings: Settings, work: Path, kind: DatasetType) -> Shop:
    schema = read_schema(ITEMS if kind == "ITEMS" else EVENTS, kind)
    with conn.begin():
        group = add_group(conn)
        given = add(conn, "Schema", "s", status=None, doc={"schema": json.dumps(schema.avro)})
        dataset = add(conn, "Dataset", group.name, kind, group=group, schema=given, doc={"datasetType": kind})
    return Shop(conn, settings, group, dataset, schema, work)


@pytest.fixture
def items(conn: Connection, settings: Settings, tmp_path: Path) -> Shop:
    return make(conn, settings, tmp_path / "work", "ITEMS")


@pytest.fixture
def interactions(conn: Connection, settings: Settings, tmp_path: Path) -> Shop:
    return make(conn, settings, tmp_path / "work", "INTERACTIONS")


def test_records_by_how_they_came(items: Shop) -> None:
    items.put(("a", {"price": 1}), ("b", {"price": 1}))
    first = items.load("one", ["a,2,,", "c,2,,", "d,2,x,true"])
    both = items.load("two", ["c,3,,", "d,2,x,true"], previous=first)
    items.put(("c", {"price": 4}), ("b", {"price": 5}), ("b", {"price": 5}))
    assert items.lines(both, "BULK") == [ITEM_HEADER, '"a",2,,', '"c",2,,', '"c",3,,', '"d",2,"x",true']
    assert items.lines(both, "PUT") == [ITEM_HEADER, '"a",1,,', '"b",1,,', '"c",4,,', '"b",5,,']
    assert items.lines(both, "ALL") == [ITEM_HEADER, '"a",2,,', '"b",5,,', '"c",4,,', '"d",2,"x",true']


def test_events_by_how_they_came(interactions: Shop) -> None:
    imported = interactions.load("one", ["u,i,1,,", "u,j,2,0.1,tv"])
    interactions.watch(
        {"user_id": "u", "item_id": "j", "sent_at": 2.9, "event_value": 0.1, "properties": {"device": "tv"}},
        {"user_id": "u", "item_id": "k", "sent_at": 3.0},
        {"user_id": "u", "item_id": "k", "sent_at": 3.5},
        {"item_id": "k", "session_id": "nobody"},
        {"item_id": None, "user_id": "u"},
    )
    old, new = ['"u","i",1,,', '"u","j",2,0.1,"tv"'], ['"u","k",3,,', '"nobody","k",1,,']
    assert interactions.lines(imported, "BULK") == [EVENT_HEADER, *old]
    assert interactions.lines(imported, "PUT") == [EVENT_HEADER, old[1], *new]
    assert interactions.lines(imported, "ALL") == [EVENT_HEADER, *old, *new]


@pytest.mark.parametrize("mode", ["BULK", "PUT", "ALL"])
def test_nothing_is_a_header(interactions: Shop, mode: str) -> None:
    assert interactions.lines(interactions.nothing(), mode) == [EVENT_HEADER]


def test_columns_that_the_schema_got_later_are_empty_in_old_rows(items: Shop) -> None:
    imported = items.load("one", ["a,1,x,"])
    wider = {**ITEMS, "fields": [*ITEMS["fields"], {"name": "COLOUR", "type": ["null", "string"]}]}
    items.put(("b", {"colour": "red"}))
    items.schema = read_schema(wider, "ITEMS")
    assert items.lines(imported, "ALL") == [f"{ITEM_HEADER},COLOUR", '"a",1,"x",,', '"b",,,,"red"']


def test_a_large_export_is_several_files_each_with_a_header(
    interactions: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "FILE_BYTES", 2000)
    monkeypatch.setattr(exporting, "BATCH_ROWS", 50)
    imported = interactions.load("one", [f"user{n:03},i,{n + 1},," for n in range(300)])
    spool = interactions.work / "spool.parquet"
    streamed.write_empty(interactions.schema, spool)
    contents = []
    for folder in ("a", "b"):
        files = list(exporting.Files(interactions.work / folder, "out").write(imported, spool, "BULK"))
        assert [file.name for file in files] == [f"out-0000{n}.csv" for n in range(1, len(files) + 1)]
        contents.append([file.read_text() for file in files])
    assert contents[0] == contents[1] and len(contents[0]) > 2
    assert all(content.splitlines()[0] == EVENT_HEADER for content in contents[0])
    lines = [line for content in contents[0] for line in content.splitlines()[1:]]
    assert lines == [f'"user{n:03}","i",{n + 1},,' for n in range(300)]


def test_a_job_has_the_rows_of_the_moment_it_was_asked_for(items: Shop) -> None:
    items.put(("b", {}))
    job = items.job("ALL", items.folder.as_uri())
    items.put(("b", {"price": 2}))
    exporting.export(items.settings, job.id)
    assert (items.folder / "out-00001.csv").read_text().splitlines() == [ITEM_HEADER, '"b",,,']


def test_what_was_exported_can_be_imported_again(items: Shop, s3: Any, tmp_path: Path) -> None:
    """Through S3, with every sign that CSV has trouble with, imported and put."""

    def cell(value: str) -> str:
        return '"' + value.replace('"', '""') + '"'

    snapshot = items.load("one", [f"bulk{n},{n / 10},{cell(value)},{n % 2 == 0}" for n, value in enumerate(NASTY)])
    repository, tag = GroupRepository(items.settings, items.group.id), f"data/{items.dataset.id}/one"
    repository.ensure()
    repository.commit_snapshot(items.dataset.id, snapshot.directory, tag, "Import")
    with items.conn.begin():
        store.update(items.conn, items.dataset.id, internal={"snapshot": {"tag": tag}})
    items.put(*[(f"put {n}", {"title": value, "price": 1e20, "new": True}) for n, value in enumerate(NASTY)])
    items.put(("none", {}), ("bulk0", {"title": "newer"}))
    job = items.job("ALL", "s3://shop/exports")
    exporting.export(items.settings, job.id)
    done = items.look(job)
    assert (done.status, done.internal["rows"]) == (store.ACTIVE, 2 * len(NASTY) + 1)
    files = fetch(items.settings, "s3://shop/exports/", tmp_path / "back")
    assert [file.name for file in files] == ["s3://shop/exports/out-00001.csv"]
    again = imports.run(tmp_path, "ITEMS", files[0].path.read_bytes(), name="again", schema=ITEMS)
    assert again.rejects == []
    rows = {row["ITEM_ID"]: row for row in again.rows()}
    assert len(rows) == 2 * len(NASTY) + 1
    for n, value in enumerate(NASTY):
        assert rows[f"put {n}"] == {"ITEM_ID": f"put {n}", "PRICE": pytest.approx(1e20), "TITLE": value, "NEW": True}
        if n:
            price = pytest.approx(n / 10)
            assert rows[f"bulk{n}"] == {"ITEM_ID": f"bulk{n}", "PRICE": price, "TITLE": value, "NEW": n % 2 == 0}
    assert rows["bulk0"] == {"ITEM_ID": "bulk0", "PRICE": None, "TITLE": "newer", "NEW": None}
    assert rows["none"] == {"ITEM_ID": "none", "PRICE": None, "TITLE": None, "NEW": None}


def test_a_retry_writes_the_same_names_again(items: Shop, s3: Any) -> None:
    items.put(("a", {"price": 1}))
    job = items.job("PUT", "s3://shop")
    for _ in range(2):
        exporting.export(items.settings, job.id)
        with items.conn.begin():
            store.update(items.conn, job.id, status=store.CREATE_IN_PROGRESS)
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket="shop")["Contents"]] == ["out-00001.csv"]


def test_a_key_is_handed_to_the_store(items: Shop, s3: Any) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    exporting.export(items.settings, items.job("PUT", "s3://shop/", kmsKeyArn=key).id)
    head = s3.head_object(Bucket="shop", Key="out-00001.csv")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_missing_bucket_is_named(items: Shop, s3: Any) -> None:
    job = items.job("PUT", "s3://no-such-bucket/x/")
    with pytest.raises(ExportRefused, match="Bucket 'no-such-bucket' does not exist"):
        exporting.export(items.settings, job.id)
    failed = items.look(job)
    assert failed.status == store.CREATE_FAILED
    assert failed.failure_reason is not None and "s3://no-such-bucket/x/out-00001.csv" in failed.failure_reason
    assert not (items.settings.exports_dir / job.id).exists()


@pytest.mark.parametrize(
    ("code", "output", "words"),
    [
        ("AccessDenied", {}, ["AKIATEST", "s3:PutObject", "s3://shop/x/out-00001.csv"]),
        ("AccessDenied", {"kmsKeyArn": "arn:k"}, ["kms:GenerateDataKey", "arn:k"]),
        (
            "KMS.NotFoundException",
            {"kmsKeyArn": "arn:k"},
            ["KMS key", "s3://shop/x/out-00001.csv", "KMS.NotFoundException"],
        ),
    ],
)
def test_a_refusal_names_place_key_and_right(
    items: Shop, grumpy: Any, code: str, output: dict[str, str], words: list[str]
) -> None:
    grumpy.code, grumpy.status = code, 403 if code == "AccessDenied" else 400
    job = items.job("PUT", "s3://shop/x", **output)
    with pytest.raises(ExportRefused):
        exporting.export(items.settings, job.id)
    reason = items.look(job).failure_reason or ""
    assert all(word in reason for word in words), reason


def test_a_store_that_is_away_is_tried_again_by_the_run(items: Shop, grumpy: Any) -> None:
    grumpy.status, grumpy.code = 501, "NotImplemented"
    job = items.job("PUT", "s3://shop/x")
    with pytest.raises(SourceUnreachable, match="NotImplemented"):
        exporting.export(items.settings, job.id)
    assert items.look(job).status == store.CREATE_IN_PROGRESS


def test_of_a_failed_export_no_file_is_seen_in_a_local_folder(items: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    items.put(*[(f"item{n}", {}) for n in range(3000)])
    monkeypatch.setattr(exporting, "FILE_BYTES", 100)
    job = items.job("PUT", items.folder.as_uri())
    found, asked = exporting.require_disk, []

    def fill(path: Path, needed: int) -> None:
        asked.append(needed)
        found(path, needed if len(asked) < 3 else 10**18)

    monkeypatch.setattr(exporting, "BATCH_ROWS", 1000)
    monkeypatch.setattr(exporting, "require_disk", fill)
    with pytest.raises(DiskFull):
        exporting.export(items.settings, job.id)
    assert list(items.folder.iterdir()) == [], "the first of three files had been put there"


def test_a_folder_that_is_a_file_is_refused(items: Shop) -> None:
    items.folder.parent.mkdir(parents=True, exist_ok=True)
    items.folder.write_text("mine")
    for path in (items.folder, items.folder / "below"):
        job = items.job("PUT", path.as_uri(), name=path.name)
        with pytest.raises(ExportRefused, match="Invalid Data location"):
            exporting.export(items.settings, job.id)
        assert items.look(job).status == store.CREATE_FAILED
    assert items.folder.read_text() == "mine"


def test_what_has_ended_is_not_exported_or_failed_again(items: Shop) -> None:
    job = items.job("PUT", items.folder.as_uri())
    with items.conn.begin():
        store.update(items.conn, job.id, status=store.ACTIVE)
    exporting.export(items.settings, job.id)
    exporting.fail(items.settings, job.id, "too late")
    exporting.export(items.settings, "0" * 16)
    assert not items.folder.exists()
    assert items.look(job).status == store.ACTIVE
