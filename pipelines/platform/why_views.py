"""What `openpersonalize why` prints."""

from __future__ import annotations

from pipelines.platform.why_command import Explanation
from pipelines.serving.why import Push, Reason

MOST_PUSHES = 6
"""Shown of each item."""
LEAST = 0.005
"""Smaller gains would be shown as 0.00."""

GAINS = (
    "A number is the logarithm of the item's score less that of its score if only that one thing were not there: +0.69,",
    "without it the score would be half; -0.69, twice as high. They do not add up: things that say the same share it.",
)


def lines(found: Explanation) -> list[str]:
    """The list item by item, each with what moved it most."""
    shown = [f"campaign {found.campaign}, {found.version_arn}"]
    if found.events is not None:
        trained, streamed = found.events
        shown.append(f"user {found.user}: {trained} events in the training, {streamed} since")
    for reason in found.reasons:
        shown += ["", _heading(reason), *_pushes(reason)]
    if any(push.kind not in ("similarity", "interactions") for reason in found.reasons for push in reason.pushes):
        shown += ["", *GAINS]
    return [*shown, *(["", *found.notes] if found.notes else [])]


def _heading(reason: Reason) -> str:
    score = "" if reason.score is None else f"  score {reason.score:.7f}"
    how = {"personal": "", "explored": "  explored", "similar": "", "popular": "  popular fill"}[reason.how]
    return f"{reason.rank:>4}  {reason.item_id}{score}{how}"


def _pushes(reason: Reason) -> list[str]:
    # What explored an item is said whether it was much or little: it is what the reader asks about.
    told = [push for push in reason.pushes if abs(push.value) >= LEAST or push.kind == "exploration"]
    kept = set(told[:MOST_PUSHES]) | {push for push in told if push.kind == "exploration"}
    shown = [_line(push, reason) for push in told if push in kept]
    if reason.how in ("personal", "explored") and len(told) > len(kept):
        shown.append(f"{'':>15}and {len(told) - len(kept)} smaller ones")
    return shown


def _line(push: Push, reason: Reason) -> str:
    match push.kind:
        case "similarity":
            return f"      {push.value:.4f}  similarity with {push.name}: who took one also took the other"
        case "interactions":
            return f"      {push.value:,.0f} interactions in the training"
        case "event" if push.name == reason.item_id:
            return f"      {push.value:+7.2f}  event        {push.name}, the item itself"
        case kind:
            return f"      {push.value:+7.2f}  {kind:<12} {push.name}"
