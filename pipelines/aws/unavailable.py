"""What AWS offers and this platform does not yet: refused by name, so that nothing accepted is silently ignored."""

from __future__ import annotations

from typing import Any

from pipelines.aws.errors import InvalidInput


def refuse_unavailable(prefix: str = "", **asked: Any) -> None:
    """Raise InvalidInput naming the first member that asks for something (is true or not empty)."""
    for member, value in asked.items():
        if value:
            raise InvalidInput(f"not available yet: {prefix}{member}")
