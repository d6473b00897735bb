"""Drift against what is deployed: which versions campaigns serve, what those were trained on, and what comes of it.

Measured with every import of interactions (for its report) and with every update; kept at the solution, in
`internal["drift"]`, until the next measurement or another version is deployed. It never fails what it is measured with.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from pipelines.datasets import streamed
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

if TYPE_CHECKING:
    from data_checks.judge import Verdict

log = logging.getLogger(__name__)

DRIFT = "drift"
"""Member of a solution's `internal`, and of an import job's by solution id: what `Found.document` gives."""
STREAMED = "data/inputs/streamed"
NONE, WARNING, CRITICAL = "none", "warning", "critical"


@dataclass(frozen=True)
class Deployed:
    """A solution's newest version that a campaign serves or is to serve."""

    solution: Resource
    version: Resource
    trained: Resource
    """Whose inputs its weights come from: itself, or what a version of trainingMode UPDATE started from."""

    @property
    def inputs(self) -> tuple[str, int]:
        """The same for versions that were trained on the same interactions."""
        taken = self.trained.internal["snapshots"].get("INTERACTIONS", {})
        return str(taken.get("tag")), int(self.trained.internal["event_cutoff"])


@dataclass(frozen=True)
class Found:
    """What came of holding new rows against one training."""

    deployed: Sequence[Deployed]
    """All that were trained on the same."""
    row: Mapping[str, float | int | None]
    examples: Mapping[str, list[str]]
    verdict: Verdict

    @property
    def level(self) -> str:
        """NONE, WARNING or CRITICAL."""
        return CRITICAL if self.verdict.failures else WARNING if self.verdict.warnings else NONE

    @property
    def hint(self) -> str | None:
        """What is to be done, when it is critical."""
        if not self.verdict.failures:
            return None
        saw = "; ".join(str(outcome).replace(": retrain:", ":") for outcome in self.verdict.failures)
        return f"Train a new version: the world has moved on since this one was trained ({saw})."

    def document(self, deployed: Deployed, at: datetime, of: str) -> dict[str, Any]:
        """{at, of, version_id, level, numbers, broken, hint} for the registry; no ids of anybody."""
        numbers = {name.partition(":")[2]: value for name, value in self.row.items()}
        broken = [*self.verdict.failures, *self.verdict.warnings]
        return {
            "at": at.isoformat(),
            "of": of,
            "version_id": deployed.version.id,
            "level": self.level,
            "numbers": numbers,
            "broken": [{"severity": one.rule.severity, "saw": str(one)} for one in broken],
            "hint": self.hint,
        }


def drift_of(solution: Resource, version_id: str) -> Mapping[str, Any] | None:
    """The newest drift against this version, None when none was measured: members as in `Found.document`."""
    found: Mapping[str, Any] | None = solution.internal.get(DRIFT)
    return found if found is not None and found["version_id"] == version_id else None


# What is deployed -----------------------------------------------------------------------------------


def deployed_in(conn: Connection, group_id: str) -> list[Deployed]:
    """Of each solution of the group the newest version that is deployed."""
    found = (_deployed(conn, solution) for solution in store.in_group(conn, group_id, "Solution"))
    return [one for one in found if one is not None]


def _deployed(conn: Connection, solution: Resource) -> Deployed | None:
    campaigns = [one for one in store.children(conn, solution.id, "Campaign") if not one.is_deleting]
    served = {one.internal["deployment"]["solution_version_id"] for one in campaigns if "deployment" in one.internal}
    versions = [one for one in store.children(conn, solution.id, "SolutionVersion") if one.id in served]
    if not versions or solution.is_deleting:
        return None
    trained = version = versions[-1]
    # Member `base`, see pipelines.versions.lookup.BASE.
    if base := version.internal.get("base"):
        trained = store.get(conn, id=base) or version
    return Deployed(solution, version, trained) if "snapshots" in trained.internal else None


# Measuring ------------------------------------------------------------------------------------------


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


def documents(found: Sequence[Found], job: Resource) -> dict[str, dict[str, Any]]:
    """By solution id what is to be kept of an import's drift, once the import is taken in."""
    of = f"import {job.name}"
    return {
        deployed.solution.id: one.document(deployed, job.created_at, of) for one in found for deployed in one.deployed
    }


def measure(settings: Settings, solution_id: str, now: datetime) -> str | None:
    """Hold what came since the training of what is deployed of a solution against that training, and keep the result.

    NONE, WARNING or CRITICAL, which the log says too; None when there is nothing to compare.
    """
    with transaction(settings) as conn:
        solution = store.get(conn, id=solution_id)
        deployed = _deployed(conn, solution) if solution is not None else None
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
        keep(conn, {solution_id: found.document(deployed, now, "what came since the training")})
    for outcome in [*found.verdict.failures, *found.verdict.warnings]:
        log.warning("%s: %s %s", solution.name, outcome.rule.severity, outcome)
    log.info("%s: drift of %s: %s %s", solution.name, deployed.version.arn, found.level, dict(found.row))
    if found.hint:
        log.warning("%s: %s", solution.name, found.hint)
    return found.level


def keep(conn: Connection, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was found to the solutions, by id, that are still there."""
    for id in sorted(documents):
        if store.get(conn, id=id, lock=True) is not None:
            store.update(conn, id, internal={DRIFT: documents[id]}, touch=False)


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
