"""What a file may hold, key by key: the sections of AWS's solution, and in each `serviceConfig` an operation's members.

The members come from botocore's service model, so nothing is described twice. Additions to the shape of AWS's solution:
`serviceConfig` (an import job's members: dataSource, importMode, roleArn) and `workflowConfig` inside one dataset, the
datasets `actions` and `action_interactions`, jobInput and jobOutput of batch jobs, and rate expressions in every schedule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import orjson

from pipelines.aws.errors import CONTROL, AwsError
from pipelines.aws.models import parse_input, service_model
from pipelines.declared.reading import Document, Problem, step

DATASETS = {name.lower(): name for name in ("INTERACTIONS", "ITEMS", "USERS", "ACTIONS", "ACTION_INTERACTIONS")}
"""Key of the file -> dataset type."""
_ARN = "arn:aws:personalize:us-east-1:123456789012:any/any"
_ROLE = "arn:aws:iam::123456789012:role/any"


@dataclass(frozen=True)
class Members:
    """The members of an operation's request; `ours` follow from the place in the file, `defaults` may be left out."""

    operation: str
    ours: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Members that AWS's request does not have."""


@dataclass(frozen=True)
class Text:
    """A string; `what` says of what kind."""

    what: str


EXPRESSION = Text("a schedule: cron(…), rate(…) or delete")
MAX_AGE = Text("an age, like 7 days")
IMPORT = Members(
    "CreateDatasetImportJob",
    ours={"jobName": "any", "datasetArn": _ARN},
    defaults={"roleArn": _ROLE, "dataSource": {"dataLocation": "s3://any/any"}},
)
_GROUP = {"datasetGroupArn": _ARN}


def _scheduled(*names: str) -> dict[str, Any]:
    return {"schedules": {**dict.fromkeys(names, EXPRESSION), "maxAge": MAX_AGE}, "maxAge": MAX_AGE}


def _batch_job(operation: str) -> dict[str, Any]:
    places = {
        "jobInput": {"s3DataSource": {"path": "s3://any/any"}},
        "jobOutput": {"s3DataDestination": {"path": "s3://any/any"}},
    }
    ours = {"jobName": "any", "solutionVersionArn": _ARN}
    return {
        "serviceConfig": Members(operation, ours, {"roleArn": _ROLE, **places}),
        "workflowConfig": {"schedule": EXPRESSION, "maxAge": MAX_AGE},
    }


def _dataset(kind: str) -> dict[str, Any]:
    return {
        "dataset": {"serviceConfig": Members("CreateDataset", {**_GROUP, "schemaArn": _ARN, "datasetType": kind})},
        "schema": {"serviceConfig": Members("CreateSchema")},
        "serviceConfig": IMPORT,
        "workflowConfig": _scheduled("import"),
    }


SHAPE: dict[str, Any] = {
    "tags": Members("TagResource"),
    "datasetGroup": {"serviceConfig": Members("CreateDatasetGroup"), "workflowConfig": _scheduled("import")},
    "datasets": {"serviceConfig": IMPORT, **{key: _dataset(kind) for key, kind in DATASETS.items()}},
    "solutions": [
        {
            "serviceConfig": Members(
                "CreateSolution",
                _GROUP,
                more={"solutionVersion": Members("CreateSolutionVersion", {"solutionArn": _ARN})},
            ),
            "workflowConfig": _scheduled("full", "update"),
            "campaigns": [{"serviceConfig": Members("CreateCampaign", {"solutionVersionArn": _ARN})}],
            "batchInferenceJobs": [_batch_job("CreateBatchInferenceJob")],
            "batchSegmentJobs": [_batch_job("CreateBatchSegmentJob")],
        }
    ],
    "eventTracker": {"serviceConfig": Members("CreateEventTracker", _GROUP)},
    "filters": [{"serviceConfig": Members("CreateFilter", _GROUP)}],
    "recommenders": [{"serviceConfig": Members("CreateRecommender", _GROUP)}],
}


def check(document: Document) -> list[Problem]:
    """Every key that means nothing here and every value of the wrong kind, in the order of the lines."""
    return sorted(_check(document, document.value, SHAPE, ""))


def _check(document: Document, value: Any, shape: Any, path: str) -> Iterator[Problem]:
    if value is None:
        return
    if path == "tags":
        # Alone among the operations' members it is a list of its own.
        yield from _check_values(document, {"tags": value}, Members("TagResource", {"resourceArn": _ARN}), "")
    elif isinstance(shape, Text):
        if not isinstance(value, str):
            yield document.problem(path, f"must be {shape.what}")
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield document.problem(path, "must be a list")
            return
        for number, member in enumerate(value):
            if member is None:
                yield document.problem(step(path, number), "is empty")
            yield from _check(document, member, shape[0], step(path, number))
    elif not isinstance(value, dict):
        yield document.problem(path, "must be an object of keys and values")
    elif isinstance(shape, Members):
        yield from _check_members(document, value, shape, path)
    else:
        yield from _unknown(document, value, shape, path)
        for key, below in shape.items():
            yield from _check(document, value.get(key), below, step(path, key))


def _check_members(document: Document, given: dict[str, Any], shape: Members, path: str) -> Iterator[Problem]:
    for name in shape.ours:
        if name in given:
            yield document.problem(step(path, name), "follows from its place in the file: leave it out")
    for name, below in shape.more.items():
        yield from _check(document, given.get(name), below, step(path, name))
    model = service_model(CONTROL).operation_model(shape.operation).input_shape
    known = {name: member for name, member in given.items() if name not in shape.more and name not in shape.ours}
    problems = list(_unknown_members(document, known, model, path, set(shape.more)))
    yield from problems
    yield from _check_values(document, known, shape, path)


def _check_values(document: Document, given: Mapping[str, Any], shape: Members, path: str) -> Iterator[Problem]:
    whole = {**shape.defaults, **given, **shape.ours}
    if shape.operation == "CreateSchema" and isinstance(whole.get("schema"), dict):
        whole["schema"] = json.dumps(whole["schema"])
    dropped: set[str] = set()
    while True:
        try:
            parse_input(CONTROL, shape.operation, orjson.dumps(whole))
        except AwsError as refused:
            found = list(_violations(str(refused)))
        else:
            return
        yield from (document.problem(_join(path, at), rule) for at, rule in found if at not in dropped)
        # Of wrong types only the first is named, and nothing else.
        wrong = {at.partition(".")[0] for at, rule in found if rule.startswith("must be")} & whole.keys()
        if not wrong:
            return
        dropped |= wrong
        whole = {name: member for name, member in whole.items() if name not in wrong}


_VIOLATION = re.compile(r"Value (null|'.*?') at '([^']+)' failed to satisfy constraint: (.*?)(?=; Value |$)", re.DOTALL)
_WRONG_TYPE = re.compile(r"Member '([^']+)' (must be .*?)\.?")


def _violations(message: str) -> Iterator[tuple[str, str]]:
    """Member and rule of each violation in a message of aws/models.py."""
    wrong = _WRONG_TYPE.fullmatch(message)
    if wrong is not None:
        yield wrong[1], wrong[2]
        return
    for value, at, rule in _VIOLATION.findall(message):
        yield at, "is missing" if value == "null" else f"{value}: {rule}"


def _join(path: str, member: str) -> str:
    """`solutions[0].serviceConfig`, `a.2.member.b` -> `solutions[0].serviceConfig.a[1].b`."""
    member = re.sub(r"\.(\d+)\.member", lambda found: f"[{int(found[1]) - 1}]", member)
    return f"{path}.{member}" if path else member


def _unknown_members(
    document: Document, given: Any, shape: Any, path: str, more: Iterable[str] = ()
) -> Iterator[Problem]:
    """Members that the service model does not know; it would drop them, and nobody would notice the misspelling."""
    if shape.type_name == "structure" and isinstance(given, dict):
        yield from _unknown(document, given, [*shape.members, *more], path)
        for name, member in shape.members.items():
            yield from _unknown_members(document, given.get(name), member, step(path, name))
    elif shape.type_name == "list" and isinstance(given, list):
        for number, member in enumerate(given):
            yield from _unknown_members(document, member, shape.member, step(path, number))


def _unknown(document: Document, given: Iterable[str], known: Iterable[str], path: str) -> Iterator[Problem]:
    names = list(known)
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, 1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            yield document.problem(step(path, key), f"is not known here; {hint}")
