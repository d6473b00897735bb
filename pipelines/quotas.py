"""How many resources there may be: AWS's quotas on counts, in one table, each settable (spec: resources.md section 6).

A room below the settings, so that `Settings.from_env` refuses a quota that does not exist or is no number. Where they
are enforced: `pipelines/control/creation.py`, for every kind alike. Another quota is a line here.

Three ways to count were open: all of a kind, all that are not being deleted, or those that work or shall. It is the
last, since AWS calls these quotas those of active resources: what failed and what is being deleted takes no place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

OFF = "off"
_NUMBER = re.compile("[0-9]{1,9}")


@dataclass(frozen=True)
class Quota:
    """How many resources of one kind there may be at a time."""

    name: str
    """As OPENPERSONALIZE_QUOTAS names it."""
    kind: str
    default: int
    """AWS's."""
    per_group: bool = False
    """Counted in each dataset group, not in the account."""
    unfinished: bool = False
    """Only those count whose work is PENDING or IN_PROGRESS; else all but what failed and what is being deleted."""
    only: Mapping[str, str] = field(default_factory=dict)
    """Only those count whose describe answer has these members."""


# Unlike AWS, limits: quotas are settable, each and all. AWS adjusts some of them when asked to.
QUOTAS = (
    Quota("schemas", "Schema", 500),
    Quota("dataset_groups", "DatasetGroup", 5),
    Quota("solutions_per_group", "Solution", 10, per_group=True),
    Quota("campaigns_per_group", "Campaign", 5, per_group=True),
    Quota("recommenders", "Recommender", 15),
    Quota("recommenders_per_group", "Recommender", 5, per_group=True),
    Quota("filters_per_group", "Filter", 10, per_group=True),
    # A Monday on which all solutions are due takes none of the versions that clients may ask for.
    Quota("unfinished_solution_versions", "SolutionVersion", 20, unfinished=True, only={"trainingType": "MANUAL"}),
    Quota("unfinished_import_jobs", "DatasetImportJob", 5, unfinished=True),
    # Unlike AWS, limits: at most five export jobs are unfinished. AWS names no number, and the other jobs have this
    # one.
    Quota("unfinished_export_jobs", "DatasetExportJob", 5, unfinished=True),
    Quota("unfinished_deletion_jobs_per_group", "DataDeletionJob", 5, per_group=True, unfinished=True),
    Quota("unfinished_batch_inference_jobs", "BatchInferenceJob", 5, unfinished=True),
    Quota("unfinished_batch_segment_jobs", "BatchSegmentJob", 5, unfinished=True),
)

FIELDS_PER_FILTER = Quota("fields_per_filter", "Filter", 10)
FILTER_FIELDS_PER_GROUP = Quota("filter_fields_per_group", "Filter", 20, per_group=True)
FIELDS = (FIELDS_PER_FILTER, FILTER_FIELDS_PER_GROUP)
"""Distinct columns that filters read, not filters: counted where filters are made (pipelines/control/filters.py)."""


@dataclass(frozen=True)
class Quotas:
    """The quotas of one platform."""

    changed: tuple[tuple[str, int], ...] = ()
    """Those that are not AWS's, by name."""
    off: bool = False

    @classmethod
    def read(cls, text: str) -> Quotas:
        """`off`, or `name=value,name=value`; raises ValueError with the rule."""
        if text.strip() == OFF:
            return cls(off=True)
        changed = {}
        for pair in filter(None, (pair.strip() for pair in text.split(","))):
            name, _, value = pair.partition("=")
            if name not in {quota.name for quota in (*QUOTAS, *FIELDS)}:
                known = ", ".join(quota.name for quota in (*QUOTAS, *FIELDS))
                raise ValueError(f"{pair!r}: must be off, or name=value with a name of {known}")
            if not _NUMBER.fullmatch(value):
                raise ValueError(f"{pair!r}: the value must be a whole number from 0 to 999999999")
            changed[name] = int(value)
        return cls(tuple(changed.items()))

    def __str__(self) -> str:
        """What `read` takes."""
        return OFF if self.off else ",".join(f"{name}={value}" for name, value in self.changed)

    def most(self, quota: Quota) -> int | None:
        """How many there may be; None for any number."""
        return None if self.off else dict(self.changed).get(quota.name, quota.default)


AS_AWS = Quotas()
