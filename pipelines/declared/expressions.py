"""Schedule expressions of AWS, `cron(0 0 ? * MON *)` and `rate(6 hours)`, as Airflow's timetables take them. UTC.

AWS's cron has six fields (minutes, hours, day of month, month, day of week, year), counts the days of the week from
SUN = 1 and wants a `?` in one of the two day fields. Airflow reads five fields with SUN = 0 through croniter, so the day
of the week is rewritten, and what croniter cannot say (`W`, a year) is refused instead of being read as something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from croniter import CroniterBadDateError, croniter

DELETE = "delete"
"""What the AWS solution takes in place of an expression to end a schedule."""

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_CRON = re.compile(r"cron\((.*)\)")
_RATE = re.compile(r"rate\(([1-9][0-9]{0,5}) (minute|hour|day)(s?)\)", re.ASCII)
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/([0-9]+))?", re.ASCII)
# A moment to ask "does it ever come" from: any will do, a leap year is at most eight years away.
_SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class BadExpression(ValueError):
    """The expression cannot be used; the message says why."""


@dataclass(frozen=True)
class Timing:
    """When a schedule runs: by `cron` (five fields, SUN = 0) or `every` so long; the other is None."""

    expression: str
    cron: str | None = None
    every: timedelta | None = None

    def begins(self, since: datetime) -> datetime:
        """A DAG's start_date, before which Airflow runs nothing: a rate counts from `since`, when it was declared."""
        return since if self.every is None else since + self.every

    def next_times(self, since: datetime, now: datetime, count: int) -> list[datetime]:
        """The next `count` moments after `now` of a schedule that was declared at `since`."""
        if self.every is not None:
            gone = max(int((now - since) / self.every), 0)
            return [since + self.every * (gone + number) for number in range(1, count + 1)]
        times = croniter(self.cron, max(since, now))
        return [times.get_next(datetime) for _ in range(count)]


def parse(expression: str) -> Timing:
    """The timing of `cron(…)` or `rate(…)`; raises BadExpression."""
    rate = _RATE.fullmatch(expression)
    if rate is not None:
        number, unit, plural = int(rate[1]), rate[2], bool(rate[3])
        if plural != (number != 1):
            raise BadExpression(f"{expression!r}: write rate({number} {unit}{'' if number == 1 else 's'})")
        return Timing(expression, every=timedelta(**{f"{unit}s": number}))
    found = _CRON.fullmatch(expression)
    if found is None:
        raise BadExpression(
            f"{expression!r} must be cron(minutes hours day-of-month month day-of-week year) or rate(N minutes), "
            "rate(N hours), rate(N days)"
        )
    return Timing(expression, cron=_five_fields(found[1].split()))


def _five_fields(fields: list[str]) -> str:
    if len(fields) != 6:
        raise BadExpression(
            f"has {len(fields)} fields instead of six: minutes, hours, day of month, month, day of week, year"
        )
    minutes, hours, day, month, weekday, year = (field.upper() for field in fields)
    if year != "*":
        raise BadExpression(f"year {year}: Airflow's timetables know no years; write * and end the schedule by hand")
    if (day == "?") == (weekday == "?"):
        raise BadExpression("exactly one of day of month and day of week must be ?")
    _check("minutes", minutes, 0, 59)
    _check("hours", hours, 0, 23)
    _check("month", month, 1, 12, _MONTHS)
    cron = f"{minutes} {hours} {_day_of_month(day)} {month} {_day_of_week(weekday)}"
    try:
        croniter(cron, _SOME_DAY).get_next(datetime)
    except CroniterBadDateError:
        raise BadExpression(f"there is no such date: day {day} of month {month}") from None
    return cron


def _day_of_month(field: str) -> str:
    if field in ("?", "L"):
        return "*" if field == "?" else field
    if "W" in field:
        raise BadExpression(f"day of month {field}: Airflow cannot find the nearest weekday (W); name the day")
    if "L" in field:
        raise BadExpression(f"day of month {field}: L stands alone")
    _check("day of month", field, 1, 31)
    return field


def _day_of_week(field: str) -> str:
    """With days counted from SUN = 0."""
    if field == "?":
        return "*"
    if field == "L":
        return "6"
    special = re.fullmatch(r"(\w+?)(?:#([1-5])|(L))", field, re.ASCII)
    if special is not None:
        (day,) = _values("day of week", special[1], 1, 7, _DAYS)
        return f"{day - 1}#{special[2]}" if special[2] else f"L{day - 1}"
    days = sorted({day - 1 for item in field.split(",") for day in _values("day of week", item, 1, 7, _DAYS)})
    return "*" if len(days) == 7 else ",".join(map(str, days))


def _check(what: str, field: str, low: int, high: int, names: tuple[str, ...] = ()) -> None:
    for item in field.split(","):
        _values(what, item, low, high, names)


def _values(what: str, item: str, low: int, high: int, names: tuple[str, ...] = ()) -> range:
    """The values that one item of a list stands for: `*`, `5`, `2-6`, `5/10`, `2-6/2`; raises BadExpression."""
    found = _ITEM.fullmatch(item)
    if found is None:
        raise BadExpression(f"{what} {item!r}: takes * , numbers, ranges (2-6) and steps (0/15), separated by commas")
    every, first, last, step = found.groups()
    start = low if every else _number(what, first, low, high, names)
    end = _number(what, last, low, high, names) if last else (high if every or step else start)
    if end < start:
        raise BadExpression(f"{what} {item}: the range runs backwards")
    if step is not None and not 1 <= int(step) <= high:
        raise BadExpression(f"{what} {item}: the step must be 1 to {high}")
    return range(start, end + 1, int(step or 1))


def _number(what: str, text: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text in names:
        return low + names.index(text)
    if not text.isdecimal() or not low <= int(text) <= high:
        named = f" or {names[0]} to {names[-1]}" if names else ""
        raise BadExpression(f"{what} {text}: must be {low} to {high}{named}")
    return int(text)
