"""Users a minute of a batch inference job at 10,000 items (`python -m tests.bench.batch_bench`).

The whole job, from reading the file to the file of answers, on a real registry: a GRU of the default size, 50 events a
user, every fourth user with events streamed since the training, all items new enough to be explored, which is the most
that exploration can cost. What a machine does beside it moves the minutes, not the CPU time, so the bound is on that: two
cores that do nothing else answer at least 20,000 users a minute.
"""

from __future__ import annotations

import os
import resource
import shutil
import time

from rich.console import Console
from rich.table import Table
from sqlalchemy import insert

from pipelines.batch.inference import infer
from pipelines.registry.tables import events
from tests.bench.runtime_bench import durable_shop
from tests.bench.serving_bench import artefact
from tests.support.batch import NO_EXPLORATION, add_job, look, write_lines
from tests.support.runtime import Shop

ITEMS, EVENTS, USERS = 10_000, 50, 100
LINES = 5_000
BOUND = 20_000
CORES = 2


def run(console: Console) -> bool:
    """Print the table; whether the bound holds."""
    table = Table(
        "explorationWeight", "lines", "seconds", "lines/minute", "CPU s", f"lines/minute of {CORES} whole cores"
    )
    slowest = float("inf")
    with durable_shop() as (settings, shop, _):
        version = shop.add_version()
        shutil.rmtree(version.directory)
        artefact(version.directory, ITEMS, EVENTS)
        stream(shop)
        source = write_lines(settings.home / "data" / "users.json", ({"userId": f"u{n % USERS}"} for n in range(LINES)))
        for weight, config in (("0.3", {}), ("0", NO_EXPLORATION)):
            job = add_job(
                shop, version, source.as_uri(), (settings.home / "data" / weight).as_uri(), f"weight-{weight[-1]}",
                numResults=25, batchInferenceJobConfig=config,
            )  # fmt: skip
            wall, cpu = time.monotonic(), cpu_seconds()
            infer(settings, job.id)
            wall, cpu = time.monotonic() - wall, cpu_seconds() - cpu
            assert look(shop, job).internal == {**look(shop, job).internal, "lines": LINES, "failed": 0}
            of_cores = 60 * CORES * LINES / cpu
            slowest = min(slowest, of_cores)
            row = (f"{wall:.1f}", f"{60 * LINES / wall:,.0f}", f"{cpu:.1f}", f"{of_cores:,.0f}")
            table.add_row(weight, f"{LINES:,}", *row)
    console.print(table)
    console.print(f"{ITEMS:,} items, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; bound: {BOUND:,}")
    return slowest >= BOUND


def stream(shop: Shop) -> None:
    """Three events of every fourth user."""
    rows = [
        {
            "group_id": shop.group_id, "user_key": f"u{user}", "user_id": f"u{user}", "session_id": "s",
            "event_id": f"{user}-{n}", "event_type": "watch", "item_id": f"i{user + n}", "sent_at": 1e6 + n,
        }
        for user in range(0, USERS, 4) for n in range(3)
    ]  # fmt: skip
    with shop.engine.begin() as conn:
        conn.execute(insert(events), rows)


def cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


if __name__ == "__main__":
    raise SystemExit(not run(Console(width=160)))
