"""A database of every older version, with rows in it, is brought to today's; one of a newer version is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from bento.histories import ALONE
from pipelines.datasets import streamed
from pipelines.datasets.schema import read_schema
from pipelines.platform.migrations import HOPELESS, forget_upgrades, migrate_registry, upgraded
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.registry import database, store, wishes
from pipelines.registry.tables import SCHEMA
from pipelines.registry.tags import tags_of
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings
from tests.support.registry import INTERACTIONS_SCHEMA

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
NEWEST, *OLDER = database.known_revisions()
# As the first version wrote them; every later one must be able to hold them.
ROWS = f"""
INSERT INTO {SCHEMA}.resources (id, kind, arn, name, status, group_id, parent_id, schema_id, doc) VALUES
    ('0a', 'DatasetGroup', 'arn:aws:personalize:us-east-1:123456789012:dataset-group/old', 'old', 'ACTIVE', NULL, NULL, NULL, '{{}}'),
    ('0b', 'Schema', 'arn:aws:personalize:us-east-1:123456789012:schema/old', 'old', NULL, NULL, NULL, NULL, '{{}}'),
    ('0c', 'Dataset', 'arn:aws:personalize:us-east-1:123456789012:dataset/old/INTERACTIONS', 'old/INTERACTIONS', 'ACTIVE',
     '0a', '0a', '0b', '{{"datasetType": "INTERACTIONS"}}');
INSERT INTO {SCHEMA}.tags VALUES ('0a', 'team', 'shop');
INSERT INTO {SCHEMA}.outbox (resource_id, dag_id, run_id, conf) VALUES ('0c', 'dataset_import', 'run', '{{}}');
INSERT INTO {SCHEMA}.events (group_id, user_key, user_id, session_id, event_id, event_type, item_id, sent_at, recommendation_id)
    VALUES ('0a', 'u1', 'u1', 's', 'e1', 'watch', 'i1', 1700000000.5, 'r1'), ('0a', 'u1', 'u1', 's', 'e2', 'watch', 'i2', 1700000001, NULL);
INSERT INTO {SCHEMA}.served (served_at, recommendation_id, campaign_id, solution_version_id, items)
    VALUES ('2026-03-01 12:00+00', 'r1', 'c', 'v', '{{i1,i2}}'), ('2026-03-03 12:00+00', 'r2', 'c', 'v', '{{i3}}');
"""


@pytest.fixture
def empty(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a database that nobody migrated."""
    execute(postgres, "CREATE DATABASE upgraded")
    yield platform_settings(tmp_path / "home", postgres.url("upgraded"))
    execute(postgres, "DROP DATABASE upgraded WITH (FORCE)")


def old_database(settings: Settings, revision: str) -> None:
    with database.transaction(settings) as conn:
        database.migrate_to(conn, revision)
        database.ensure_served_partitions(conn, NOW)
        conn.exec_driver_sql(ROWS)


@pytest.mark.parametrize("revision", OLDER)
def test_rows_of_an_older_database_are_served_after_the_upgrade(empty: Settings, tmp_path: Path, revision: str) -> None:
    old_database(empty, revision)
    assert database.migrate(empty) == database.Migrated(revision, NEWEST)
    with database.transaction(empty) as conn:
        [dataset] = store.in_group(conn, "0a", "Dataset")
        assert tags_of(conn, "0a") == {"team": "shop"}
        assert wishes.of_run(conn, "run") == dataset
        schema = read_schema(INTERACTIONS_SCHEMA, "INTERACTIONS")
        assert streamed.freeze(conn, dataset, schema, streamed.newest(conn, dataset), tmp_path / "events.parquet") == 2
        lists = conn.execute(text(f"SELECT recommendation_id, items FROM {SCHEMA}.served ORDER BY 1")).all()
        assert [tuple(row) for row in lists] == [("r1", ["i1", "i2"]), ("r2", ["i3"])]
    assert pq.read_table(tmp_path / "events.parquet", columns=["ITEM_ID"])["ITEM_ID"].to_pylist() == ["i1", "i2"]
    with psycopg.connect(database.libpq_url(empty)) as runtime:
        asked = {"group_id": "0a", "user_key": "u1", "event_cutoff": 0}
        assert runtime.execute(ALONE, asked).fetchall() == [("i2", 1700000001.0), ("i1", 1700000000.5)]  # type: ignore[arg-type]


def test_up_tells_of_an_upgrade_but_not_of_the_first_start_nor_twice(empty: Settings) -> None:
    empty.run_dir.mkdir(parents=True)
    old_database(empty, OLDER[-1])
    migrate_registry(empty)
    assert upgraded(empty) == [f"the database was upgraded from revision 0001 to {NEWEST}"]
    forget_upgrades(empty)
    migrate_registry(empty)
    assert upgraded(empty) == []


def test_a_newer_database_is_refused_in_one_line_and_left_as_it_is(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with database.transaction(settings) as conn:
        conn.execute(text(f"UPDATE {SCHEMA}.alembic_version SET version_num = '9999'"))
    with pytest.raises(SystemExit) as ended:
        migrate_registry(settings)
    told = capsys.readouterr().err
    assert (ended.value.code, len(told.splitlines())) == (HOPELESS, 1)
    assert "9999" in told and "newer version" in told
    with database.transaction(settings) as conn:
        assert database.revision(conn) == "9999"
