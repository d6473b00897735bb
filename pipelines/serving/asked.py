"""What a recommender is asked: everything of one request that its answer may depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.serving.exploration import Exploration
    from pipelines.serving.filtering import Filtered
    from pipelines.serving.promoting import Promotion

Streamed = Sequence[tuple[str, float]]
"""(item id, epoch seconds) of a user's events since the version's cut-off, newest first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer may depend on, other than the version."""

    user_key: str = ""
    """A user id or an anonymous session's id; of an unknown one only `streamed` and the rest count."""
    streamed: Streamed = ()
    item_id: str | None = None
    """The item that others are to go with (RELATED_ITEMS)."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Column of the Interactions dataset -> value: the situation that the user is in."""
    user_record: Mapping[str, object] | None = None
    """The user's newest record of PutUsers by column name, if one came after the training."""
    exploration: Exploration | None = None
    """How much the list explores; None: not at all."""
    seed: str = ""
    """The recommendationId: what chance the exploration takes."""
    now: float = 0.0
    """Epoch seconds of the request."""
    filtered: Filtered | None = None
    """Which items may be answered; None: all."""
    promotion: Promotion | None = None
    """What is promoted; None: nothing."""
    min_score_ratio: float = 0.0
    """Only items with a score of at least this share of the best one's are answered, besides promoted ones; 0: all."""
