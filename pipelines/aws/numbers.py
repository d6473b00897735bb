"""Numbers that AWS sends as strings: hyperparameters, thresholds, event properties."""

from __future__ import annotations

import math
import re

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def decimal_number(text: str) -> float | None:
    """The finite number that `text` writes in plain decimal; None otherwise, also for `1_0` or digits beyond ASCII."""
    number = float(text) if _DECIMAL.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None
