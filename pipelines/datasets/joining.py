"""Imported and streamed data together: the one rule of which row counts, for trainings, exports and counts alike.

Items, users and actions: of the records with one id the newest by arrival counts, as a whole; nothing is merged. A streamed
record arrives when it is put, an imported one when its import was asked for (`Part.after`: the newest streamed
record of that moment). So an import wins over what was put before it and loses to what was put after it, and of two
imports the later wins. Interactions and action interactions: all of them, imported and streamed; rows equal in every field
of the schema are one.

Source: spec/datasets.md, sections 5 (an import replaces records of the same id, those that came individually stay), 6 (a put
record replaces the old one entirely) and 9 (an export of everything has the newest record of each id). Why arrival: AWS does
not say what wins when an import and a put name one id; the order in which the owner of the data said things is the only
one that both kinds have.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import ARRIVAL, Schema
from pipelines.datasets.snapshot import Snapshot, total_order
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

# With a space, as no field of a schema can be called; quoted.
PART, AFTER = '"part number"', '"part after"'
_ARRIVAL = quoted(ARRIVAL)


# Unlike AWS, data: of an import and a Put that name one item, user or action the later arrival wins. AWS does not say
# which does, and the order in which the owner said things is the only one that both have.
def joined(snapshot: Snapshot, streamed: pa.Table, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows that count, in `streamed`'s columns (the schema's of today, then ARRIVAL) or those of them named.

    `streamed` is as streamed.tables gives it. ARRIVAL is 0 in imported rows. Ids are strings; those of event logs are
    dictionary-encoded (int32 codes), so that 25 million rows stay small. Order: records by id; of logs the imported rows
    as the snapshot has them, then the streamed ones as they came.
    """
    names = list(columns) if columns is not None else streamed.column_names
    with tempfile.TemporaryDirectory(prefix="op-join-") as spill, closing(open_database(Path(spill))) as connection:
        connection.register("streamed", streamed)
        both = Both.load(connection, snapshot)
        if not both.schema.is_event_log:
            return connection.sql(f"SELECT {_list(names)} FROM ({both.records()})").to_arrow_table()
        new = connection.sql(both.new_events()).to_arrow_table()
    return _log(snapshot, new, names)


@dataclass(frozen=True)
class Both:
    """A DuckDB connection with the rows of both origins, and the queries over them.

    Relation `streamed` has strings for ids; view `imported` has codes, PART and AFTER, and all rows of all parts;
    tables dictionary_<column> (id, code) lead from one to the other.
    """

    schema: Schema
    """Of the snapshot: for its type and its ids."""
    fields: tuple[str, ...]
    """Those of the schema of today, which `streamed` has."""
    parts: int

    @classmethod
    def load(cls, connection: DuckDBPyConnection, snapshot: Snapshot) -> Both:
        """Needs relation `streamed` on the connection. A field that an old part lacks is null in its rows."""
        schema = snapshot.schema
        fields = tuple(name for name in connection.table("streamed").columns if name != ARRIVAL)
        codes = ", ".join(f"NULL::INTEGER AS {quoted(name)}" for name in schema.id_columns)
        queries = [
            f"SELECT * EXCLUDE ({_ARRIVAL}) REPLACE ({codes}), 0 AS {PART}, 0::BIGINT AS {AFTER} FROM streamed WHERE false"
        ]
        for number, part in enumerate(snapshot.manifest.parts):
            path = text(str(snapshot.directory / part.path))
            queries.append(f"SELECT *, {number} AS {PART}, {part.after} AS {AFTER} FROM read_parquet({path})")
        connection.execute(f"CREATE VIEW imported AS {' UNION ALL BY NAME '.join(queries)}")
        for column in schema.id_columns:
            connection.execute(f"CREATE TABLE dictionary_{column.lower()} AS {snapshot.dictionary(column)}")
        return cls(schema, fields, len(snapshot.manifest.parts))

    def imported(self) -> str:
        """Distinct imported rows: of logs what the snapshot holds, of records those of every import."""
        fields = _list(self.fields)
        if self.parts == 1:
            return self.decoded(f"SELECT {fields} FROM imported")
        return self.decoded(f"SELECT DISTINCT {fields} FROM imported ORDER BY {total_order(self.schema)}")

    def put(self) -> str:
        """Distinct streamed rows, the first of those that are equal, as they came."""
        return (
            f"SELECT * FROM streamed QUALIFY row_number() OVER (PARTITION BY {_list(self.fields)} ORDER BY {_ARRIVAL}) = 1 "
            f"ORDER BY {_ARRIVAL}"
        )

    def new_events(self) -> str:
        """Distinct streamed rows that were not imported too, as they came."""
        ids = self.schema.id_columns
        codes = ", ".join(f"d{n}.code AS {quoted(name)}" for n, name in enumerate(ids))
        dictionaries = " ".join(
            f"JOIN dictionary_{name.lower()} d{n} ON d{n}.id = s.{quoted(name)}" for n, name in enumerate(ids)
        )
        equal = " AND ".join(
            f"i.{quoted(name)} {'=' if name in ids else 'IS NOT DISTINCT FROM'} k.{quoted(name)}"
            for name in self.fields
        )
        return f"""
            WITH known AS (SELECT s.* REPLACE ({codes}) FROM streamed s {dictionaries}),
            repeated AS (SELECT DISTINCT k.{_ARRIVAL} FROM imported i JOIN known k ON {equal})
            SELECT * FROM ({self.put()}) p ANTI JOIN repeated USING ({_ARRIVAL}) ORDER BY {_ARRIVAL}
        """

    def events(self) -> str:
        """All events, each once, less ARRIVAL: the imported ones, then the new ones."""
        return f"FROM ({self.imported()}) UNION ALL SELECT {_list(self.fields)} FROM ({self.new_events()})"

    def records(self) -> str:
        """Of each id the record that counts, by id; ARRIVAL is 0 in imported ones."""
        key = quoted(self.schema.id_columns[0])
        newest = f"SELECT * FROM imported QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {PART} DESC) = 1"
        fields = _list(self.fields)
        return f"""
            WITH old AS ({self.decoded(newest, AFTER)}),
            put AS (SELECT * FROM streamed QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {_ARRIVAL} DESC) = 1)
            SELECT {fields}, 0::BIGINT AS {_ARRIVAL} FROM old
            WHERE NOT EXISTS (FROM put WHERE put.{key} = old.{key} AND put.{_ARRIVAL} > old.{AFTER})
            UNION ALL
            SELECT {fields}, {_ARRIVAL} FROM put
            WHERE NOT EXISTS (FROM old WHERE old.{key} = put.{key} AND put.{_ARRIVAL} <= old.{AFTER})
            ORDER BY {key}
        """

    def decoded(self, query: str, *more: str) -> str:
        """The query's rows with ids instead of codes, in their order, with the columns `more` behind the fields."""
        ids = self.schema.id_columns
        cells = [
            f"d{ids.index(name)}.id AS {quoted(name)}" if name in ids else f"r.{quoted(name)}" for name in self.fields
        ]
        dictionaries = " ".join(
            f"JOIN dictionary_{name.lower()} d{n} ON d{n}.code = r.{quoted(name)}" for n, name in enumerate(ids)
        )
        return f"SELECT {', '.join([*cells, *(f'r.{name}' for name in more)])} FROM ({query}) r {dictionaries}"


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))


# Logs in memory -----------------------------------------------------------------------------------------------------


def _log(snapshot: Snapshot, new: pa.Table, names: Sequence[str]) -> pa.Table:
    """`names` of the snapshot's rows and behind them of `new`, without ever spelling out the ids of the former."""
    import pyarrow as pa

    have = [name for name in names if name in snapshot.schema.names]
    old = snapshot.table(have or None)
    columns: dict[str, pa.ChunkedArray] = {}
    for name in names:
        if name in snapshot.schema.id_columns:
            columns[name] = _ids(snapshot.ids(name), old[name], new[name])
        else:
            kind = new.schema.field(name).type
            before = old[name].cast(kind).chunks if name in have else [_filler(name, len(old), kind)]
            columns[name] = pa.chunked_array([*before, *new[name].chunks], kind)
    return pa.table(columns)


def _filler(name: str, rows: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(0, kind), rows) if name == ARRIVAL else pa.nulls(rows, kind)


def _ids(known: pa.Array, old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.ChunkedArray:
    """Codes of `old` and ids of `new` as one column: the new ids stand behind the known ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unseen = pc.unique(new.filter(pc.invert(pc.is_in(new, value_set=known))))
    ids = pa.concat_arrays([known, unseen])
    codes = pc.index_in(new, value_set=ids)
    chunks = [pa.DictionaryArray.from_arrays(chunk, ids) for chunk in (*old.chunks, *codes.chunks)]
    return pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
