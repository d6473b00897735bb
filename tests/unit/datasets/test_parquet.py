"""Parquet beside CSV: the same rules, the same words, rows instead of lines."""

from __future__ import annotations

import datetime
import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.datasets.errors import ImportRefused
from tests.support.imports import interactions, run, text

GOOD = {"USER_ID": "u", "ITEM_ID": "i", "TIMESTAMP": 1_600_000_000, "EVENT_TYPE": "watch", "EVENT_VALUE": 1.5}


def parquet(table: pa.Table | list[dict[str, Any]], **options: Any) -> bytes:
    """A Parquet file's bytes."""
    out = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.Table.from_pylist(table), out, **options)
    return out.getvalue()


def as_parquet(lines: list[str]) -> bytes:
    """CSV lines of interactions as a Parquet file of strings, small row groups."""
    cells = [line.split(",") for line in lines]
    return parquet(pa.table(dict(zip(GOOD, zip(*cells, strict=True), strict=True))), row_group_size=500)


def test_parquet_gives_the_very_snapshot_that_csv_gives(tmp_path: Path) -> None:
    lines = interactions(3000)
    csv = run(tmp_path, "INTERACTIONS", text(lines), name="csv").snapshot
    typed = run(tmp_path, "INTERACTIONS", parquet(csv_table(lines)), name="typed").snapshot
    strings = run(tmp_path, "INTERACTIONS", as_parquet(lines), name="strings").snapshot
    mixed = run(tmp_path, "INTERACTIONS", text(lines[:700]), as_parquet(lines[700:]), name="mixed").snapshot
    digest = {part.sha256 for snapshot in (csv, typed, strings, mixed) for part in snapshot.manifest.parts}
    assert len(digest) == 1


def csv_table(lines: list[str]) -> pa.Table:
    rows = [dict(zip(GOOD, line.split(","), strict=True)) for line in lines]
    return pa.table(
        {
            "user_id": [row["USER_ID"] for row in rows],
            "extra": [[1, 2]] * len(rows),
            "Event_Value": pa.array([float(row["EVENT_VALUE"]) for row in rows], pa.float64()),
            "EVENT_TYPE": pa.array([row["EVENT_TYPE"] for row in rows]).dictionary_encode(),
            "TIMESTAMP": pa.array([int(row["TIMESTAMP"]) for row in rows], pa.int64()),
            "ITEM_ID": pa.array([row["ITEM_ID"] for row in rows], pa.large_string()),
        }
    )


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"USER_ID": None}, "USER_ID", "is empty"),
        ({"USER_ID": ""}, "USER_ID", "is empty"),
        ({"ITEM_ID": "i" * 257}, "ITEM_ID", "longer than 256 characters"),
        ({"ITEM_ID": "i\nj"}, "ITEM_ID", "holds a line break"),
        ({"EVENT_TYPE": "w\0"}, "EVENT_TYPE", "holds a NUL"),
        ({"TIMESTAMP": None}, "TIMESTAMP", "is empty"),
        ({"TIMESTAMP": 1_600_000_000_000}, "TIMESTAMP", "looks like milliseconds"),
        ({"TIMESTAMP": -5}, "TIMESTAMP", "before 1970"),
        ({"EVENT_VALUE": float("nan")}, "EVENT_VALUE", "not a finite number"),
        ({"EVENT_VALUE": 1e300}, "EVENT_VALUE", "not a finite number"),
    ],
)
def test_a_bad_row_is_rejected_by_row_and_column(
    tmp_path: Path, change: dict[str, Any], column: str, reason: str
) -> None:
    rows = [{**GOOD, "TIMESTAMP": n + 1} for n in range(700)]
    rows[600] |= change
    done = run(tmp_path, "INTERACTIONS", parquet(rows, row_group_size=250))
    [reject] = done.rejects
    assert (reject.place, reject.column) == ("0.csv row 601", column)
    assert reason in str(reject)
    assert (done.row["records"], done.row["rejected"], done.row["rows"]) == (700, 1, 699)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1600000000], pa.int32()), 1600000000),
        (pa.array([1600000000], pa.uint64()), 1600000000),
        (pa.array([1600000000.0], pa.float64()), 1600000000),
        (pa.array(["1600000000"]), 1600000000),
        (pa.array([Decimal("1600000000.00")]), 1600000000),
        (pa.array([1600000000.5], pa.float64()), 1600000000),
        (pa.array([True]), None),
        (pa.nulls(1), None),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_a_value_counts_as_its_text_whatever_its_type(tmp_path: Path, values: pa.Array, expected: int | None) -> None:
    table = pa.Table.from_pylist([GOOD])
    done = run(tmp_path, "INTERACTIONS", parquet(table.set_column(2, "TIMESTAMP", values)))
    assert [row["TIMESTAMP"] for row in done.rows()] == ([] if expected is None else [expected])
    assert done.row["rejected"] == (expected is None)


def test_whole_numbers_are_ids_and_words_are_booleans(tmp_path: Path) -> None:
    table = pa.table({"USER_ID": [7, 8], "GENDER": pa.array(["F", ""]), "ADULT": [True, None]})
    done = run(tmp_path, "USERS", parquet(table))
    assert done.rows() == [
        {"USER_ID": "7", "GENDER": "F", "ADULT": True},
        {"USER_ID": "8", "GENDER": None, "ADULT": None},
    ]


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("TIMESTAMP", pa.array([datetime.datetime(2020, 1, 1)]), "type timestamp: write whole seconds since 1970"),
        ("TIMESTAMP", pa.array([datetime.datetime(2020, 1, 1)]).cast(pa.timestamp("ns", "UTC")), "type timestamp"),
        ("TIMESTAMP", pa.array([datetime.date(2020, 1, 1)]), "type date: write whole seconds since 1970"),
        ("EVENT_TYPE", pa.array([["a", "b"]]), "type list: write one string with the values joined by |"),
        ("USER_ID", pa.array([b"u"]), "type blob: write it as a string"),
        ("USER_ID", pa.array([{"id": "u"}]), "type struct"),
    ],
    ids=str,
)
def test_a_column_without_text_of_its_own_is_refused_by_name(
    tmp_path: Path, column: str, values: pa.Array, words: str
) -> None:
    table = pa.Table.from_pylist([GOOD])
    table = table.set_column(table.column_names.index(column), column, values)
    with pytest.raises(ImportRefused, match=f"1.csv column {column} holds values of ") as refused:
        run(tmp_path, "INTERACTIONS", text(interactions(5)), parquet(table))
    assert words in str(refused.value)


def test_missing_and_doubled_columns_are_refused_as_in_csv(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([GOOD])
    missing = r"^Input CSV is missing the following columns:\[ITEM_ID, EVENT_VALUE\]\. 0\.csv names"
    with pytest.raises(ImportRefused, match=missing):
        run(tmp_path, "INTERACTIONS", parquet(table.drop_columns(["ITEM_ID", "EVENT_VALUE"])), name="missing")
    with pytest.raises(ImportRefused, match="names column USER_ID twice"):
        run(tmp_path, "INTERACTIONS", parquet(table.append_column("user_id", pa.array(["v"]))), name="twice")
    with pytest.raises(ImportRefused, match=r"0\.csv has no rows"):
        run(tmp_path, "INTERACTIONS", parquet(table.slice(0, 0)), name="empty")


def test_an_encrypted_file_is_said_to_be_encrypted(tmp_path: Path) -> None:
    import pyarrow.parquet.encryption as encryption

    class Kms(encryption.KmsClient):
        def wrap_key(self, key_bytes: bytes, _: str) -> bytes:
            return key_bytes

    factory = encryption.CryptoFactory(lambda _: Kms())
    kms = encryption.KmsConnectionConfig()
    configuration = encryption.EncryptionConfiguration(
        footer_key="k", column_keys={"k": ["USER_ID"]}, plaintext_footer=True
    )
    properties = factory.file_encryption_properties(kms, configuration)
    content = parquet([GOOD], encryption_properties=properties)
    with pytest.raises(ImportRefused, match=r"0\.csv is encrypted"):
        run(tmp_path, "INTERACTIONS", content)


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_is_refused_or_seen_but_loses_no_row(tmp_path: Path, seed: int) -> None:
    """What a flipped byte makes of a value nobody can know; rows must be all there, or the file is refused by name."""
    rng = random.Random(seed)
    lines = interactions(2000)
    whole = as_parquet(lines)
    for attempt in range(12):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 50))):
            damaged[rng.randrange(4, len(whole))] ^= 1 << rng.randrange(8)
        content = bytes(damaged) if attempt % 3 else whole[: rng.randrange(4, len(whole))]
        try:
            done = run(tmp_path, "INTERACTIONS", content, name=str(attempt))
        except ImportRefused as refused:
            assert "0.csv" in str(refused)
            assert not (tmp_path / str(attempt) / "snapshot" / "manifest.json").exists()
        else:
            assert done.row["records"] == len(lines)
