"""A plan's lines: what becomes of each part of a file, and the request that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipelines.declared.schedules import Record


class Action(StrEnum):
    """What becomes of a part of the file."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"
    KEEP = "keep"
    LATER = "later"
    UNAVAILABLE = "not available yet"
    REFUSE = "refused"


DOES = (Action.CREATE, Action.UPDATE, Action.REMOVE)


@dataclass(frozen=True)
class Step:
    """One line of a plan."""

    action: Action
    what: str
    """A person's word for the kind."""
    name: str
    path: str
    """In the file."""
    detail: str = ""
    operation: str = ""
    """AWS's name of the request that does it."""
    given: Mapping[str, Any] = field(default_factory=dict)
    needs_imports: bool = False
    """The group's unfinished imports must have ended first."""
    needs_version: str = ""
    """ARN of a solution that must have an ACTIVE version first."""
    schedule: tuple[str, str, Record | None] | None = None
    """ARN of a dataset or solution; which of its schedules; what is written there, None: it is taken away."""
