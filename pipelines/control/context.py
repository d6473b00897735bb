"""What an operation works in: one transaction, the platform's settings, the request's id and arrival."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from pipelines.settings import Settings


@dataclass(frozen=True)
class Context:
    """One request; everything written through `conn` is committed together when the operation returns."""

    conn: Connection
    settings: Settings
    request_id: str
    now: datetime


Given = dict[str, Any]
"""A request's members, checked by the service model."""
Operation = Callable[[Context, Given], Given]
"""What it answers is projected through the operation's output shape."""
