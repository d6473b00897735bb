"""The Items dataset itself at one moment, as files beside the versions: what metadata columns say, and what an import changed.

    table.json                               of which import, schema and records it is; names of the columns
    item_ids.bin, ..., item_column_<n>_*     ids and all columns, texts too (ids.py, column_files.py)

Where to read values that a version does not have was a choice of three. In the version's artefact they would be as old as
the training and make every version larger by all texts. In PostgreSQL every import would write its rows a second time,
and backups and other machines carry them. So a machine that serves makes the files from the group's repository when it
needs them (pipelines/versions/item_tables.py), all its workers map the same ones, and a cell costs microseconds. What was
put since stands in PostgreSQL, whence each request reads the newest records of its 50 items at most.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.schema import ITEM_ID
from pipelines.serving.column_files import read_columns, write_columns
from pipelines.serving.columns import Columns
from pipelines.serving.ids import IdTable, read_ids, write_ids
from pipelines.serving.newer import cell_text

TABLE = "table.json"
LONGEST_VALUE = 20_000
"""Characters of a value that is answered (botocore: ColumnValue)."""


class Moment(NamedTuple):
    """What a table is made from."""

    imported: str
    """Id of the import job that last brought rows; empty: none has."""
    schema: str
    """Id of the dataset's schema."""
    records: int
    """Number of the newest streamed record that it has."""

    @property
    def name(self) -> str:
        """Of the table's folder."""
        return f"{self.records}.{self.schema}.{self.imported}"

    @classmethod
    def of(cls, name: str) -> Moment:
        """Read what `name` says."""
        records, schema, imported = name.split(".")
        return cls(imported, schema, int(records))


@dataclass(frozen=True)
class ItemTable:
    """The rows that count; row r is item `ids.id(r)`."""

    moment: Moment
    ids: IdTable
    columns: Columns
    """All but ITEM_ID."""
    textual: frozenset[str]
    """Names of the columns that filters cannot read."""

    @classmethod
    def open(cls, directory: Path) -> ItemTable:
        """Map what `write_item_table` wrote."""
        described = json.loads((directory / TABLE).read_text("utf-8"))
        columns = read_columns(directory, "item", described["columns"], partial(_array, directory))
        textual = frozenset(described["textual"])
        return cls(Moment(**described["moment"]), read_ids(directory, "item"), columns, textual)

    def rows_of(self, items: IdTable) -> Columns:
        """What filters read of a version's items, in its order."""
        codes = self.ids.codes(items.ids(range(len(items))))
        rows = np.array([-1 if code is None else code for code in codes], np.int64)
        filtered = {name: column for name, column in self.columns.by_name.items() if name not in self.textual}
        return Columns(self.columns.described, filtered).of(rows)

    def named(self, column: str) -> str | None:
        """The column's own name, however it is written; None if there is none."""
        names = {name.casefold(): name for name in (ITEM_ID, *self.columns.by_name)}
        return names.get(column.casefold())

    def values(self, item_id: str, names: Mapping[str, str], newer: Columns | None) -> dict[str, str]:
        """By the caller's name what is known of the item; `names` leads from it to the column's.

        `newer` is one row, a record that came after the table.
        """
        columns, row = (self.columns, self.ids.code(item_id)) if newer is None else (newer, 0)
        if row is None:
            return {}
        cells = {
            asked: item_id if name == ITEM_ID else cell_text(columns.by_name[name], row)
            for asked, name in names.items()
        }
        return {asked: cell[:LONGEST_VALUE] for asked, cell in cells.items() if cell is not None}


def write_item_table(
    directory: Path, moment: Moment, ids: Sequence[str], columns: Columns, textual: Sequence[str]
) -> None:
    """Write a table into the empty folder; `columns` has a row an id."""
    write_ids(directory, "item", ids)
    write_columns(directory, "item", columns)
    described = {"moment": moment._asdict(), "columns": list(columns.by_name), "textual": list(textual)}
    (directory / TABLE).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _array(directory: Path, name: str) -> NDArray[Any]:
    return np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False))
