"""What is to be done so that what is there becomes what a file wants. Pure: from SetUp and There to steps.

A resource that is not there is created. One that differs is updated where AWS has an operation for it; otherwise the whole
file is refused, with what to do instead: half a set-up is worse than none. What the file does not name stays, except for
schedules, which are the file's own: nothing but schedules is ever taken away.

A part that this platform cannot do yet is left out, with a line that says so, and the rest is applied: the file is right,
and nothing that its author could do would change the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pipelines.aws.errors import AwsError, InvalidInput
from pipelines.control import avro
from pipelines.control.datasets import REPLACEABLE
from pipelines.datasets.schema import read_schema
from pipelines.declared.existing import There
from pipelines.declared.resource_steps import steps_for
from pipelines.declared.run_steps import Begun
from pipelines.declared.schedule_steps import schedule_steps
from pipelines.declared.steps import Action, Step
from pipelines.declared.wanted import SetUp, Thing, WantedDataset
from pipelines.filters.checking import check
from pipelines.filters.parsing import parse
from pipelines.registry.store import Resource


def plan(wanted: SetUp, there: There, now: datetime) -> list[Step]:
    """Every step, in the order in which it can be done: what waits for data and trainings comes last."""
    return list(_steps(wanted, there, now))


def _steps(wanted: SetUp, there: There, now: datetime) -> Iterator[Step]:
    group = {"datasetGroupArn": there.arn("DatasetGroup", wanted.group.name)}
    yield from steps_for(there, wanted.group, "dataset group", there.group)
    for dataset in wanted.datasets:
        yield from steps_for(there, dataset.schema, "schema", _named(there, dataset.schema))
    for dataset in wanted.datasets:
        yield from _dataset(wanted, there, dataset)
    for thing in wanted.others:
        if thing.kind == "EventTracker":
            tracker = next(iter(there.of_kind("EventTracker")), None)
            yield from steps_for(there, thing, "event tracker", tracker, group)
        elif thing.kind == "Filter":
            yield from _filter(wanted, there, thing, group)
        else:
            yield from steps_for(there, thing, thing.kind.lower(), _named(there, thing), group)
    for one in wanted.solutions:
        yield from steps_for(there, one.solution, "solution", _named(there, one.solution), group)
    yield from schedule_steps(wanted, there, now)
    yield from Begun(wanted, there, now).steps()
    for part in wanted.unavailable:
        why = part.why.removeprefix(Action.UNAVAILABLE).removeprefix(": ")
        yield Step(Action.UNAVAILABLE, part.what, part.name, part.path, why)


def _named(there: There, thing: Thing) -> Resource | None:
    return there.named.get(there.arn(thing.kind, thing.name))


def _filter(wanted: SetUp, there: There, thing: Thing, group: Mapping[str, str]) -> Iterator[Step]:
    for step in steps_for(there, thing, "filter", _named(there, thing), group):
        why = _cannot_be_read(wanted, there, thing) if step.action is Action.CREATE else ""
        path = f"{thing.path}.serviceConfig.filterExpression"
        yield replace(step, action=Action.REFUSE, path=path, detail=why) if why else step


def _cannot_be_read(wanted: SetUp, there: There, thing: Thing) -> str:
    """Why CreateFilter would refuse the expression, with the datasets of the group and of the file; or nothing."""
    schemas = {
        one.doc["datasetType"]: there.named[one.doc["schemaArn"]].doc["schema"] for one in there.of_kind("Dataset")
    }
    schemas |= {one.dataset_type: one.schema.given["schema"] for one in wanted.datasets}
    datasets = {kind: read_schema(schema, kind).fields for kind, schema in schemas.items()}
    expression = thing.given["filterExpression"]
    try:
        check(expression, parse(expression), datasets)
    except InvalidInput as refused:
        return str(refused)
    return ""


def _dataset(wanted: SetUp, there: There, dataset: WantedDataset) -> Iterator[Step]:
    found = there.named.get(there.arn("Dataset", wanted.group.name, dataset.dataset_type))
    fixed = {"schemaArn": there.arn("Schema", dataset.schema.name)}
    if found is None:
        group = there.arn("DatasetGroup", wanted.group.name)
        fixed |= {"datasetType": dataset.dataset_type, "datasetGroupArn": group}
    for step in steps_for(there, dataset.dataset, "dataset", found, fixed):
        why = _keeps_schema(there, dataset, found) if found and step.operation == "UpdateDataset" else ""
        yield replace(step, action=Action.REFUSE, path=dataset.schema.path, detail=why) if why else step


def _keeps_schema(there: There, dataset: WantedDataset, found: Resource) -> str:
    """Why the dataset cannot move to the schema, or nothing."""
    if dataset.dataset_type not in REPLACEABLE:
        return f"the schema of {dataset.dataset_type} cannot be replaced, only of {' and '.join(REPLACEABLE)}"
    try:
        avro.check_replacement(there.named[found.doc["schemaArn"]].doc["schema"], dataset.schema.given["schema"])
    except AwsError as refused:
        return str(refused)
    return ""
