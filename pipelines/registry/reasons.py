"""What a `failureReason` can be: a describe answer carries it, so it has an end."""

from __future__ import annotations

LONGEST = 2_000
"""Characters."""


def shortened(text: str) -> str:
    """A reason that a describe answer can carry."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
