"""The control plane's rules in plain Python, written from the specification (resources.md sections 2 to 6).

Of a request that breaks several rules the API may name any, so `refusals` gives all the codes that fit; none means that
it must be done. Nothing here reads the platform's code or its database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

NOT_FOUND, IN_USE, EXISTS = "ResourceNotFoundException", "ResourceInUseException", "ResourceAlreadyExistsException"
INVALID, LIMIT = "InvalidInputException", "LimitExceededException"
ACTIVE, FAILED = "ACTIVE", "CREATE FAILED"
IN_TRANSITION = ("PENDING", "IN_PROGRESS", "STOPPING")
DELETING = ("DELETE PENDING", "DELETE IN_PROGRESS")

QUOTAS = {"DatasetGroup": 2, "Schema": 4, "Solution": 2, "Campaign": 1, "Filter": 1, "Recommender": 1}
"""How many there may be that have not failed and are not being deleted: of groups and schemas in all, else in a group.

Small, so that they are reached within an example."""
UNFINISHED_QUOTAS = {
    "DatasetImportJob": 1,
    "DatasetExportJob": 1,
    "DataDeletionJob": 1,
    "SolutionVersion": 1,
    "BatchInferenceJob": 1,
    "BatchSegmentJob": 1,
}
ONE_A_GROUP = ("EventTracker", "MetricAttribution")
KEEP_A_GROUP = ("EventTracker", "Solution", "Dataset", "Recommender", "Campaign")
"""What must be gone before a dataset group can go."""
GO_WITH = {
    "Dataset": ("DatasetImportJob", "DatasetExportJob"),
    "Solution": ("SolutionVersion", "BatchInferenceJob", "BatchSegmentJob"),
}
"""What a delete takes along; a group takes everything."""


@dataclass
class Row:
    """One resource."""

    kind: str
    arn: str
    name: str
    status: str | None
    number: int
    """Of the order in which they were made."""
    group: str | None = None
    parent: str | None = None
    """What it hangs on inside the group; ARNs."""
    facts: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def deleting(self) -> bool:
        return self.status in DELETING

    @property
    def unfinished(self) -> bool:
        return self.status is not None and not self.deleting and self.status.endswith(IN_TRANSITION)

    @property
    def updating(self) -> bool:
        return str(self.facts.get("update", "")).endswith(IN_TRANSITION)


class Model:
    """All resources, and what each operation would do to them."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.made = 0
        self.gone: list[Row] = []

    # Looking -------------------------------------------------------------------------------------------

    def of(self, kind: str, **where: Any) -> list[Row]:
        """The rows of a kind, oldest first, with these attributes."""
        return [
            row
            for row in self.rows.values()
            if row.kind == kind and all(getattr(row, name) == value for name, value in where.items())
        ]

    def get(self, kind: str, arn: str) -> Row | None:
        """None as well for the ARN of another kind."""
        row = self.rows.get(arn)
        return row if row is not None and row.kind == kind else None

    def usable(self, kind: str, arn: str) -> Iterator[str]:
        """Why nothing can be hung on it."""
        row = self.get(kind, arn)
        if row is None:
            yield NOT_FOUND
        elif row.status not in (ACTIVE, None):
            yield IN_USE

    # Creating ------------------------------------------------------------------------------------------

    def add(self, row: Row) -> Row:
        self.rows[row.arn] = row
        self.made = row.number
        return row

    def over_quota(self, kind: str, group: str | None) -> Iterator[str]:
        """Whether one more is too many."""
        everywhere = kind in ("DatasetGroup", "Schema") or (kind in UNFINISHED_QUOTAS and kind != "DataDeletionJob")
        rows = self.of(kind) if everywhere else self.of(kind, group=group)
        if sum(not row.deleting and row.status != FAILED for row in rows) >= QUOTAS.get(kind, 1000):
            yield LIMIT
        if sum(row.unfinished for row in rows) >= UNFINISHED_QUOTAS.get(kind, 1000):
            yield LIMIT

    def one_a_group(self, kind: str, group: str) -> Iterator[str]:
        """Whether a kind of which a group has one is there and has not failed."""
        if kind in ONE_A_GROUP and any(not row.deleting and row.status != FAILED for row in self.of(kind, group=group)):
            yield EXISTS

    def event_types(self, group: str) -> Iterator[str]:
        """What reads event types needs a dataset of them, whose schema is there."""
        datasets = self.of("Dataset", group=group)
        if not any(row.facts["type"] == "INTERACTIONS" and not row.facts.get("released") for row in datasets):
            yield INVALID

    def taggable(self, arn: str, kinds: Iterable[str]) -> Iterator[str]:
        """Why tags cannot be put on it or taken off."""
        row = self.rows.get(arn)
        if row is None:
            yield NOT_FOUND
        elif row.kind not in kinds:
            yield INVALID
        elif row.unfinished or row.deleting:
            yield IN_USE

    def dataset_fits(self, group: str, schema: str, dataset_type: str) -> Iterator[str]:
        """Why a group's dataset of a type cannot have the schema."""
        of_group, of_schema = self.get("DatasetGroup", group), self.get("Schema", schema)
        if of_schema is None:
            yield NOT_FOUND
        elif of_schema.facts["type"] != dataset_type or (
            of_group is not None and of_schema.facts["domain"] != of_group.facts["domain"]
        ):
            yield INVALID

    def trainable(self, solution: Row | None) -> Iterator[str]:
        """A training needs interactions."""
        if solution is not None:
            interactions = self.of("Dataset", group=solution.group, status=ACTIVE)
            if not any(row.facts["type"] == "INTERACTIONS" for row in interactions):
                yield INVALID

    def version_of(self, arn: str) -> tuple[Row | None, set[str]]:
        """The version that a campaign's or a batch job's solutionVersionArn names, and what stands against it."""
        if arn.endswith("/$LATEST"):
            solution = arn.removesuffix("/$LATEST")
            against = set(self.usable("Solution", solution))
            active = self.of("SolutionVersion", parent=solution, status=ACTIVE)
            return (active[-1], against) if active else (None, against or {INVALID})
        version = self.get("SolutionVersion", arn)
        against = set(self.usable("SolutionVersion", arn))
        return version, against | (set(self.usable("Solution", version.parent or "")) if version else set())

    # Moving on -----------------------------------------------------------------------------------------

    def workers_report(self, campaign: Row, reported: bool, error: str | None) -> None:
        """What the runtime's report, or its absence, does to a campaign in transition."""
        facts, updating = campaign.facts, campaign.updating
        if not reported:
            if updating:
                facts["update"] = "CREATE IN_PROGRESS"
            if campaign.status != ACTIVE:
                campaign.status = "CREATE IN_PROGRESS"
            return
        if updating:
            facts["update"] = FAILED if error else ACTIVE
        if error is None:
            campaign.status, facts["served"] = ACTIVE, facts["wanted"]
        elif campaign.status != ACTIVE:
            campaign.status = FAILED

    def recommenders_move(self) -> None:
        """A step of each that is stopped, started or updated."""
        steps = {"STOP IN_PROGRESS": "INACTIVE", "START IN_PROGRESS": ACTIVE}
        for row in self.of("Recommender"):
            status = row.status or ""
            if status.startswith(("STOP", "START")):
                row.status = steps.get(status) or status.replace("PENDING", "IN_PROGRESS")
            elif row.updating and not row.deleting:
                row.facts["update"] = "CREATE IN_PROGRESS" if row.facts["update"] == "CREATE PENDING" else ACTIVE

    # Deleting ------------------------------------------------------------------------------------------

    def delete_refusals(self, kind: str, arn: str) -> set[str]:
        row = self.get(kind, arn)
        if row is None:
            return {NOT_FOUND}
        blocked = row.unfinished or row.deleting or any(not blocker.deleting for blocker in self._blockers(row))
        return {IN_USE} if blocked else set()

    def delete(self, row: Row) -> None:
        """Marks it; a schema is gone at once."""
        if row.kind == "Schema":
            self._forget([row])
            for dataset in self.of("Dataset"):
                if dataset.facts["schema"] == row.arn:
                    dataset.facts["released"] = True
        else:
            row.status = "DELETE PENDING"

    def _blockers(self, row: Row) -> Iterable[Row]:
        rows = self.rows.values()
        if row.kind == "DatasetGroup":
            return [one for one in rows if one.group == row.arn and one.kind in KEEP_A_GROUP]
        if row.kind == "Schema":
            return [one for one in self.of("Dataset") if one.facts["schema"] == row.arn]
        if row.kind == "Dataset":
            through_all = ("SolutionVersion", "DataDeletionJob")
            near = [
                one for one in rows if one.parent == row.arn or (one.group == row.group and one.kind in through_all)
            ]
            return [one for one in near if one.unfinished]
        if row.kind == "Solution":
            work = [
                one for one in rows if one.unfinished and one.kind in GO_WITH["Solution"] and self._solution(one) == row
            ]
            serving = ("served", "wanted")
            return work + [
                c for c in self.of("Campaign") if any(c.facts[at].startswith(row.arn + "/") for at in serving)
            ]
        if row.kind == "Filter":
            return [one for one in rows if one.unfinished and one.facts.get("filter") == row.arn]
        return []

    def _solution(self, row: Row) -> Row | None:
        """What a version or a job of a version hangs on in the end."""
        while row.parent is not None and row.kind != "Solution":
            row = self.rows[row.parent]
        return row

    def remove_deleted(self) -> None:
        """What the reconciler does until it can do no more."""
        again = True
        while again:
            again = False
            for row in [row for row in self.rows.values() if row.deleting]:
                row.status = "DELETE IN_PROGRESS"
                hanging = self._hanging(row)
                others = [one for one in self.rows.values() if one.parent == row.arn and one not in hanging]
                if not others and not any(one.unfinished for one in hanging):
                    self._forget([row, *hanging])
                    again = True
                    break

    def _hanging(self, row: Row) -> list[Row]:
        if row.kind == "DatasetGroup":
            return [one for one in self.rows.values() if one.group == row.arn]
        kinds = GO_WITH.get(row.kind, ())
        return [one for one in self.rows.values() if one.kind in kinds and self._hangs_on(one, row)]

    def _hangs_on(self, one: Row, row: Row) -> bool:
        while one.parent is not None and one.parent != row.arn:
            one = self.rows[one.parent]
        return one.parent == row.arn

    def _forget(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self.gone.append(self.rows.pop(row.arn))
