"""Rows per CPU second of an import, beside what DuckDB, pandas and polars take only to read the same file.

    python -m tests.bench.import_bench [--rows 1000000] [--twice] [--uuids] [--file interactions.csv]

Everything is measured in this run, each in a process of its own, in CPU seconds (user + system): wall times say more
about the neighbours. The readers parse every cell into its type and keep the table; they check nothing and write nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tests.support.imports import INTERACTIONS

T = TypeVar("T")
ALWAYS_TWICE = 2_000_000
BOUNDS = {1_000_000: {"CPU s": 12.0}, 25_000_000: {"CPU s": 110.0, "CPU s of validation": 15.0, "MiB": 4_608.0}}
"""What an import of so many rows may take."""
VALIDATION = ("profile", "judge and report (GX)")


def generate(path: Path, rows: int, seed: int = 0, *, uuids: bool = False) -> None:
    """Interactions with Zipf-like items and users of very different activity, as CSV."""
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
            if uuids:
                out.writelines(f"{_uuid(u)},item-{i},{t},{k},{v}\n" for u, i, t, k, v in cells)
            else:
                out.writelines(f"user_{u},item-{i},{t},{k},{v}\n" for u, i, t, k, v in cells)


def _uuid(number: int) -> str:
    digits = f"{int(number) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def cpu() -> float:
    """CPU seconds of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` returns, and its CPU seconds."""
    before = cpu()
    found = work()
    return found, cpu() - before


@dataclass(frozen=True)
class Measured:
    """One process."""

    steps: dict[str, float]
    """CPU seconds."""
    peak: float
    """MiB."""
    digest: str = ""
    """Of the snapshot: its manifest names every file's SHA-256."""

    @property
    def total(self) -> float:
        return sum(self.steps.values())


def apart(work: Callable[..., Measured], *arguments: Any) -> Measured:
    """Do it in a fresh process, so that CPU and peak memory are its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _measured(steps: dict[str, float], digest: str = "") -> Measured:
    return Measured(steps, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, digest)


# The readers ---------------------------------------------------------------------------------------


def duckdb_reads(path: Path) -> Measured:
    """A table in memory, typed."""
    import duckdb

    columns = "{'u': 'VARCHAR', 'i': 'VARCHAR', 't': 'BIGINT', 'k': 'VARCHAR', 'v': 'FLOAT'}"
    query = (
        f"CREATE TABLE t AS FROM read_csv('{path}', columns = {columns}, auto_detect = false, header = false, skip = 1)"
    )
    with duckdb.connect(config={"threads": 2}) as connection:
        return _measured({"read": timed(lambda: connection.execute(query))[1]})


def pandas_reads(path: Path) -> Measured:
    """A data frame, typed."""
    import pandas as pd

    types: Any = {
        "TIMESTAMP": "int64",
        "EVENT_VALUE": "float32",
        "EVENT_TYPE": "str",
        "USER_ID": "str",
        "ITEM_ID": "str",
    }
    frame, seconds = timed(lambda: pd.read_csv(path, dtype=types))
    assert len(frame)
    return _measured({"read": seconds})


def polars_reads(path: Path) -> Measured:
    """A data frame, typed."""
    import polars as pl

    types = {
        "USER_ID": pl.String,
        "ITEM_ID": pl.String,
        "TIMESTAMP": pl.Int64,
        "EVENT_TYPE": pl.String,
        "EVENT_VALUE": pl.Float32,
    }
    frame, seconds = timed(lambda: pl.read_csv(path, schema=types))
    assert len(frame)
    return _measured({"read": seconds})


# The import ----------------------------------------------------------------------------------------


def imports(path: Path, folder: Path) -> Measured:
    """Every step of one import."""
    from pipelines.datasets import building, reading, writing
    from pipelines.datasets.profile import measure
    from pipelines.datasets.scan import scan_all
    from pipelines.datasets.schema import read_schema
    from pipelines.datasets.snapshot import MANIFEST, sha256
    from pipelines.datasets.source import SourceFile

    schema = read_schema(INTERACTIONS, "INTERACTIONS")
    file = SourceFile(path.name, path, path.stat().st_size)
    connection, snapshot = reading.open_database(folder / "spill"), folder / "snapshot"
    scans, scanning = timed(lambda: scan_all([file], folder))
    read, parsing = timed(lambda: reading.read(connection, scans, schema, folder / "rejects.parquet"))
    written, writing_ = timed(
        lambda: writing.write(connection, schema, None, incremental=False, name="bench", directory=snapshot)
    )
    profile, profiling = timed(lambda: measure(connection, schema, read, written, name="bench"))
    connection.close()
    _, judging = timed(lambda: building.check(profile, schema, folder / "report.html"))
    steps = {"look at every byte": scanning, "parse, check, stage": parsing, "encode, sort, write": writing_}
    return _measured(steps | dict(zip(VALIDATION, (profiling, judging), strict=True)), sha256(snapshot / MANIFEST))


def in_folder(path: Path) -> Measured:
    """One import in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="op-bench-", dir=path.parent) as folder:
        return imports(path, Path(folder))


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 when a bound is missed or two runs differ in a byte."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument(
        "--twice", action="store_true", help="import twice and compare (always, up to two million rows)"
    )
    parser.add_argument("--uuids", action="store_true", help="users with ids of 36 characters")
    parser.add_argument("--file", type=Path, help="take this file, which has so many rows of these columns")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        path = given.file or Path(scratch) / "interactions.csv"
        if given.file is None:
            generate(path, given.rows, uuids=given.uuids)
        return compare(path, given.rows, twice=given.twice or given.rows <= ALWAYS_TWICE)


def compare(path: Path, rows: int, *, twice: bool) -> int:
    """Measure the readers and the import of `path`."""
    print(f"{rows:,} interactions, {path.stat().st_size / 1e6:,.0f} MB of CSV\n")
    print(f"{'':<28}{'CPU s':>8}{'rows/CPU s':>14}{'peak MiB':>10}")
    readers = {"DuckDB": duckdb_reads, "pandas": pandas_reads, "polars": polars_reads}
    for name, reader in readers.items():
        read = apart(reader, path)
        _row(f"{name} only reads", read.total, rows, f"{read.peak:,.0f}")
    done = apart(in_folder, path)
    for name, seconds in done.steps.items():
        _row(f"  {name}", seconds, rows)
    _row("the whole import", done.total, rows, f"{done.peak:,.0f}")
    validation = sum(done.steps[step] for step in VALIDATION)
    print(f"\nof which validation: {validation:.1f} CPU s, {validation / done.total:.0%}")
    found = {"CPU s": done.total, "CPU s of validation": validation, "MiB": done.peak}
    missed = [
        f"{found[unit]:,.0f} {unit} of {most:,.0f}" for unit, most in BOUNDS.get(rows, {}).items() if found[unit] > most
    ]
    if twice:
        same = apart(in_folder, path).digest == done.digest
        print(f"a second run wrote {'the same' if same else 'OTHER'} bytes: {done.digest[:16]}")
        missed += ["other bytes"] * (not same)
    print(f"missed: {', '.join(missed)}" if missed else "every bound holds")
    return 1 if missed else 0


def _row(name: str, seconds: float, rows: int, peak: str = "") -> None:
    print(f"{name:<28}{seconds:>8.2f}{rows / max(seconds, 0.01):>14,.0f}{peak:>10}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
