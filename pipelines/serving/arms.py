"""Who gets which arm of an A/B experiment, and how a recommendationId says it.

A user's arm follows from the experiment and the user alone, so every worker gives the same, before and after a restart,
and nothing has to be looked up. Another experiment deals anew: its id is part of what is hashed.

The arm stands in the recommendationId itself, because what was served is kept for a day and experiments last weeks:

    RID-1f0c2d3e-9b1a-8b7f-a2c4-5d6e7f809a1b
                 |    ||
                 |    |arm: a or b
                 |    version 8 of a UUID, whose bits are ours (RFC 9562, section 5.8)
                 the first four digits of the experiment's id

102 bits stay random. Answers outside of experiments have an ordinary random UUID, of version 4.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from hashlib import blake2b

CONTROL, CHALLENGER = "A", "B"
_ARM = re.compile(r"RID-[0-9a-f]{8}-[0-9a-f]{4}-8([ab])[0-9a-f]{2}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm of one experiment."""

    experiment_id: str
    """16 hexadecimal digits."""
    name: str
    """CONTROL or CHALLENGER."""


def arm_of(experiment_id: str, user: str, share: int) -> Arm:
    """The user's arm; `share` per cent of users have the challenger."""
    digest = blake2b(f"{experiment_id}:{user}".encode(), digest_size=8).digest()
    return Arm(experiment_id, CHALLENGER if int.from_bytes(digest) * 100 < share << 64 else CONTROL)


def new_recommendation_id(arm: Arm | None) -> str:
    """`RID-` and a UUID, 40 characters."""
    random = str(uuid.uuid4())
    if arm is None:
        return f"RID-{random}"
    return f"RID-{random[:9]}{arm.experiment_id[:4]}-8{arm.name.lower()}{random[16:]}"


def arm_in(recommendation_id: str) -> str | None:
    """CONTROL or CHALLENGER; None of an answer outside of experiments."""
    found = _ARM.fullmatch(recommendation_id)
    return found[1].upper() if found else None


def like(experiment_id: str) -> str:
    """A pattern for SQL's LIKE: the recommendationIds of an experiment."""
    return f"RID-________-{experiment_id[:4]}-8%"
