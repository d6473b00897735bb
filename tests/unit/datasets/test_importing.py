"""A dataset import job's life against a real registry and a real repository of the group."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from pipelines.datasets import attribution, importing
from pipelines.datasets.errors import ImportRefused
from pipelines.datasets.snapshot import IMPORTED, Snapshot
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.tables import attribution_sums, records
from pipelines.repository.group import GroupRepository
from pipelines.settings import Settings
from tests.support.imports import SCHEMAS, interactions, text


@dataclass
class Shop:
    """A dataset group with one dataset of each type, and import jobs into them."""

    settings: Settings
    database: Engine
    folder: Path
    group: store.Resource
    datasets: dict[str, store.Resource]
    jobs: int = 0

    def job(self, kind: str, content: bytes | str, mode: str = "FULL") -> str:
        """A pending job that imports `content` (bytes of one CSV file), or from the location `content`."""
        self.jobs += 1
        location = content
        if isinstance(content, bytes):
            path = self.folder / f"{self.jobs}" / f"{kind.lower()}.csv"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            location = path.as_uri()
        dataset = self.datasets[kind]
        with self.database.begin() as conn:
            job = store.insert(
                conn,
                kind="DatasetImportJob",
                arn=f"arn:job/{self.jobs}",
                name=f"job-{self.jobs}",
                status=store.CREATE_PENDING,
                group_id=self.group.id,
                parent_id=dataset.id,
                doc={"dataSource": {"dataLocation": location}, "importMode": mode, "datasetArn": dataset.arn},
                request_id="request-1",
            )
        return job.id

    def run(self, job_id: str) -> store.Resource:
        """All three tasks, as the DAG runs them."""
        for step in (importing.load, importing.check, importing.commit):
            try:
                step(self.settings, job_id)
            except ImportRefused:
                break
        return self.get(job_id)

    def get(self, id: str) -> store.Resource:
        with self.database.connect() as conn:
            found = store.get(conn, id=id)
        assert found is not None
        return found

    def snapshot(self, kind: str) -> dict[str, Any] | None:
        """What the dataset's row says its snapshot is."""
        return self.get(self.datasets[kind].id).internal.get("snapshot")

    def open(self, kind: str, target: Path) -> Snapshot:
        found = self.snapshot(kind)
        assert found is not None
        GroupRepository(self.settings, self.group.id).materialise(found["tag"], "snapshot", target)
        return Snapshot.open(target)


@pytest.fixture
def shop(settings: Settings, tmp_path: Path) -> Iterator[Shop]:
    database = engine(settings, pool_size=2)
    with database.begin() as conn:
        group = store.insert(conn, kind="DatasetGroup", arn="arn:group", name="shop", status=store.ACTIVE, doc={})
        datasets = {}
        for kind, avro in SCHEMAS.items():
            schema = store.insert(
                conn, kind="Schema", arn=f"arn:schema/{kind}", name=kind, status=None, doc={"schema": json.dumps(avro)}
            )
            datasets[kind] = store.insert(
                conn,
                kind="Dataset",
                arn=f"arn:dataset/{kind}",
                name=kind,
                status=store.ACTIVE,
                group_id=group.id,
                schema_id=schema.id,
                doc={"datasetType": kind, "schemaArn": schema.arn},
            )
    yield Shop(settings, database, tmp_path / "csv", group, datasets)
    database.dispose()


def test_an_import_makes_a_tagged_snapshot_and_an_active_job(shop: Shop, tmp_path: Path) -> None:
    rows = interactions(1500)
    job = shop.run(shop.job("INTERACTIONS", text([*rows, rows[0], "u,i,never,watch,"])))
    assert (job.status, job.failure_reason) == (store.ACTIVE, None)
    assert (job.internal["kept"], job.internal["rejected"]) == (1501, 1)
    taken = shop.snapshot("INTERACTIONS")
    assert taken is not None and taken.pop("bytes") > 1000
    assert taken == {"tag": f"data/{shop.datasets['INTERACTIONS'].id}/{job.id}", "rows": 1500, "parts": 1}
    # By this a schedule knows that there is something new to train from.
    assert shop.get(shop.datasets["INTERACTIONS"].id).internal[IMPORTED] == job.id
    snapshot = shop.open("INTERACTIONS", tmp_path / "out")
    snapshot.verify()
    assert (snapshot.rows, len(snapshot.ids("USER_ID"))) == (1500, 60)
    folder = shop.settings.imports_dir / job.id
    assert {path.name for path in folder.iterdir()} == {"report.html", "rejects.parquet"}
    assert "never" in (folder / "report.html").read_text()


def test_the_next_full_import_replaces_the_rows_and_keeps_the_codes(shop: Shop, tmp_path: Path) -> None:
    shop.run(shop.job("ITEMS", b"ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP\nm,x,1,,\nz,x,1,,\n"))
    shop.run(shop.job("ITEMS", b"ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP\nz,x,2,,\na,x,1,,\n"))
    snapshot = shop.open("ITEMS", tmp_path / "out")
    assert snapshot.ids("ITEM_ID").to_pylist() == ["m", "z", "a"]
    assert snapshot.table(["ITEM_ID", "PRICE"]).to_pydict() == {"ITEM_ID": [1, 2], "PRICE": [2, 1]}
    shop.run(shop.job("ITEMS", b"ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP\nz,x,3,,\n", "INCREMENTAL"))
    snapshot = shop.open("ITEMS", tmp_path / "again")
    assert snapshot.table(["ITEM_ID", "PRICE"]).to_pydict() == {"ITEM_ID": [1, 2], "PRICE": [3, 1]}


BAD: dict[str, tuple[bytes | Callable[[Path], str], list[str]]] = {
    "too few rows": (text(interactions(999)), ["minimum rows: 999, but must be at least 1,000"]),
    "too few different rows": (text(interactions(500) * 3), ["minimum rows: 500", "1,000 rows repeated others"]),
    "missing columns": (b"ITEM_ID,TIMESTAMP,EVENT_VALUE\n1,2,3\n", ["Input CSV is missing the following columns:[USER_ID, EVENT_TYPE]", "interactions.csv line 1"]),
    "wrong types": (
        text([line.replace(",16", ",A16") for line in interactions()]),
        ["rejected rows: 100 %, but must be at most 1 %", "1,200 of 1,200 rows were rejected", "1,200 x", "interactions.csv line 2, TIMESTAMP 'A1600000000' is not a whole number"],
    ),
    "milliseconds": (text([line.replace(",16", ",16000") for line in interactions()]), ["looks like milliseconds", "line 2"]),
    "a few too many bad rows": (text([*interactions(), *["u,,1600000000,watch,"] * 13]), ["rejected rows: 1.07 %", "13 x", "line 1202, ITEM_ID"]),
    "an unclosed quote": (text([*interactions(), 'u,"i,1600000000,watch,']), ["interactions.csv line 1202: a quote", "not closed"]),
    "an empty file": (b"", ["interactions.csv is empty"]),
    "only a header": (text([]), ["header line but no data rows"]),
    "not UTF-8": (text(interactions()).replace(b"u5,", b"\xfc5,", 1), ["interactions.csv line 7, byte 1: not UTF-8"]),
    "a missing file": (lambda folder: f"file://{folder}/none.csv", ["Invalid Data location.", "none.csv"]),
    "a place outside the roots": (lambda folder: "file:///etc/hostname", ["Invalid Data location.", "OPENPERSONALIZE_IMPORT_ROOTS"]),
}  # fmt: skip


def test_bad_input_fails_with_a_reason_and_leaves_what_was_there(shop: Shop, tmp_path: Path) -> None:
    """One good import, then every bad one after it: a good one takes seconds of git and DVC."""
    good = shop.run(shop.job("INTERACTIONS", text(interactions(1100))))
    assert good.status == store.ACTIVE, good.failure_reason
    before = shop.snapshot("INTERACTIONS")
    for what, (content, words) in BAD.items():
        job = shop.run(shop.job("INTERACTIONS", content if isinstance(content, bytes) else content(tmp_path)))
        assert job.status == store.CREATE_FAILED, what
        assert [word for word in words if word not in (job.failure_reason or "")] == [], (what, job.failure_reason)
        assert shop.snapshot("INTERACTIONS") == before, what
        folder = shop.settings.imports_dir / job.id
        assert "Failed." in (folder / "report.html").read_text(), what
        assert not (folder / "work").exists(), what
    assert shop.open("INTERACTIONS", tmp_path / "out").rows == 1100


def test_a_category_over_1000_characters_fails_the_whole_import(shop: Shop) -> None:
    lines = [f"i{n},x,1,," for n in range(500)] + ["long," + "x" * 1001 + ",1,,"]
    job = shop.run(shop.job("ITEMS", text(lines, "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP")))
    assert job.status == store.CREATE_FAILED
    assert "categorical values of at most 1,000 characters: 1" in (job.failure_reason or "")
    assert "items.csv line 502, GENRES" in (job.failure_reason or "")


def test_incremental_before_any_full_import_is_refused(shop: Shop) -> None:
    job = shop.run(shop.job("INTERACTIONS", text(interactions()), "INCREMENTAL"))
    assert (job.status, "FULL" in (job.failure_reason or "")) == (store.CREATE_FAILED, True)


def test_every_step_may_run_twice(shop: Shop) -> None:
    id = shop.job("INTERACTIONS", text(interactions()))
    for step in (importing.load, importing.load, importing.check, importing.check, importing.commit, importing.commit):
        step(shop.settings, id)
    assert shop.get(id).status == store.ACTIVE
    taken = shop.snapshot("INTERACTIONS")
    assert taken is not None
    assert (taken["tag"], taken["rows"]) == (f"data/{shop.datasets['INTERACTIONS'].id}/{id}", 1200)


def test_a_crash_between_tag_and_registry_is_mended_by_the_retry(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    id = shop.job("INTERACTIONS", text(interactions()))
    importing.load(shop.settings, id)
    importing.check(shop.settings, id)
    with monkeypatch.context() as broken:
        broken.setattr(store, "update", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            importing.commit(shop.settings, id)
    assert (shop.get(id).status, shop.snapshot("INTERACTIONS")) == (store.CREATE_IN_PROGRESS, None)
    importing.commit(shop.settings, id)
    assert shop.get(id).status == store.ACTIVE
    assert shop.snapshot("INTERACTIONS") is not None


def test_a_job_shows_that_it_is_under_way(shop: Shop) -> None:
    id = shop.job("INTERACTIONS", text(interactions()))
    importing.load(shop.settings, id)
    assert shop.get(id).status == store.CREATE_IN_PROGRESS


def test_a_finished_job_is_left_alone(shop: Shop) -> None:
    job = shop.run(shop.job("INTERACTIONS", text(interactions())))
    importing.fail(shop.settings, job.id, "too late")
    importing.load(shop.settings, job.id)
    assert shop.get(job.id) == job


def test_fail_writes_the_reason_and_clears_the_work_away(shop: Shop) -> None:
    id = shop.job("INTERACTIONS", text(interactions()))
    importing.load(shop.settings, id)
    importing.fail(shop.settings, id, "the machine <caught> fire")
    job = shop.get(id)
    assert (job.status, job.failure_reason) == (store.CREATE_FAILED, "the machine <caught> fire")
    assert not (shop.settings.imports_dir / id / "work").exists()
    assert "&lt;caught&gt;" in Path(job.internal["report"]).read_text()


def test_a_dataset_on_its_way_out_gets_no_snapshot(shop: Shop) -> None:
    id = shop.job("INTERACTIONS", text(interactions()))
    importing.load(shop.settings, id)
    importing.check(shop.settings, id)
    with shop.database.begin() as conn:
        store.update(conn, shop.datasets["INTERACTIONS"].id, status=store.DELETE_PENDING)
    importing.commit(shop.settings, id)
    assert shop.snapshot("INTERACTIONS") is None


def set_rules(shop: Shop, **rules: Any) -> None:
    with shop.database.begin() as conn:
        store.update(
            conn, shop.group.id, internal={"checks": {name.replace("_", " "): rule for name, rule in rules.items()}}
        )


def test_a_group_may_take_more_rejects_and_still_knows_each(shop: Shop) -> None:
    set_rules(shop, rejected_rows={"severity": "critical", "maximum": 0.25})
    bad = [f"u{n},,1600000000,watch," for n in range(300)]
    job = shop.run(shop.job("INTERACTIONS", text([*interactions(), *bad])))
    assert (job.status, job.internal["kept"], job.internal["rejected"]) == (store.ACTIVE, 1200, 300)
    judged = job.internal["judged"]
    assert (judged["records"], judged["rejected"]) == (1500, 300)
    assert "no rejected rows: 300, but must be at most 0" in [broken["saw"] for broken in judged["broken"]]
    job = shop.run(shop.job("INTERACTIONS", text([*interactions(300), *bad])))
    assert "rejected rows: 50 %, but must be at most 25 %" in (job.failure_reason or "")


def test_interactions_are_held_against_imported_and_streamed_items(shop: Shop) -> None:
    items = [f"i{n},x,1,," for n in range(79)]
    shop.run(shop.job("ITEMS", text(items, "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP")))
    set_rules(shop, unknown_items={"severity": "critical", "maximum": 0})
    job = shop.run(shop.job("INTERACTIONS", text(interactions())))
    assert job.status == store.CREATE_FAILED
    assert "unknown items: 1.25 %, but must be at most 0 %" in (job.failure_reason or "")
    assert "First: 1 unknown item in 15 rows; i79: 15 rows." in (job.failure_reason or "")
    assert job.internal["judged"]["broken"][0]["severity"] == "critical"
    with shop.database.begin() as conn:
        conn.execute(insert(records).values(dataset_id=shop.datasets["ITEMS"].id, record_id="i79", properties={}))
    assert shop.run(shop.job("INTERACTIONS", text(interactions()))).status == store.ACTIVE


def test_an_import_is_compared_with_the_last_that_went_in(shop: Shop) -> None:
    shop.run(shop.job("USERS", text([f"secret-{n},f,true" for n in range(300)], "USER_ID,GENDER,ADULT")))
    kept = shop.get(shop.datasets["USERS"].id).internal["profile"]
    assert (kept["name"], kept["row"]["rows"]) == ("job-1", 300)
    assert "secret" not in json.dumps(kept), "who was imported is not kept outside of the data"
    job = shop.run(shop.job("USERS", text([f"secret-{n},m,true" for n in range(600, 700)], "USER_ID,GENDER,ADULT")))
    saw = [broken["saw"] for broken in job.internal["judged"]["broken"]]
    assert any(text.startswith("as many rows as before: 0.333") for text in saw), saw
    assert any(text.startswith("new users: 100 %") for text in saw), saw
    assert "300 in job-1, 100 now" in Path(job.internal["report"]).read_text()


def attributed(shop: Shop, out: Path) -> store.Resource:
    """The group's metric attribution, which counts from now on and publishes into `out`."""
    with shop.database.begin() as conn:
        metric = {"metricName": "n", "eventType": "Watch", "expression": "SAMPLECOUNT()"}
        metrics = {"n": {**metric, **attribution.beginning(conn, shop.group.id)}}
        doc = {"metricsOutputConfig": {"s3DataDestination": {"path": out.as_uri()}}}
        return store.insert(
            conn, kind="MetricAttribution", arn="arn:ma", name="ma", status=store.ACTIVE, group_id=shop.group.id, doc=doc,
            internal={"metrics": metrics},
        )  # fmt: skip


def published(shop: Shop, mode: str) -> store.Resource:
    """An import that asks for its report, run."""
    id = shop.job("INTERACTIONS", text(interactions(1000)), mode)
    with shop.database.begin() as conn:
        store.update(conn, id, doc={"publishAttributionMetricsToS3": True})
    return shop.run(id)


def test_an_attribution_report_that_cannot_be_written_fails_the_import(shop: Shop) -> None:
    out = shop.settings.home / "data" / "out"
    out.parent.mkdir(parents=True)
    attributed(shop, out)
    out.write_text("a file where a folder should be")
    job = published(shop, "FULL")
    assert job.status == store.CREATE_FAILED and shop.snapshot("INTERACTIONS") is None
    assert str(job.failure_reason).startswith("publishAttributionMetricsToS3: the report cannot be written to")
    assert not GroupRepository(shop.settings, shop.group.id).has(f"data/{shop.datasets['INTERACTIONS'].id}/{job.id}")


@pytest.mark.soak
def test_imports_publish_their_reports_and_an_incremental_one_keeps_its_sums(shop: Shop) -> None:
    """What attribution_imported does is tested in test_attribution.py; here, that importing calls it."""
    out = shop.settings.home / "data" / "out"
    made = attributed(shop, out)
    for mode in ("FULL", "INCREMENTAL"):
        job = published(shop, mode)
        assert (job.status, job.failure_reason) == (store.ACTIVE, None)
        [file] = out.glob(f"*{mode}*.csv")
        values = [line.split(",")[2] for line in file.read_text().splitlines()[1:]]
        assert sum(map(float, values)) == 500
    with shop.database.begin() as conn:
        kept = conn.execute(select(attribution_sums)).all()
    assert {(row.attribution_id, row.import_job_id) for row in kept} == {(made.id, job.id)}
    assert sum(row.events for row in kept) == 500
