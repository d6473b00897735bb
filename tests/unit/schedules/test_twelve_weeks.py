"""Twelve weeks of schedules on a driven clock, in a real registry: every training that is due happens once, none twice.

Three solutions of one group whose events grow every day but for a quiet fortnight: `weekly` is on the default schedule,
`often` at `rate(3 days)`, and of `unlucky`, weekly too, every other training fails, at random. Trainings take hours and
end as DAG `solution_version` ends them. For ten days no DAG runs at all, as if all were paused.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from pipelines.control.context import Context
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.schedules.due import AUTOMATIC_TRAINING, FULL_RETRAIN, Asker, Known, due
from pipelines.schedules.known import known
from pipelines.schedules.retraining import Run, create, look
from pipelines.settings import Settings
from pipelines.versions import claim
from tests.support.registry import add_dataset, add_group
from tests.support.schedules import add_automatic, end, stream, versions

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
SUNDAY = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = SUNDAY + 12 * WEEK
CREATED = SUNDAY + 2 * DAY + timedelta(hours=10, minutes=10)
QUIET = SUNDAY + 33 * DAY, SUNDAY + 47 * DAY
PAUSED = SUNDAY + 55 * DAY, SUNDAY + 65 * DAY + timedelta(hours=15, minutes=30)
EVENTS_AT = 6 * HOUR
"""Of every day."""


@dataclass
class Months:
    """What is not under test: time passes, events come, trainings begin and end, Airflow starts runs."""

    settings: Settings
    conn: Connection
    group: Resource
    solutions: list[Resource]
    luck: random.Random = field(default_factory=lambda: random.Random(5))
    known: list[Known] = field(default_factory=list)
    """Read again only when something has happened: of 4,000 runs few have anything new to read."""
    coming: list[tuple[datetime, str, str]] = field(default_factory=list)
    """When a training does what."""
    made: dict[str, list[datetime]] = field(default_factory=dict)
    failed: set[tuple[str, datetime]] = field(default_factory=set)

    def pass_to(self, now: datetime) -> None:
        day, of_day = divmod(now - SUNDAY, DAY)
        happens = sorted(one for one in self.coming if one[0] <= now)
        for one in happens:
            self.coming.remove(one)
            _, what, version_id = one
            if what == "begin":
                claim(self.settings, version_id)
            else:
                end(self.settings, self.conn, version_id, fails=what == "fail")
        streamed = of_day == EVENTS_AT and not QUIET[0] <= now < QUIET[1]
        if streamed:
            with self.conn.begin():
                stream(self.conn, self.group, f"day{day}", count=10 + day)
        if happens or streamed or not self.known:
            self.read(now)

    def read(self, now: datetime) -> None:
        with self.conn.begin():
            self.known = [known(Context(self.conn, self.settings, "r", now), one) for one in self.solutions]

    def run(self, asker: Asker, moment: datetime, now: datetime) -> None:
        """One run that is for `moment` and starts `now`."""
        wanted = [one.solution for one in due(self.known, moment, asker) if one.due]
        if not wanted:
            return
        run = Run(asker, moment, f"scheduled__{moment.isoformat()}")
        assert {one["arn"] for one in look(self.settings, run)} == {one.arn for one in wanted}
        for solution in wanted:
            version_id = create(self.settings, run, solution.arn)
            assert version_id is not None
            assert create(self.settings, Run(asker, moment, "a second run"), solution.arn) is None
            self.made.setdefault(solution.name, []).append(moment)
            fails = solution.name == "unlucky" and self.luck.random() < 0.5
            if fails:
                self.failed.add((solution.name, moment))
            self.coming.append((now + HOUR / 2, "begin", version_id))
            self.coming.append((now + self.luck.randint(2, 8) * HOUR, "fail" if fails else "end", version_id))
        self.read(now)


def test_every_training_that_is_due_happens_once_and_none_twice(settings: Settings, conn: Connection) -> None:
    with conn.begin():
        group = add_group(conn)
        add_dataset(conn, group)
        stream(conn, group, "before")
        rates = {"weekly": None, "often": 3, "unlucky": None}
        solutions = [add_automatic(conn, group, name, CREATED, rate) for name, rate in rates.items()]
    months = Months(settings, conn, group, solutions)

    now = CREATED.replace(minute=0)
    while now < UNTIL:
        months.pass_to(now)
        if now == PAUSED[1]:
            # Turned on again, with catch-up off: one run, for the last time that was missed.
            months.run(FULL_RETRAIN, SUNDAY + 9 * WEEK, now)
        if not PAUSED[0] <= now < PAUSED[1]:
            months.run(AUTOMATIC_TRAINING, now, now)
            if (now - SUNDAY) % WEEK == timedelta():
                months.run(FULL_RETRAIN, now, now)
        now += HOUR / 2

    # The first run that finds them 25 minutes old.
    first = CREATED.replace(hour=11, minute=0)
    sundays = {n: SUNDAY + n * WEEK for n in range(1, 12)}
    # The sixth is quiet, the eighth paused; of the ninth the run came late.
    assert months.made["weekly"] == [first, *(sundays[n] for n in (1, 2, 3, 4, 5, 7, 9, 10, 11))]

    before_quiet = [first + n * 3 * DAY for n in range(11)]
    # At the first data, and from there again every three days; then after the pause.
    after_quiet = [QUIET[1] + EVENTS_AT + n * 3 * DAY for n in range(3)]
    after_pause = [PAUSED[1] + n * 3 * DAY for n in range(7)]
    assert months.made["often"] == before_quiet + after_quiet + after_pause

    # What failed is tried again with the data that it had, so the quiet Sunday too is due after a failure.
    quiet = {sundays[6]} if ("unlucky", sundays[5]) in months.failed else set()
    assert set(months.made["unlucky"]) == {*months.made["weekly"]} | quiet
    assert 3 <= len(months.failed) < len(months.made["unlucky"])

    for solution in solutions:
        there = versions(conn, solution)
        assert [one.internal["scheduled_for"] for one in there] == [
            moment.isoformat() for moment in months.made[solution.name]
        ]
        assert {one.doc["trainingType"] for one in there} == {"AUTOMATIC"}
        failed = [one for one in there if one.status == store.CREATE_FAILED]
        assert len(failed) == len([name for name, _ in months.failed if name == solution.name])
