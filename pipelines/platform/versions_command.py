"""`openpersonalize versions`: what a solution's versions are, the newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipelines.platform.finding import find
from pipelines.registry.database import transaction
from pipelines.settings import Settings
from pipelines.versions.history import Past, versions_of


def collect(settings: Settings, given: str) -> list[Past]:
    """Of the solution with that ARN, name or id; raises finding.NotFound."""
    with transaction(settings) as conn:
        return versions_of(settings, conn, find(conn, "Solution", given, "solution"))


def as_json(found: Sequence[Past]) -> str:
    """A list of objects with everything that is known."""
    return json.dumps([asdict(version) for version in found], indent=1, ensure_ascii=False)
