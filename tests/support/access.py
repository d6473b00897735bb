"""Access keys as `openpersonalize keys` makes them, and what the audit has."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import func, select

from pipelines.aws.access import Key, Role
from pipelines.platform import audit_command, keys_command
from pipelines.registry.database import transaction
from pipelines.settings import Settings


def make_key(settings: Settings, role: Role | str, name: str | None = None) -> Key:
    return keys_command.add(settings, name or f"for-{role}", Role(role))


def audited(settings: Settings, key: str | None = None) -> list[dict[str, Any]]:
    """The entries of the last hour, oldest first."""
    with transaction(settings) as conn:
        now = conn.execute(select(func.now())).scalar_one()
    since = audit_command.moment("1h", now)
    return [orjson.loads(line) for line in audit_command.lines(settings, since, key)]
