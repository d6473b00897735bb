"""AWS's schedule expressions against what EventBridge's rules say they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipelines.declared.expressions import BadExpression, parse

NOW = datetime(2026, 11, 22, 11, 48, 3, tzinfo=UTC)
"""A Sunday."""


def times(expression: str, count: int = 3, since: datetime = NOW) -> list[str]:
    found = parse(expression).next_times(since, NOW, count)
    assert all(moment.utcoffset() == timedelta(0) for moment in found)
    return [f"{moment:%a %Y-%m-%d %H:%M}" for moment in found]


@pytest.mark.parametrize(
    ("expression", "cron", "first"),
    [
        ("cron(0 */6 * * ? *)", "0 */6 * * *", ["Sun 2026-11-22 12:00", "Sun 2026-11-22 18:00", "Mon 2026-11-23 00:00"]),
        ("cron(0 0 ? * 1 *)", "0 0 * * 0", ["Sun 2026-11-29 00:00", "Sun 2026-12-06 00:00", "Sun 2026-12-13 00:00"]),
        ("cron(0 0 ? * MON *)", "0 0 * * 1", ["Mon 2026-11-23 00:00", "Mon 2026-11-30 00:00", "Mon 2026-12-07 00:00"]),
        ("cron(0 18 ? * MON-FRI *)", "0 18 * * 1,2,3,4,5", ["Mon 2026-11-23 18:00", "Tue 2026-11-24 18:00", "Wed 2026-11-25 18:00"]),
        ("cron(0 8 ? * 2-6/2 *)", "0 8 * * 1,3,5", ["Mon 2026-11-23 08:00", "Wed 2026-11-25 08:00", "Fri 2026-11-27 08:00"]),
        ("cron(0 8 ? * * *)", "0 8 * * *", ["Mon 2026-11-23 08:00", "Tue 2026-11-24 08:00", "Wed 2026-11-25 08:00"]),
        ("cron(0 0 L * ? *)", "0 0 L * *", ["Mon 2026-11-30 00:00", "Thu 2026-12-31 00:00", "Sun 2027-01-31 00:00"]),
        ("cron(0 0 ? * L *)", "0 0 * * 6", ["Sat 2026-11-28 00:00", "Sat 2026-12-05 00:00", "Sat 2026-12-12 00:00"]),
        ("cron(15 10 ? * 6L *)", "15 10 * * L5", ["Fri 2026-11-27 10:15", "Fri 2026-12-25 10:15", "Fri 2027-01-29 10:15"]),
        ("cron(0 9 ? * 2#1 *)", "0 9 * * 1#1", ["Mon 2026-12-07 09:00", "Mon 2027-01-04 09:00", "Mon 2027-02-01 09:00"]),
        ("cron(0/15 22-23 ? JAN,jul SUN *)", "0/15 22-23 * JAN,JUL 0", ["Sun 2027-01-03 22:00", "Sun 2027-01-03 22:15", "Sun 2027-01-03 22:30"]),
        ("cron(30 3 29 2 ? *)", "30 3 29 2 *", ["Tue 2028-02-29 03:30", "Sun 2032-02-29 03:30", "Fri 2036-02-29 03:30"]),
    ],
)  # fmt: skip
def test_cron_says_when(expression: str, cron: str, first: list[str]) -> None:
    assert parse(expression).cron == cron
    assert times(expression) == first


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 0 * * *", "must be cron"),
        ("cron(0 0 * * *)", "has 5 fields instead of six"),
        ("cron(0 0 * * * *)", "exactly one of"),
        ("cron(0 0 ? * ? *)", "exactly one of"),
        ("cron(0 0 15W * ? *)", r"nearest weekday \(W\)"),
        ("cron(0 0 L-3 * ? *)", "L stands alone"),
        ("cron(0 0 ? * MON 2027)", "know no years"),
        ("cron(60 0 ? * MON *)", "minutes 60: must be 0 to 59"),
        ("cron(0 24 ? * MON *)", "hours 24: must be 0 to 23"),
        ("cron(0 0 ? * 0 *)", "day of week 0: must be 1 to 7 or SUN to SAT"),
        ("cron(0 0 ? * MON#6 *)", "day of week 'MON#6'"),
        ("cron(0 0 ? * FRI-MON *)", "runs backwards"),
        ("cron(0 0 ? 13 MON *)", "month 13: must be 1 to 12 or JAN to DEC"),
        ("cron(0/0 0 ? * MON *)", "step must be 1 to 59"),
        ("cron(0,,5 0 ? * MON *)", "minutes ''"),
        ("cron(0 0 31 2 ? *)", "no such date"),
        ("rate(1 days)", r"write rate\(1 day\)"),
        ("rate(2 hour)", r"write rate\(2 hours\)"),
        ("rate(0 days)", "must be cron"),
        ("rate(2 weeks)", "must be cron"),
        ("", "must be cron"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_the_reason(expression: str, why: str) -> None:
    with pytest.raises(BadExpression, match=why):
        parse(expression)


def test_a_rate_counts_from_its_declaration() -> None:
    since = datetime(2026, 11, 22, 0, 30, tzinfo=UTC)
    assert times("rate(6 hours)", since=since) == [
        "Sun 2026-11-22 12:30",
        "Sun 2026-11-22 18:30",
        "Mon 2026-11-23 00:30",
    ]
    assert times("rate(1 day)") == ["Mon 2026-11-23 11:48", "Tue 2026-11-24 11:48", "Wed 2026-11-25 11:48"]


def test_airflow_may_start_a_cron_at_once_and_a_rate_after_its_first_interval() -> None:
    assert parse("cron(0 0 ? * 1 *)").begins(NOW) == NOW
    assert parse("rate(90 minutes)").begins(NOW) == NOW + timedelta(minutes=90)
