"""itemExplorationConfig, which campaigns, recommenders and batch inference jobs take alike (spec/training.md section 8)."""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput
from pipelines.control.context import Given
from pipelines.control.solution_config import check_number

# The age in days must be more than 0: at least a minute.
LIMITS = {"explorationWeight": (0.0, 1.0), "explorationItemAgeCutOff": (1 / 1440, 36500.0)}
"""By member the least and the most that its string may say."""


def check_exploration(member: str, config: Given) -> None:
    """Raise InvalidInput naming what is wrong with the itemExplorationConfig of the configuration `member`."""
    for name, value in config.get("itemExplorationConfig", {}).items():
        path = f"{member}.itemExplorationConfig.{name}"
        if name not in LIMITS:
            raise InvalidInput(f"{path}: unknown; known: {', '.join(LIMITS)}.")
        check_number(path, value, *LIMITS[name])
