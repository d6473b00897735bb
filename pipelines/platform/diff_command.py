"""`openpersonalize diff`: two versions side by side."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from pipelines.platform.finding import find_version
from pipelines.registry.database import transaction
from pipelines.settings import Settings
from pipelines.versions.comparing import Comparison, compare


def collect(settings: Settings, a: str, b: str) -> Comparison:
    """Of the versions that `a` and `b` name; raises NotFound or RepositoryError."""
    with tempfile.TemporaryDirectory(prefix="op-diff-") as work, transaction(settings) as conn:
        return compare(settings, conn, find_version(conn, a), find_version(conn, b), Path(work))


def as_json(found: Comparison) -> str:
    """One object with everything that differs."""
    return json.dumps(asdict(found), indent=1, ensure_ascii=False)
