"""A dataset's bulk data at one moment: immutable Parquet parts, append-only id dictionaries, one manifest.

    manifest.json                     what belongs to it, with rows and SHA-256; byte-stable
    parts/<import>.parquet            rows of one import; ids as int32 codes
    dictionary/<column>-<import>.parquet   ids that came new with that import; a code is a position over all segments

An import carries all earlier segments, so what it adds is all it writes: a full one replaces the parts, an incremental
one adds a part. Rewriting (pipelines.datasets.rewriting) gives other codes: read codes only with the dictionaries of
their own snapshot. Of items, users and actions the newest part wins per id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.datasets.schema import ID_COLUMNS, TIMESTAMP, DatasetType, Schema, read_schema, smallest_schema
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
MANIFEST = "manifest.json"
IMPORTED = "imported"
"""Member of a dataset's `internal`: id of the import job that last brought rows. Snapshots change without one too."""


class SnapshotError(ValueError):
    """A directory is not a whole snapshot; the message says what is missing or changed."""


@dataclass(frozen=True)
class Part:
    """One file of a snapshot, by its path in it."""

    path: str
    rows: int
    sha256: str
    after: int = 0
    """Of items, users and actions: the newest streamed record (registry table `records`) when the import was asked for.
    Those up to it are older than this part, later ones newer."""


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds."""

    dataset_type: DatasetType
    avro: Mapping[str, Any]
    rows: int
    parts: tuple[Part, ...]
    dictionaries: Mapping[str, tuple[Part, ...]]

    def to_json(self) -> str:
        """Byte-stable: sorted keys, nothing of the moment or the place it was written in."""
        document = {
            "format": FORMAT,
            "dataset_type": self.dataset_type,
            "schema": self.avro,
            "rows": self.rows,
            "parts": [
                {"path": part.path, "rows": part.rows, "sha256": part.sha256, "after": part.after}
                for part in self.parts
            ],
            "dictionaries": {
                column: [{"path": part.path, "size": part.rows, "sha256": part.sha256} for part in segments]
                for column, segments in self.dictionaries.items()
            },
        }
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote; raises SnapshotError."""
        document = json.loads(text)
        if document.get("format") != FORMAT:
            raise SnapshotError(
                f"snapshot format {document.get('format')!r} is not {FORMAT}, the one this version reads"
            )
        return cls(
            dataset_type=document["dataset_type"],
            avro=document["schema"],
            rows=document["rows"],
            parts=tuple(Part(p["path"], p["rows"], p["sha256"], p["after"]) for p in document["parts"]),
            dictionaries={
                column: tuple(Part(part["path"], part["size"], part["sha256"]) for part in segments)
                for column, segments in document["dictionaries"].items()
            },
        )


@dataclass(frozen=True)
class Snapshot:
    """A snapshot on this disk."""

    directory: Path
    manifest: Manifest

    @classmethod
    def open(cls, directory: Path) -> Snapshot:
        """Raises SnapshotError unless the manifest and all it names are there."""
        path = directory / MANIFEST
        if not path.is_file():
            raise SnapshotError(f"{directory} holds no snapshot: {MANIFEST} is missing")
        snapshot = cls(directory, Manifest.from_json(path.read_text(encoding="utf-8")))
        for part in snapshot.files():
            if not (directory / part.path).is_file():
                raise SnapshotError(f"snapshot {directory} is not whole: {part.path} is missing")
        return snapshot

    @property
    def rows(self) -> int:
        """Rows that `table` gives; but an event that two parts hold counts twice here, since to find it costs reading all."""
        return self.manifest.rows

    @property
    def schema(self) -> Schema:
        return read_schema(self.manifest.avro, self.manifest.dataset_type)

    def facts(self, tag: str) -> dict[str, Any]:
        """What the registry keeps of it under `tag`: a dataset's internal["snapshot"]."""
        size = sum((self.directory / part.path).stat().st_size for part in self.files())
        return {"tag": tag, "rows": self.rows, "parts": len(self.manifest.parts), "bytes": size}

    def files(self) -> list[Part]:
        """All parts and dictionary segments."""
        return [*self.manifest.parts, *(part for parts in self.manifest.dictionaries.values() for part in parts)]

    def verify(self) -> None:
        """Raises SnapshotError when a file's bytes are not those of the manifest."""
        for part in self.files():
            if sha256(self.directory / part.path) != part.sha256:
                raise SnapshotError(f"snapshot {self.directory}: {part.path} was changed after it was written")

    def ids(self, column: str) -> pa.Array:
        """(n,) strings: the id that each code of USER_ID or ITEM_ID stands for, by position."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        segments = self.manifest.dictionaries.get(column, ())
        chunks = [pq.read_table(self.directory / part.path, columns=["id"]).column("id") for part in segments]
        arrays = [chunk.cast(pa.string()) for column_chunks in chunks for chunk in column_chunks.chunks]
        return pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())

    def dictionary(self, column: str) -> str:
        """SQL of the same: rows (id VARCHAR, code INTEGER)."""
        queries, size = ["SELECT NULL::VARCHAR AS id, NULL::INTEGER AS code WHERE false"], 0
        for part in self.manifest.dictionaries.get(column, ()):
            path = text(str(self.directory / part.path))
            queries.append(
                f"SELECT id, (file_row_number + {size})::INTEGER FROM read_parquet({path}, file_row_number = true)"
            )
            size += part.rows
        return " UNION ALL ".join(queries)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows, in the columns' order of the schema unless `columns` are named; ids are int32 codes.

        Interactions come in their total order (user, time, the rest), each distinct row once; items and users in
        the order of their codes, the newest row of each. A field that an old part lacks is null in its rows.
        """
        import pyarrow.parquet as pq

        names = list(columns) if columns is not None else list(self.schema.names)
        paths = [self.directory / part.path for part in self.manifest.parts]
        if not paths:
            return self._empty().select(names)
        if len(paths) == 1:
            return pq.read_table(paths[0], columns=names)
        return self._merged([str(path) for path in paths]).select(names)

    def _merged(self, paths: list[str]) -> pa.Table:
        import duckdb

        schema = self.schema
        names = ", ".join(quoted(name) for name in schema.names)
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET threads = 2")
            if schema.is_event_log:
                query = f"SELECT DISTINCT {names} FROM read_parquet($paths, union_by_name = true) ORDER BY {total_order(schema)}"
                return connection.sql(query, params={"paths": paths}).to_arrow_table()
            key = quoted(schema.id_columns[0])
            numbered = " UNION ALL BY NAME ".join(
                f'SELECT {n} AS "part number", * FROM read_parquet(${n + 1})' for n in range(len(paths))
            )
            query = (
                f"SELECT {names} FROM ({numbered}) "
                f'QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY "part number" DESC) = 1 '
                f"ORDER BY {key}"
            )
            return connection.sql(query, params=paths).to_arrow_table()

    def _empty(self) -> pa.Table:
        import pyarrow as pa

        arrow = {
            "string": pa.string(),
            "float": pa.float32(),
            "double": pa.float64(),
            "int": pa.int32(),
            "long": pa.int64(),
            "boolean": pa.bool_(),
        }
        schema = self.schema
        types = {f.name: pa.int32() if f.name in schema.id_columns else arrow[f.avro] for f in schema.fields}
        return pa.table({name: pa.array([], kind) for name, kind in types.items()})


def total_order(schema: Schema) -> str:
    """SQL: by user, time and then every other column, so that one set of rows has one order."""
    first = [*schema.id_columns[:1], *([TIMESTAMP] if TIMESTAMP in schema.names else [])]
    rest = [name for name in schema.names if name not in first]
    return ", ".join(f"{quoted(name)} ASC NULLS FIRST" for name in [*first, *rest])


def write_empty(directory: Path, dataset_type: DatasetType) -> None:
    """The snapshot of a dataset that was never imported into: no rows, the required fields."""
    empty = dict.fromkeys(ID_COLUMNS[dataset_type], ())
    write_manifest(directory, Manifest(dataset_type, smallest_schema(dataset_type).avro, 0, (), empty))


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Last of all files of a snapshot, so that a directory with a manifest is a whole one."""
    directory.mkdir(parents=True, exist_ok=True)
    partial = directory / f"{MANIFEST}.part"
    partial.write_text(manifest.to_json(), encoding="utf-8")
    partial.replace(directory / MANIFEST)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
