"""What a file wants, checked and with every default filled in; made by checking.py, compared by planning.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.declared.expressions import Timing

Tags = list[dict[str, str]]
"""`[{"tagKey": …, "tagValue": …}]`, as requests take them."""


@dataclass(frozen=True)
class Thing:
    """One resource: its kind (AWS's shape name), name, and the members of its Create request that the file says."""

    kind: str
    name: str
    path: str
    given: Mapping[str, Any]
    """Without name, tags and the ARNs that follow from the place in the file."""
    tags: Tags = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """Where a dataset's data lies, and how it is imported."""

    location: str
    """A file or folder; the data may lie at the name with `.csv` behind it as well."""
    is_given: bool
    """Named in the file; otherwise it is beside the file, as the AWS solution has it."""
    members: Mapping[str, Any]
    """importMode, roleArn, tags, of interactions publishAttributionMetricsToS3: members of CreateDatasetImportJob."""
    path: str


@dataclass(frozen=True)
class WantedDataset:
    """A dataset with its schema, its data and the schedule of its imports."""

    dataset: Thing
    schema: Thing
    dataset_type: str
    source: Source
    schedule: Timing | None


@dataclass(frozen=True)
class WantedJob:
    """A batch job that is made anew at each time of its schedule."""

    what: str
    """Its schedule among those of the solution: batch-inference, batch-inference-2, …, batch-segments, …"""
    timing: Timing
    given: Mapping[str, Any]
    """The request's members but jobName and solutionVersionArn; in the folder of jobOutput each job has one of its own."""
    is_placed: bool
    """Whether the file says where from or where to."""
    path: str


@dataclass(frozen=True)
class WantedSolution:
    """A solution with the schedules of its trainings and batch jobs, and the campaigns that serve it."""

    solution: Thing
    version: Mapping[str, Any]
    """name, trainingMode and tags of solution versions: `serviceConfig.solutionVersion`."""
    full: Timing | None
    update: Timing | None
    campaigns: tuple[Thing, ...]
    jobs: tuple[WantedJob, ...]


@dataclass(frozen=True)
class Unavailable:
    """A part of the file that this platform cannot do yet; the rest is applied all the same."""

    what: str
    name: str
    path: str
    why: str


@dataclass(frozen=True)
class SetUp:
    """A whole file."""

    group: Thing
    datasets: tuple[WantedDataset, ...] = ()
    solutions: tuple[WantedSolution, ...] = ()
    others: tuple[Thing, ...] = ()
    """Event tracker, filters, recommenders: made by one request, with nothing hanging on them."""
    unavailable: tuple[Unavailable, ...] = ()
