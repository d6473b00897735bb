"""Two versions side by side: metrics, parameters, code, and the data that they were trained from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from pipelines.datasets.schema import DatasetType
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.repository.cached import link_cached
from pipelines.settings import Settings
from pipelines.versions.history import Past, flat, past
from pipelines.versions.inputs import DATASET_TYPES, INPUTS

if TYPE_CHECKING:
    from pipelines.datasets.snapshot import Snapshot

APART = ("code", "update")
"""Of params.yaml: no parameters of a training."""
STREAMED = ("data/inputs/streamed", "data/inputs/before/streamed")
"""An UPDATE has what came since the version that it starts from, and what that had."""


@dataclass(frozen=True)
class Pair:
    """A value of each version; None: it has none."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Data:
    """One dataset in both versions."""

    dataset_type: str
    is_same: bool
    """The very same snapshot."""
    rows: tuple[int, int]
    """Where the snapshots differ, what repeats in several imports counts once."""
    streamed: tuple[int, int]
    """Rows that came one by one: events, or the newest records of an id."""
    numbers: list[Pair]
    """users, items, first and last TIMESTAMP (epoch seconds) of the snapshots, where they differ."""
    drift: Mapping[str, float]
    examples: Mapping[str, list[str]]


@dataclass(frozen=True)
class Comparison:
    """What differs; `data` is empty when a data deletion job has taken the inputs of one."""

    a: Past
    b: Past
    metrics: list[Pair]
    parameters: list[Pair]
    code: list[Pair]
    data: list[Data]
    notes: list[str]


def compare(settings: Settings, conn: Connection, a: Resource, b: Resource, work: Path) -> Comparison:
    """Snapshots come from the cache, else from the remote; `work` is an empty folder. Raises RepositoryError."""
    repositories = {group_id: GroupRepository(settings, str(group_id)) for group_id in (a.group_id, b.group_id)}
    first, second = past(repositories[a.group_id], conn, a), past(repositories[b.group_id], conn, b)
    notes = []
    try:
        sides = (_Side.of(repositories[a.group_id], first), _Side.of(repositories[b.group_id], second))
        data = [_data(sides, kind, work / kind) for kind in DATASET_TYPES]
    except RepositoryError as error:
        data = []
        notes.append(f"The data cannot be compared: {error}")
    if any(not (one.is_same and one.streamed[0] == one.streamed[1]) for one in data):
        notes.append(
            "The data differ, so the metrics are of different questions: compare how far each beats popularity."
        )
    return Comparison(
        first,
        second,
        _pairs(_metrics(a), _metrics(b), differing=False),
        _pairs(_parameters(first), _parameters(second)),
        _pairs(first.code, second.code),
        [one for one in data if one.rows != (0, 0) or one.streamed != (0, 0)],
        notes,
    )


def _pairs(a: Mapping[str, Any], b: Mapping[str, Any], *, differing: bool = True) -> list[Pair]:
    names = dict.fromkeys([*a, *b])
    return [Pair(name, a.get(name), b.get(name)) for name in names if not differing or a.get(name) != b.get(name)]


def _metrics(version: Resource) -> dict[str, float]:
    """AWS's, and of the simple rules the one that makes metrics of other data comparable."""
    baselines = (version.internal.get("report") or {}).get("baselines", {})
    key = "normalized_discounted_cumulative_gain_at_25"
    popularity = baselines.get("popularity", {})
    return {
        **version.internal.get("metrics", {}),
        **({f"popularity's {key}": popularity[key]} if key in popularity else {}),
    }


def _parameters(version: Past) -> dict[str, Any]:
    return flat({name: value for name, value in version.params.items() if name not in APART})


def _data(sides: tuple[_Side, _Side], kind: DatasetType, work: Path) -> Data:
    from pipelines.datasets import comparing

    streamed = tuple(side.streamed_rows(kind, work / f"streamed-{n}") for n, side in enumerate(sides))
    is_same = sides[0].pointer(kind) == sides[1].pointer(kind)
    first = sides[0].snapshot(kind, work / "a")
    second = first if is_same else sides[1].snapshot(kind, work / "b")
    rows, numbers, moved = (first.rows, second.rows), [], None
    if not is_same and all(rows):
        moved = comparing.compare(first, second, (sides[0].name, sides[1].name), work / "spill")
        rows = (int(moved.before["rows"] or 0), int(moved.after["rows"] or 0))
        shown = ("users", "items", "first_timestamp", "last_timestamp")
        numbers = [Pair(name, moved.before[name], moved.after[name]) for name in shown if name in moved.after]
    return Data(
        kind,
        is_same,
        rows,
        (streamed[0], streamed[1]),
        numbers,
        moved.drift if moved else {},
        moved.examples if moved else {},
    )


@dataclass(frozen=True)
class _Side:
    """A version's inputs at its tag."""

    repository: GroupRepository
    tag: str
    name: str

    @classmethod
    def of(cls, repository: GroupRepository, version: Past) -> _Side:
        if version.tag is None:
            raise RepositoryError(version.dropped or f"{version.arn} is {version.status}, nothing of it is committed")
        return cls(repository, version.tag, version.short)

    def pointer(self, kind: DatasetType) -> Mapping[str, Any]:
        return self.repository.pointer(self.tag, str(INPUTS / kind.lower()))

    def snapshot(self, kind: DatasetType, directory: Path) -> Snapshot:
        from pipelines.datasets.snapshot import Snapshot

        return Snapshot.open(self._fetched(str(INPUTS / kind.lower()), directory))

    def streamed_rows(self, kind: DatasetType, directory: Path) -> int:
        import pyarrow.parquet as pq

        there = set(self.repository.added(self.tag))
        files = [
            self._fetched(path, directory / str(n)) / f"{kind.lower()}.parquet"
            for n, path in enumerate(STREAMED)
            if path in there
        ]
        return sum(int(pq.read_metadata(file).num_rows) for file in files)

    def _fetched(self, path: str, directory: Path) -> Path:
        if not link_cached(self.repository, self.tag, path, directory):
            self.repository.materialise(self.tag, path, directory)
        return directory
