"""Migrations and the hourly partitions of `served`."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text

from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.registry import database
from pipelines.registry.tables import SCHEMA, metadata, served
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def serve(conn: Connection, at: datetime, recommendation_id: str) -> None:
    row = {"served_at": at, "recommendation_id": recommendation_id, "campaign_id": "c", "solution_version_id": "v"}
    conn.execute(served.insert().values(**row, items=["1"]))


def partition_of(conn: Connection, recommendation_id: str) -> str:
    query = text(f"SELECT tableoid::regclass::text FROM {SCHEMA}.served WHERE recommendation_id = :id")
    return conn.execute(query, {"id": recommendation_id}).scalar_one().removeprefix(f"{SCHEMA}.")


def test_migrations_make_exactly_the_tables_that_the_code_declares(settings: Settings) -> None:
    def ours(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        if kind == "schema":
            return name == SCHEMA
        return not (kind == "table" and (name == "alembic_version" or str(name).startswith("served_")))

    with database.engine(settings).connect() as conn:
        options = {"include_schemas": True, "include_name": ours, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(conn, opts=options), metadata) == []


def test_migrating_twice_at_once_and_again_is_harmless(postgres: EmbeddedPostgres, tmp_path) -> None:
    execute(postgres, "CREATE DATABASE migrate_twice")
    target = platform_settings(tmp_path, postgres.url("migrate_twice"))
    failures: list[Exception] = []

    def migrate() -> None:
        try:
            database.migrate(target)
        except Exception as failure:  # noqa: BLE001 (a thread's failure is looked at below)
            failures.append(failure)

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.migrate(target)
    assert failures == []
    with psycopg.connect(database.libpq_url(target)) as stranger:
        stranger.execute("CREATE TABLE alembic_version (airflow text)")
        assert stranger.execute("SELECT to_regclass('public.alembic_version') IS NOT NULL").fetchone() == (True,)
    with database.engine(target).connect() as conn:
        assert conn.execute(select(text("count(*)")).select_from(served)).scalar_one() == 0
    execute(postgres, "DROP DATABASE migrate_twice WITH (FORCE)")


def test_rows_without_a_partition_are_kept_and_move_into_it(settings: Settings) -> None:
    with database.engine(settings).begin() as conn:
        serve(conn, NOW, "early")
        assert partition_of(conn, "early") == "served_default"
        made = database.ensure_served_partitions(conn, NOW)
        assert made == ["served_2026030112", "served_2026030113", "served_2026030114"]
        serve(conn, NOW + timedelta(hours=1), "next")
        serve(conn, NOW + timedelta(hours=9), "far")
        assert [partition_of(conn, i) for i in ("early", "next", "far")] == [*made[:2], "served_default"]
        assert database.ensure_served_partitions(conn, NOW) == []


def test_hours_that_ended_a_day_ago_are_dropped(settings: Settings) -> None:
    with database.engine(settings).begin() as conn:
        database.ensure_served_partitions(conn, NOW)
        serve(conn, NOW, "old")
        assert database.drop_served_partitions(conn, NOW + timedelta(hours=24)) == []
        assert database.drop_served_partitions(conn, NOW + timedelta(hours=25)) == ["served_2026030112"]
        assert conn.execute(select(served)).all() == []


@pytest.mark.parametrize("url", ["postgresql://u@/db?host=/a%20b", "postgresql+psycopg2://u:p%40@h:5433/db"])
def test_libpq_url_has_no_driver_and_keeps_the_rest(tmp_path, url: str) -> None:
    made = database.libpq_url(platform_settings(tmp_path, url))
    assert made.startswith("postgresql://u") and ("p%40@h:5433" in made) == ("5433" in url)
