"""What is supported of Amazon Personalize, and where we differ on purpose: read off the code, written to SUPPORTED.md.

Operations come from botocore's service models and `operations.OPERATIONS`, kinds that nobody can make yet from
`unavailable.REASONS`, recipes from the catalogue, quotas from their table. Two things are read from the source text:

- members that are refused: the calls of `refuse_unavailable`, whose literal arguments name them;
- differences: comments where they are made, `# Unlike AWS, <topic>: <what is different>. <Why.>`.

The differences could stand in one list with pointers, or as objects that each module registers. A comment stands where
the difference is made, so who changes the one reads the other; it costs nothing at run time, and tells its place itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.aws import models
from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME
from pipelines.control.operations import OPERATIONS
from pipelines.platform.source import source_root
from pipelines.platform.unavailable import REASONS

FOLDERS = ("pipelines", "bento", "data_checks")
TOPICS = ("access", "limits", "resources", "data", "training", "serving", "deletion", "Airflow")
"""Of differences, in the order in which they are shown."""
SERVICES = (CONTROL, RUNTIME, EVENTS)

YES, LIFE, NOT_YET = "yes", "resource only", "not yet"

_DIFFERENCE = re.compile(r"\s*# Unlike AWS, (.*)")
_COMMENT = re.compile(r"\s*# (.*)")


@dataclass(frozen=True)
class Difference:
    """A place where we deliberately do something else than AWS."""

    topic: str
    what: str
    why: str
    where: str
    """The file, from the root of the sources."""


@dataclass(frozen=True)
class Refused:
    """A member of requests that is refused as not available yet."""

    member: str
    """With its path, `campaignConfig.rankingInfluence`."""
    operations: tuple[str, ...]
    where: str


def state(service: str, operation: str) -> str:
    """YES, LIFE: the resource lives but its work is missing, or NOT_YET: refused with a typed error."""
    if service != CONTROL:
        from bento import not_yet

        return NOT_YET if operation in not_yet.OPERATIONS else YES
    if operation not in OPERATIONS:
        return NOT_YET
    return LIFE if resource(operation) in REASONS else YES


def operations(service: str) -> tuple[str, ...]:
    """All that AWS has."""
    names: list[str] = models.service_model(service).operation_names
    return tuple(names)


@cache
def differences() -> tuple[Difference, ...]:
    """Those that the sources declare, by topic; raises ValueError for a comment that is not of the form."""
    found = [one for path in _sources() for one in _declared(path)]
    return tuple(sorted(found, key=lambda one: (TOPICS.index(one.topic), one.where)))


def _declared(path: Path) -> Iterator[Difference]:
    lines = iter(path.read_text().splitlines())
    for line in lines:
        begun = _DIFFERENCE.fullmatch(line)
        if begun is None:
            continue
        text = begun[1]
        for following in lines:
            more = _COMMENT.fullmatch(following)
            if more is None:
                break
            text += f" {more[1]}"
        yield _difference(text, path.relative_to(source_root()).as_posix())


def _difference(text: str, where: str) -> Difference:
    parts = re.fullmatch(r"(?P<topic>[^:]+): (?P<what>.+?\.) (?P<why>.+\.)", text)
    if parts is None or parts["topic"] not in TOPICS:
        raise ValueError(
            f"{where}: `# Unlike AWS, {text}` must be `<topic>: <what>. <Why.>` with a topic of {', '.join(TOPICS)}"
        )
    what = re.sub("^[a-z](?=[a-z-]*[ ,])", lambda first: first[0].upper(), parts["what"])
    return Difference(parts["topic"], what, parts["why"], where)


@cache
def refused_members() -> tuple[Refused, ...]:
    """Those that `refuse_unavailable` is called with; raises ValueError for arguments that are not literal."""
    found = [
        Refused(member, _taking(member), path.relative_to(source_root()).as_posix())
        for path in _sources()
        if "refuse_unavailable(" in path.read_text()
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "refuse_unavailable"
        for member in _members(call, path)
    ]
    return tuple(sorted(found, key=lambda one: one.member))


def _members(call: ast.Call, path: Path) -> Iterator[str]:
    prefix = ast.literal_eval(call.args[0]) if call.args else ""
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ValueError(f"{path}, line {call.lineno}: members must be named, not unpacked")
        yield f"{prefix}{keyword.arg}"


def _taking(member: str) -> tuple[str, ...]:
    """The operations whose request has a member of that path."""
    path = member.split()[0].split(".")
    return tuple(
        name
        for service in SERVICES
        for name in operations(service)
        if _has(models.service_model(service).operation_model(name).input_shape, path)
    )


def _has(shape: Any, path: list[str]) -> bool:
    for step in path:
        if shape is None or shape.type_name != "structure" or step not in shape.members:
            return False
        shape = shape.members[step]
    return True


@cache
def _sources() -> tuple[Path, ...]:
    return tuple(path for folder in FOLDERS for path in sorted((source_root() / folder).rglob("*.py")))


def resource(operation: str) -> str:
    """What an operation of the control plane is about: `ListCampaigns` -> `Campaign`."""
    about = re.sub("^(Create|Describe|List|Update|Delete|Start|Stop|Get)", "", operation)
    return _RESOURCES.get(about, about.removesuffix("s"))


_RESOURCES = {
    "SolutionVersionCreation": "SolutionVersion",
    "SolutionMetrics": "SolutionVersion",
    "MetricAttributionMetrics": "MetricAttribution",
    "TagResource": "Tags",
    "UntagResource": "Tags",
    "TagsForResource": "Tags",
}
