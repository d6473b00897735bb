"""Small imports for tests: schemas, CSV text, and the importer's path without registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.datasets import building, rejects
from pipelines.datasets.profile import Profile
from pipelines.datasets.schema import DatasetType, read_schema
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.source import SourceFile

NULLABLE_STRING = ["null", "string"]


def avro(name: str, **fields: Any) -> dict[str, Any]:
    """An Avro schema; a field is a type, or a dict with its type and marks."""
    return {
        "type": "record",
        "name": name,
        "namespace": "com.amazonaws.personalize.schema",
        "fields": [{"name": n, **(f if isinstance(f, dict) else {"type": f})} for n, f in fields.items()],
        "version": "1.0",
    }


INTERACTIONS = avro(
    "Interactions",
    USER_ID="string",
    ITEM_ID="string",
    TIMESTAMP="long",
    EVENT_TYPE="string",
    EVENT_VALUE=["null", "float"],
)
ITEMS = avro(
    "Items",
    ITEM_ID="string",
    GENRES={"type": NULLABLE_STRING, "categorical": True},
    PRICE=["null", "float"],
    DESCRIPTION={"type": NULLABLE_STRING, "textual": True},
    CREATION_TIMESTAMP=["null", "long"],
)
USERS = avro(
    "Users", USER_ID="string", GENDER={"type": NULLABLE_STRING, "categorical": True}, ADULT=["null", "boolean"]
)
ACTIONS = avro(
    "Actions",
    ACTION_ID="string",
    KIND={"type": NULLABLE_STRING, "categorical": True},
    VALUE=["null", "long"],
    ACTION_EXPIRATION_TIMESTAMP=["null", "long"],
)
ACTION_INTERACTIONS = avro(
    "ActionInteractions", USER_ID="string", ACTION_ID="string", TIMESTAMP="long", EVENT_TYPE="string"
)
SCHEMAS: dict[str, dict[str, Any]] = {
    "INTERACTIONS": INTERACTIONS,
    "ITEMS": ITEMS,
    "USERS": USERS,
    "ACTIONS": ACTIONS,
    "ACTION_INTERACTIONS": ACTION_INTERACTIONS,
}
HEADER = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE"


def interactions(count: int = 1200, start: int = 0) -> list[str]:
    """CSV lines of `count` different good interactions of 60 users and 80 items, without header."""
    return [
        f"u{n % 60},i{n * 7 % 80},{1_600_000_000 + 60 * n},{('watch', 'click')[n % 2]},{n % 5}"
        for n in range(start, start + count)
    ]


def text(lines: list[str], header: str = HEADER) -> bytes:
    """A CSV file's bytes."""
    return ("\n".join([header, *lines]) + "\n").encode()


@dataclass
class Imported:
    """What an import without registry left."""

    profile: Profile
    snapshot: Snapshot
    rejects: list[rejects.Sample]

    @property
    def row(self) -> Mapping[str, Any]:
        return self.profile.row

    def rows(self) -> list[dict[str, Any]]:
        """The snapshot's rows with ids instead of codes."""
        return decoded(self.snapshot)


def decoded(snapshot: Snapshot) -> list[dict[str, Any]]:
    """A snapshot's rows with ids instead of codes."""
    names = {c: snapshot.ids(c).to_pylist() for c in snapshot.schema.id_columns}
    return [{k: names[k][v] if k in names else v for k, v in row.items()} for row in snapshot.table().to_pylist()]


def contents(snapshot: Snapshot) -> dict[str, bytes]:
    """The bytes of a snapshot's files."""
    files = [path for path in snapshot.directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(snapshot.directory)): path.read_bytes() for path in files}


def run(
    folder: Path,
    kind: DatasetType,
    *contents: bytes,
    name: str = "job",
    previous: Snapshot | None = None,
    incremental: bool = False,
    schema: Mapping[str, Any] | None = None,
    **around: Any,
) -> Imported:
    """Import files with these bytes, called 0.csv, 1.csv, …; `around`: after, as_of, known and before of building.build.

    Raises ImportRefused.
    """
    place = building.Place(folder / name / "work", folder / name / "snapshot", folder / name / "rejects.parquet")
    place.work.mkdir(parents=True)
    files = []
    for number, content in enumerate(contents):
        path = folder / name / f"{number}.csv"
        path.write_bytes(content)
        files.append(SourceFile(path.name, path, len(content)))
    profile = building.build(
        files,
        read_schema(schema or SCHEMAS[kind], kind),
        place,
        name=name,
        title=name,
        previous=previous,
        incremental=incremental,
        **around,
    )
    return Imported(profile, Snapshot.open(place.snapshot), rejects.samples(place.rejects))
