"""What `openpersonalize explore-report` prints."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.evaluation.propensities import Estimate
from pipelines.platform.explore_command import Outlook, Report

ENOUGH_LISTS = 100
"""An estimate from fewer would be read as if it meant something."""


def lines(report: Report) -> list[str]:
    """A few tables as plain text, and in words what cannot be said and why."""
    weight, days = report.exploration.weight, report.exploration.age_cut_off_days
    shown = [f"campaign {report.campaign}: explorationWeight {weight:g}, items of the last {days:g} days"]
    if not report.served:
        return [*shown, "no list was served in the last 24 hours: ask for recommendations, then look again"]
    if not report.lists:
        return [*shown, f"{report.served:,} lists in the last 24 hours, none explored: {_why_not(report)}"]
    shown += [
        f"{report.lists:,} lists from {_moment(report.first)} to {_moment(report.last)} UTC",
        f"explored places    {report.explored:.2%} (their items would not be in the list with weight 0)",
        f"items taken        {report.taken:,}, {report.taken / report.lists:.3f} a list",
    ]
    if not report.taken:
        return [
            *shown,
            "nothing can be said of other weights: no event names one of these lists. Pass the answer's recommendationId "
            "in PutEvents.",
            *_items(report),
        ]
    return [*shown, *_outlooks(report), *_items(report)]


def _why_not(report: Report) -> str:
    if not report.exploration.weight:
        return "with weight 0 lists are the pure ranking, and say nothing of other weights"
    return "the version's recipe does not explore, or the campaign's weight was 0 until now"


def _outlooks(report: Report) -> list[str]:
    shown = [
        "",
        "What each weight would bring, with the interval of 95 %. lists: so many lists of that weight would tell as much.",
        "",
        f"{'weight':<10}{'taken a list':>12}{'':>18}{'lists':>9}{'taken a place':>16}{'':>20}{'lists':>9}",
    ]
    for outlook in report.outlooks:
        name = f"{outlook.weight:g}{' (now)' if outlook.weight == report.exploration.weight else ''}"
        shown.append(f"{name:<10}{_cells(outlook.per_list, 1, '')}{_cells(outlook.per_place, 100, ' %')}".rstrip())
    unknown = [f"{one.weight:g}" for one in report.outlooks if not _is_enough(one)]
    if unknown:
        shown += [
            "",
            f"too little data for weight {', '.join(unknown)}: where a number is missing, the lists tell less than "
            f"{ENOUGH_LISTS} lists of that weight would.",
        ]
    return shown


def _cells(estimate: Estimate, scale: int, unit: str) -> str:
    width = 12 if scale == 1 else 16
    interval_width = 18 if scale == 1 else 20
    known = f"{estimate.lists:>9,.0f}"
    if estimate.lists < ENOUGH_LISTS:
        return f"{'too little':>{width}}{'':>{interval_width}}{known}"
    digits = 3 if scale == 1 else 2
    value, low, high = (f"{number * scale:.{digits}f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{value + unit:>{width}}{f'{low} to {high}{unit}':>{interval_width}}{known}"


def _is_enough(outlook: Outlook) -> bool:
    return min(outlook.per_list.lists, outlook.per_place.lists) >= ENOUGH_LISTS


def _items(report: Report) -> list[str]:
    if not report.items:
        return ["", "no item was shown by exploration: none is new and little known"]
    width = max(len("most explored items"), *(len(item.item_id) for item in report.items)) + 2
    shown = ["", f"{'most explored items':<{width}}{'shown':>9}{'taken':>9}"]
    return shown + [f"{item.item_id:<{width}}{item.shown:>9,}{item.taken:>9,}" for item in report.items]


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
