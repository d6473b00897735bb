"""Holding new interactions against the trainings of deployed versions: where the rows come from, who judges the numbers.

It never fails what it is measured with: a training whose data is not there any more is left out.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.datasets import streamed
from pipelines.datasets.deployed import Deployed, Found, deployed_in, keep, newest_deployed
from pipelines.datasets.deployed_drift import ENOUGH, Origin, Side, compare
from pipelines.datasets.profile_queries import DAY
from pipelines.datasets.reading import open_database
from pipelines.datasets.schema import read_schema
from pipelines.datasets.snapshot import Snapshot, SnapshotError
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository, RepositoryError
from pipelines.repository.cached import link_cached
from pipelines.settings import Settings

log = logging.getLogger(__name__)

STREAMED = "data/inputs/streamed"


def of_import(
    settings: Settings, dataset: Resource, overrides: Mapping[str, Any], snapshot: Path, now: datetime
) -> list[Found]:
    """The rows that an import has brought in, which are the last part of `snapshot`, against every training deployed.

    Empty unless they are interactions.
    """
    if dataset.doc["datasetType"] != "INTERACTIONS":
        return []
    assert dataset.group_id is not None
    with transaction(settings) as conn:
        deployed = deployed_in(conn, dataset.group_id)
    new = Snapshot.open(snapshot)

    def rows(_: Deployed, __: Path) -> list[Origin]:
        return [Origin.of(new, [new.manifest.parts[-1].path])]

    by_inputs: dict[tuple[str, int], list[Deployed]] = {}
    for one in deployed:
        by_inputs.setdefault(one.inputs, []).append(one)
    found = (_measure(settings, same, rows, overrides, now, snapshot.parent) for same in by_inputs.values())
    return [one for one in found if one is not None]


def measure(settings: Settings, version_id: str, now: datetime) -> str | None:
    """Hold what came since the training of what is deployed of a version's solution against it, and keep the result.

    NONE, WARNING or CRITICAL, which the log says too; None when there is nothing to compare.
    """
    with transaction(settings) as conn:
        version = store.get(conn, id=version_id)
        solution = store.get(conn, id=version.parent_id) if version is not None else None
        deployed = newest_deployed(conn, solution) if solution is not None else None
        if solution is None or deployed is None:
            return None
        group = store.get(conn, id=solution.group_id)
        datasets = store.in_group(conn, str(solution.group_id), "Dataset")
    assert group is not None
    dataset = next((one for one in datasets if one.doc["datasetType"] == "INTERACTIONS" and not one.is_deleting), None)
    if dataset is None:
        return None

    def rows(of: Deployed, work: Path) -> list[Origin]:
        return [*_imported_since(settings, of, dataset, work), _streamed_since(settings, of, dataset, work)]

    settings.run_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="op-drift-", dir=settings.run_dir) as work:
        found = _measure(settings, [deployed], rows, group.internal.get("checks", {}), now, Path(work))
    if found is None:
        return None
    with transaction(settings) as conn:
        keep(conn, {solution.id: found.document(deployed, now, "what came since the training")})
    for one in found.broken:
        log.warning("%s: %s %s", solution.name, one["severity"], one["saw"])
    log.info("%s: drift of %s: %s %s", solution.name, deployed.version.arn, found.level, dict(found.row))
    if found.hint:
        log.warning("%s: %s", solution.name, found.hint)
    return found.level


def _measure(
    settings: Settings,
    deployed: Sequence[Deployed],
    rows: Callable[[Deployed, Path], list[Origin]],
    overrides: Mapping[str, Any],
    now: datetime,
    folder: Path,
) -> Found | None:
    """None, and a line in the log, when the data of the training is not there any more."""
    from data_checks.drift import rules
    from data_checks.judge import judge
    from data_checks.rules import overridden

    one = deployed[0]
    try:
        with _work(folder) as work, closing(open_database(work / "spill")) as connection:
            trained = Side(connection, _trained_on(settings, one, work), one.trained.created_at.timestamp() + DAY)
            new = _new(Side(connection, tuple(rows(one, work)), now.timestamp() + DAY), trained)
            numbers = compare(trained, new)
    except (RepositoryError, SnapshotError) as error:
        log.warning("no drift against %s: its data cannot be had: %s", one.version.arn, error)
        return None
    verdict = judge(numbers.row, overridden(rules(), overrides))
    return Found(deployed, numbers.row, numbers.examples, verdict)


def _new(side: Side, trained: Side) -> Side:
    """Of bulk data only rows of after the training, which a full import repeats; all of it when there are hardly any."""
    newest = float(trained.span()[2])
    later = Side(
        side.connection,
        tuple(
            one if one.snapshot is None else Origin(one.files, one.columns, one.snapshot, newest)
            for one in side.origins
        ),
        side.until,
    )
    return later if later.span()[0] >= ENOUGH else side


@contextmanager
def _work(folder: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix="drift-", dir=folder))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _trained_on(settings: Settings, deployed: Deployed, work: Path) -> tuple[Origin, ...]:
    trained, found = deployed.trained, []
    repository = GroupRepository(settings, str(trained.group_id))
    taken = trained.internal["snapshots"].get("INTERACTIONS")
    if taken is not None:
        found.append(Origin.of(Snapshot.open(_fetched(repository, taken["tag"], "snapshot", work / "trained"))))
    if trained.internal["event_cutoff"]:
        folder = _fetched(repository, trained.internal["tag"], STREAMED, work / "streamed")
        found.append(_with_ids(folder / "interactions.parquet"))
    return tuple(found)


def _imported_since(settings: Settings, deployed: Deployed, dataset: Resource, work: Path) -> list[Origin]:
    now, then = dataset.internal.get("snapshot"), deployed.trained.internal["snapshots"].get("INTERACTIONS", {})
    if now is None or now["tag"] == then.get("tag"):
        return []
    repository = GroupRepository(settings, str(dataset.group_id))
    return [Origin.of(Snapshot.open(_fetched(repository, now["tag"], "snapshot", work / "now")))]


def _streamed_since(settings: Settings, deployed: Deployed, dataset: Resource, work: Path) -> Origin:
    with transaction(settings) as conn:
        schema = store.get(conn, id=dataset.schema_id)
        assert schema is not None, "a dataset's schema can't be deleted before it"
        fields = read_schema(schema.doc["schema"], "INTERACTIONS")
    with transaction(settings) as conn:
        cutoff = streamed.newest(conn, dataset)
    path, after = work / "since.parquet", int(deployed.trained.internal["event_cutoff"])
    with transaction(settings) as conn:
        streamed.freeze(conn, dataset, fields, cutoff, path, after)
    return _with_ids(path)


def _with_ids(path: Path) -> Origin:
    import pyarrow.parquet as pq

    return Origin((path,), tuple(pq.read_schema(path).names))


def _fetched(repository: GroupRepository, tag: str, path: str, target: Path) -> Path:
    """Links into the cache, which cost nothing, else what `materialise` fetches."""
    if not link_cached(repository, tag, path, target):
        shutil.rmtree(target, ignore_errors=True)
        repository.materialise(tag, path, target)
    return target
