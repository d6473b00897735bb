"""What is there already of what a file wants, read in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from pipelines.aws import arns
from pipelines.aws.errors import AwsError
from pipelines.control.batch_jobs import check_places
from pipelines.datasets.errors import ImportRefused, SourceUnreachable
from pipelines.declared import data
from pipelines.declared.wanted import SetUp, Source, Thing
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tags import tags_of
from pipelines.settings import Settings

_STREAMED = text("SELECT EXISTS (SELECT FROM openpersonalize.events WHERE group_id = :group)")


@dataclass(frozen=True)
class Data:
    """What lies at a dataset's location: where exactly, or why nothing can be imported from there."""

    location: str | None
    why: str = ""
    is_forbidden: bool = False
    """The platform may not read there."""


@dataclass(frozen=True)
class There:
    """The registry, as far as a file is concerned."""

    arn: Callable[..., str]
    """`arn(kind, *parts)`: the ARN that a resource has here."""
    group: Resource | None
    named: Mapping[str, Resource]
    """By ARN what the file names, in whichever group it is, and the schemas that its and the group's datasets have now."""
    members: tuple[Resource, ...] = ()
    """Everything in the group."""
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By ARN, of what the file names."""
    streamed: bool = False
    """Whether events were streamed to the group."""
    data: Mapping[str, Data] = field(default_factory=dict)
    """By dataset type, of those that have never been imported."""
    forbidden: Mapping[str, str] = field(default_factory=dict)
    """By the path of a batch job in the file why the platform may not read or write there."""

    def of_kind(self, kind: str) -> list[Resource]:
        """What is in the group, oldest first."""
        return [one for one in self.members if one.kind == kind and not one.is_deleting]

    def children(self, parent: Resource | None, kind: str) -> list[Resource]:
        """What hangs on a resource, oldest first."""
        return [one for one in self.of_kind(kind) if parent is not None and one.parent_id == parent.id]


def look(conn: Connection, settings: Settings, wanted: SetUp) -> There:
    """Everything that decides about the steps; S3 and the disk are asked for data that was never imported."""

    def arn(kind: str, *parts: str) -> str:
        return arns.build(kind, settings.region, settings.account_id, *parts)

    group = store.get(conn, arn=arn("DatasetGroup", wanted.group.name))
    members = tuple(store.in_group(conn, group.id)) if group is not None else ()
    named = {}
    for thing in things(wanted):
        parts = (wanted.group.name, thing.given["datasetType"]) if thing.kind == "Dataset" else (thing.name,)
        found = store.get(conn, arn=arn(thing.kind, *parts))
        if found is not None:
            named[found.arn] = found
    for schema_id in {one.schema_id for one in (*named.values(), *members) if one.schema_id is not None}:
        used = store.get(conn, id=schema_id)
        if used is not None:
            named[used.arn] = used
    trackers = [one for one in members if one.kind == "EventTracker"]
    empty = {
        one.dataset_type: _data(settings, one.source)
        for one in wanted.datasets
        if not _has_data(named.get(arn("Dataset", wanted.group.name, one.dataset_type)))
    }
    return There(
        arn=arn,
        group=group,
        named=named,
        members=members,
        tags={one.arn: tags_of(conn, one.id) for one in (*named.values(), *trackers)},
        streamed=group is not None and conn.execute(_STREAMED, {"group": group.id}).scalar_one(),
        data=empty,
        forbidden=dict(_forbidden(settings, wanted)),
    )


def _forbidden(settings: Settings, wanted: SetUp) -> Iterator[tuple[str, str]]:
    for job in (job for solution in wanted.solutions for job in solution.jobs):
        try:
            check_places(settings, dict(job.given))
        except AwsError as refused:
            yield job.path, str(refused)


def things(wanted: SetUp) -> Iterator[Thing]:
    """Everything with a name of its own; a dataset with its type, by which it is found."""
    yield wanted.group
    for one in wanted.datasets:
        yield one.schema
        yield Thing("Dataset", one.dataset.name, one.dataset.path, {"datasetType": one.dataset_type})
    for solution in wanted.solutions:
        yield solution.solution
        yield from solution.campaigns
    yield from wanted.others


def _has_data(dataset: Resource | None) -> bool:
    return dataset is not None and "snapshot" in dataset.internal


def _data(settings: Settings, source: Source) -> Data:
    try:
        found = data.find(settings, source.location)
    except AwsError as refused:
        return Data(None, str(refused), is_forbidden=True)
    except (ImportRefused, SourceUnreachable) as refused:
        return Data(None, str(refused))
    return Data(found, "" if found else f"nothing lies at {source.location} or at {_last(source.location)}.csv")


def _last(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2]
