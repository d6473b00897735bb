"""The frozen inputs of a version as tables: of each dataset the rows that count (pipelines.datasets.joining)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.datasets.schema import ARRIVAL, DatasetType, Schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Inputs:
    """The rows of the three datasets that count, ids dictionary-encoded in Interactions, plain in the others."""

    interactions: pa.Table
    items: pa.Table
    users: pa.Table
    schemas: Mapping[DatasetType, Schema]
    shown: pa.Table
    """ITEM_ID and SHOWN: impressions that events refer to rather than bring (datasets/impressions.py)."""

    def only(self, columns: Mapping[str, Collection[str]]) -> Inputs:
        """By dataset type the columns that are kept, all of a type that is missing there: the rest never was."""

        def rows(table: pa.Table, kind: DatasetType) -> pa.Table:
            kept = {*columns.get(kind, table.column_names), ARRIVAL}
            return table.select([name for name in table.column_names if name in kept])

        schemas = {
            kind: replace(schema, fields=tuple(f for f in schema.fields if f.name in columns.get(kind, schema.names)))
            for kind, schema in self.schemas.items()
        }
        tables = {
            "interactions": rows(self.interactions, "INTERACTIONS"),
            "items": rows(self.items, "ITEMS"),
            "users": rows(self.users, "USERS"),
        }
        return replace(self, **tables, schemas=schemas)


def read_inputs(inputs: Path) -> Inputs:
    """The rows that count of the three datasets, from `data/inputs`.

    An update has frozen only the events that came since its model's own, which lie under `before`; records it has all.
    """
    import pyarrow as pa

    from pipelines.datasets import impressions

    interactions, of_interactions = _joined(inputs, "INTERACTIONS", ("RECOMMENDATION_ID", "EVENT_ATTRIBUTION_SOURCE"))
    items, of_items = _joined(inputs, "ITEMS")
    users, of_users = _joined(inputs, "USERS")
    schemas: dict[DatasetType, Schema] = {"INTERACTIONS": of_interactions, "ITEMS": of_items, "USERS": of_users}
    shown = pa.concat_tables([impressions.read(path / "shown.parquet") for path in _event_folders(inputs)])
    return Inputs(interactions, items, users, schemas, shown)


def _event_folders(inputs: Path) -> list[Path]:
    """In the order in which the events in them came."""
    return [path for path in (inputs / "before" / "streamed", inputs / "streamed") if path.is_dir()]


def _joined(inputs: Path, kind: DatasetType, unused: Sequence[str] = ()) -> tuple[pa.Table, Schema]:
    """A dataset's rows in the columns of today's schema, which its streamed rows carry, less `unused`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipelines.datasets.joining import joined
    from pipelines.datasets.snapshot import Snapshot
    from pipelines.datasets.streamed import schema_of

    name = f"{kind.lower()}.parquet"
    schema = schema_of(inputs / "streamed" / name, kind)
    folders = _event_folders(inputs) if schema.is_event_log else [inputs / "streamed"]
    streamed = pa.concat_tables([pq.read_table(folder / name) for folder in folders])
    wanted = [name for name in streamed.column_names if name not in unused]
    return joined(Snapshot.open(inputs / kind.lower()), streamed, wanted), schema
