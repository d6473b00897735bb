"""Rows per CPU second of an import, beside the least that reading the same file costs: DuckDB's plain typed read.

    python -m tests.bench.import_bench [--rows 1000000]

Both are measured in this run, in CPU seconds (user + system): wall times say more about the neighbours.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipelines.datasets import building, reading, writing
from pipelines.datasets.profile import measure
from pipelines.datasets.scan import scan_all
from pipelines.datasets.schema import read_schema
from pipelines.datasets.source import SourceFile
from tests.support.imports import INTERACTIONS

T = TypeVar("T")


def generate(path: Path, rows: int, seed: int = 0) -> None:
    """Interactions with Zipf-like items and users of very different activity."""
    rng = np.random.default_rng(seed)
    users = (rng.pareto(1.2, rows) * rows / 1000).astype(np.int64) % max(rows // 150, 1)
    items = (rng.pareto(1.0, rows) * 500).astype(np.int64) % 60_000
    times = rng.integers(1_500_000_000, 1_600_000_000, rows)
    kinds = np.array(["watch", "click"])[rng.integers(0, 2, rows)]
    values = rng.integers(1, 6, rows)
    with path.open("w") as out:
        out.write("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE\n")
        for start in range(0, rows, 100_000):
            part = slice(start, start + 100_000)
            cells = zip(users[part], items[part], times[part], kinds[part], values[part], strict=True)
            out.writelines(f"user_{u},item-{i},{t},{k},{v}\n" for u, i, t, k, v in cells)


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` returns, and its CPU seconds."""
    before = cpu()
    found = work()
    return found, cpu() - before


def plain_read(path: Path) -> None:
    """The floor: every cell parsed into its type, nothing kept, nothing checked."""
    columns = "{'u': 'VARCHAR', 'i': 'VARCHAR', 't': 'BIGINT', 'k': 'VARCHAR', 'v': 'FLOAT'}"
    with tempfile.TemporaryDirectory() as folder:
        connection = reading.open_database(Path(folder))
        connection.execute(
            f"SELECT count(u), count(i), sum(t), count(k), sum(v) FROM read_csv('{path}', columns = {columns}, "
            f"auto_detect = false, header = false, skip = 1)"
        ).fetchall()
        connection.close()


def steps(path: Path, folder: Path) -> dict[str, float]:
    """CPU seconds of each step of one import."""
    schema = read_schema(INTERACTIONS, "INTERACTIONS")
    file = SourceFile(path.name, path, path.stat().st_size)
    connection = reading.open_database(folder / "spill")
    scans, scanning = timed(lambda: scan_all([file], folder))
    read, parsing = timed(lambda: reading.read(connection, scans, schema, folder / "rejects.parquet"))
    written, writing_ = timed(
        lambda: writing.write(connection, schema, None, incremental=False, name="bench", directory=folder / "snapshot")
    )
    profile, profiling = timed(lambda: measure(connection, schema, read, written, name="bench"))
    connection.close()
    _, judging = timed(lambda: building.check(profile, schema, folder / "report.html"))
    return {
        "look at every byte": scanning,
        "parse, check, stage": parsing,
        "encode, sort, write": writing_,
        "profile": profiling,
        "judge and report (GX)": judging,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args(arguments).rows
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        generate(folder / "interactions.csv", rows)
        size = (folder / "interactions.csv").stat().st_size
        _, floor = timed(lambda: plain_read(folder / "interactions.csv"))
        (folder / "run").mkdir()
        found = steps(folder / "interactions.csv", folder / "run")
    print(f"{rows:,} interactions, {size / 1e6:,.0f} MB of CSV\n")
    print(f"{'step':<28}{'CPU s':>8}{'rows/CPU s':>14}{'x plain read':>14}")
    for name, seconds in {"DuckDB plain typed read": floor, **found, "whole import": sum(found.values())}.items():
        print(f"{name:<28}{seconds:>8.2f}{rows / seconds:>14,.0f}{seconds / floor:>14.1f}")
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
