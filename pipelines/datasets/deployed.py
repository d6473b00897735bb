"""Drift against what is deployed: which versions campaigns serve, what those were trained on, and what comes of it.

Measured (deployed_measuring.py) with every import of interactions, for its report, and with every update; kept at the
solution, in `internal["drift"]`, until the next measurement or another version is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from pipelines.registry import store
from pipelines.registry.store import Resource

if TYPE_CHECKING:
    from data_checks.judge import Verdict

DRIFT = "drift"
"""Member of a solution's `internal`, and of an import job's by solution id: what `Found.document` gives."""
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
        saw = "; ".join(one["saw"] for one in self.broken if one["severity"] == CRITICAL)
        return f"Train a new version: the world has moved on since this one was trained ({saw})."

    @property
    def broken(self) -> list[dict[str, str]]:
        """{severity, saw} of each number that is out of bounds, once."""
        told: dict[str, dict[str, str]] = {}
        for one in [*self.verdict.failures, *self.verdict.warnings]:
            saw = f"{one.rule.name.partition(':')[0]}: {one.saw}"
            told.setdefault(one.rule.number, {"severity": one.rule.severity, "saw": saw})
        return list(told.values())

    def document(self, deployed: Deployed, at: datetime, of: str) -> dict[str, Any]:
        """{at, of, version_id, level, numbers, broken, hint} for the registry; no ids of anybody."""
        numbers = {name.partition(":")[2]: value for name, value in self.row.items()}
        return {
            "at": at.isoformat(),
            "of": of,
            "version_id": deployed.version.id,
            "level": self.level,
            "numbers": numbers,
            "broken": self.broken,
            "hint": self.hint,
        }


def drift_of(solution: Resource, version_id: str) -> Mapping[str, Any] | None:
    """The newest drift against this version, None when none was measured: members as in `Found.document`."""
    found: Mapping[str, Any] | None = solution.internal.get(DRIFT)
    return found if found is not None and found["version_id"] == version_id else None


# What is deployed -----------------------------------------------------------------------------------


def deployed_in(conn: Connection, group_id: str) -> list[Deployed]:
    """Of each solution of the group the newest version that is deployed."""
    found = (newest_deployed(conn, solution) for solution in store.in_group(conn, group_id, "Solution"))
    return [one for one in found if one is not None]


def newest_deployed(conn: Connection, solution: Resource) -> Deployed | None:
    """None when no campaign has a version of it."""
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


# What is kept ----------------------------------------------------------------------------------------


def documents(found: Sequence[Found], job: Resource) -> dict[str, dict[str, Any]]:
    """By solution id what is to be kept of an import's drift, once the import is taken in."""
    of = f"import {job.name}"
    return {
        deployed.solution.id: one.document(deployed, job.created_at, of) for one in found for deployed in one.deployed
    }


def keep(conn: Connection, documents: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what was found to the solutions, by id, that are still there."""
    for id in sorted(documents):
        if store.get(conn, id=id, lock=True) is not None:
            store.update(conn, id, internal={DRIFT: documents[id]}, touch=False)
