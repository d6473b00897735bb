"""CPU seconds of one incremental update against its bound: 25, and 2 for every 100,000 new rows.

    python -m tests.bench.update_bench [--base 100k|1m] [--rows 100000]

Bases: MovieLens-100K, and a million synthetic interactions of 6,666 users with 60,000 items. On each, a version is made
(its model untrained: weights cost nothing here) and updated with no new rows, 100,000 and a million streamed events,
and 1,000 new items each time. Counted are the updating process from its start, everything that it starts (Git, DVC,
the stage), and PostgreSQL; not counted is what Airflow takes to start a task. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from pipelines.datasets import movielens
from pipelines.datasets.example import DATASET_TYPES, build_snapshot
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.versions import claim, publish, reproduce
from tests.bench.import_bench import generate
from tests.bench.runtime_bench import durable_shop
from tests.support import shop as clothes
from tests.support.imports import INTERACTIONS
from tests.support.registry import add_campaign, add_dataset, add_group, add_solution
from tests.support.updates import put_events, put_items, quick_stages
from tests.support.versions import World, commit, look, new_version

FIXED, EACH_100K = 25.0, 2.0
NEW_ROWS = (0, 100_000, 1_000_000)
NEW_ITEMS = 1000
GENRES = ("Action", "Comedy", "Drama", "Crime|Drama", "Horror", "Romance", "Sci-Fi")
UPDATE = """
import sys
from datetime import UTC, datetime
from pipelines.settings import Settings
from pipelines.versions.updating import update
update(Settings.from_env(), sys.argv[1], datetime.now(UTC))
"""


@dataclass(frozen=True)
class Base:
    """What a version is made from."""

    name: str
    users: int
    items: int
    newest: float
    """Epoch seconds."""
    user: str = ""
    item: str = ""
    """What ids begin with, before a number."""


def bound(rows: int) -> float:
    """CPU seconds that an update with so many new rows may take."""
    return FIXED + EACH_100K * rows / 100_000


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process, its children that live and those that have ended."""
    times = process.cpu_times()
    living = 0.0
    for child in process.children():
        try:
            living += sum(child.cpu_times()[:2])
        except psutil.NoSuchProcess:
            continue
    return float(sum(times[:4]) + living)


def movielens_100k(folder: Path) -> tuple[Base, dict[str, tuple[Path, dict[str, Any]]]]:
    found = movielens.fetch(Path("var/data/movielens-100k"))
    return Base("MovieLens-100K", 943, 1682, 893_286_638), {k: (found.csv[k], found.schemas[k]) for k in DATASET_TYPES}


def million(folder: Path) -> tuple[Base, dict[str, tuple[Path, dict[str, Any]]]]:
    draw = random.Random(0)
    rows, users, items = 1_000_000, 6_666, 60_000
    generate(folder / "interactions.csv", rows)
    (folder / "items.csv").write_text(
        "\n".join(["ITEM_ID,GENRES", *(f"item-{n},{draw.choice(GENRES)}" for n in range(items))]) + "\n"
    )
    (folder / "users.csv").write_text(
        "\n".join(["USER_ID,GENDER", *(f"user_{n},{draw.choice('MF')}" for n in range(users))]) + "\n"
    )
    files = {
        "INTERACTIONS": (folder / "interactions.csv", INTERACTIONS),
        "ITEMS": (folder / "items.csv", clothes.ITEMS),
        "USERS": (folder / "users.csv", clothes.USERS),
    }
    return Base("1 million", users, items, 1_600_000_000.0, "user_", "item-"), files


BASES = {"100k": movielens_100k, "1m": million}


@contextmanager
def version_of(name: str) -> Iterator[tuple[World, Connection, psutil.Process, Resource, Base]]:
    """A version of a base, deployed; the platform's world, its database, the server's process."""
    with tempfile.TemporaryDirectory(prefix="op-bench-update-") as scratch, durable_shop() as (settings, _, postgres):
        base, files = BASES[name](Path(scratch))
        database = engine(settings, pool_size=1)
        with database.connect() as conn, pytest.MonkeyPatch.context() as patch:
            with conn.begin():
                group = add_group(conn, "bench")
                world = World(settings, group, add_solution(conn, group))
            for kind, (path, schema) in files.items():
                with conn.begin():
                    there = {one.doc["datasetType"]: one for one in store.in_group(conn, world.group.id, "Dataset")}
                    dataset = there.get(kind) or add_dataset(conn, world.group, kind)
                    store.update(conn, str(dataset.schema_id), doc={"schema": json.dumps(schema)})
                build_snapshot(path, schema, kind, Path(scratch) / "snapshot")  # type: ignore[arg-type]
                commit(conn, world, dataset, Path(scratch) / "snapshot")
            quick_stages(patch)
            version = new_version(conn, world.solution, "00000001")
            claim(settings, version.id)
            reproduce(settings, version.id)
            publish(settings, version.id)
            with conn.begin():
                add_campaign(conn, version, "home", store.ACTIVE)
            yield world, conn, postgres, version, base
        database.dispose()


def updated(world: World, postgres: psutil.Process, version: Resource) -> tuple[float, float]:
    """CPU seconds of one update: the process with all that it starts, and PostgreSQL's."""
    before, served = os.times(), cpu(postgres)
    command = [sys.executable, "-c", UPDATE, version.id]
    done = subprocess.run(
        command, env={**os.environ, **world.settings.to_env()}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"the update failed:\n{done.stderr}")
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, cpu(postgres) - served


def run(console: Console, bases: list[str], rows: list[int]) -> bool:
    """Print the table; whether every bound holds."""
    table = Table("base", "new rows", "update, CPU s", "PostgreSQL, CPU s", "together", "bound", "items, known before")
    holds = True
    for name in bases:
        with version_of(name) as (world, conn, postgres, version, base):
            with conn.begin():
                datasets = store.in_group(conn, world.group.id, "Dataset")
                items = next(dataset for dataset in datasets if dataset.doc["datasetType"] == "ITEMS")
            there = 0
            for count in sorted(rows):
                more = count - there
                events = {"users": base.users, "items": base.items, "user": base.user, "item": base.item}
                put_events(conn, world.group.id, more, name=f"e{count}-", since=base.newest + there, **events)
                put_items(conn, items.id, NEW_ITEMS, name=f"new{count}-", properties='{"genres": "Drama"}')
                there = count
                used, server = updated(world, postgres, version)
                newest = look(conn, version.id).internal["updates"][-1]
                ok = used + server <= bound(count)
                holds = holds and ok
                together = f"{used + server:.1f}" if ok else f"[red]{used + server:.1f}[/red]"
                cells = (f"{used:.1f}", f"{server:.1f}", together, f"{bound(count):.0f}")
                print(f"{base.name}, {count:,} new rows: {used:.1f} + {server:.1f} CPU s", file=sys.stderr, flush=True)
                table.add_row(base.name, f"{count:,}", *cells, f"{newest['items']:,}, {base.items:,}")
    console.print(table)
    return holds


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", choices=sorted(BASES), action="append")
    parser.add_argument("--rows", type=int, action="append")
    asked = parser.parse_args()
    sys.exit(not run(Console(), asked.base or list(BASES), asked.rows or list(NEW_ROWS)))
