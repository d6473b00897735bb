"""What is due at a moment, from what is known of a solution: the rules of spec/training.md section 2, one a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipelines.registry.store import ACTIVE, CREATE_FAILED, CREATE_IN_PROGRESS, CREATE_PENDING
from pipelines.schedules.due import ASKERS, AUTOMATIC_TRAINING, FULL_RETRAIN, Asker, Known, Training, due

SUNDAY = datetime(2026, 11, 22, tzinfo=UTC)
CREATED = SUNDAY - timedelta(days=60)
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
NEW = Known("arn:taste", "taste", CREATED, None, (), new_data=True)


def trained(*began: datetime, status: str = ACTIVE, rate: timedelta | None = None) -> Known:
    """A solution with new data and a training at each of these moments; `status` is that of the last."""
    done = [Training(f"taste/{n}", moment, ACTIVE) for n, moment in enumerate(began, 1)]
    done[-1] = replace(done[-1], status=status)
    return replace(NEW, trainings=tuple(done), rate=rate)


def decided(solution: Known, now: datetime, asker: Asker) -> tuple[bool, str]:
    [decision] = due([solution], now, asker)
    assert decision.solution is solution
    return decision.due, decision.reason


def test_every_seven_days_counted_from_the_start_of_the_previous_training() -> None:
    assert decided(trained(SUNDAY - 7 * DAY), SUNDAY, FULL_RETRAIN) == (True, "every 7 days")


@pytest.mark.parametrize("seconds", [-40, -1, 0, 1, 40])
def test_a_weekly_run_is_weekly_whatever_the_seconds(seconds: int) -> None:
    assert decided(trained(SUNDAY - 7 * DAY), SUNDAY + seconds * SECOND, FULL_RETRAIN)[0]


def test_a_weekly_run_leaves_out_what_began_less_than_half_a_week_ago() -> None:
    assert decided(trained(SUNDAY - 3.4 * DAY), SUNDAY, FULL_RETRAIN) == (
        False,
        "every 7 days: not before 2026-11-22 02:24 UTC",
    )
    assert decided(trained(SUNDAY - 3.5 * DAY), SUNDAY, FULL_RETRAIN)[0]


def test_the_newest_training_counts_whatever_their_order() -> None:
    assert not decided(trained(SUNDAY - DAY, SUNDAY - 7 * DAY), SUNDAY, FULL_RETRAIN)[0]


@pytest.mark.parametrize(("days", "shown"), [(1, "every 1 day"), (3, "every 3 days"), (30, "every 30 days")])
def test_a_rate_of_its_own_is_kept_to_the_half_hour(days: int, shown: str) -> None:
    solution = trained(SUNDAY - days * DAY, rate=days * DAY)
    assert decided(solution, SUNDAY, AUTOMATIC_TRAINING) == (True, shown)
    assert decided(solution, SUNDAY - 15 * MINUTE, AUTOMATIC_TRAINING)[0]
    assert not decided(solution, SUNDAY - 16 * MINUTE, AUTOMATIC_TRAINING)[0]


def test_each_solution_is_the_business_of_one_of_the_two() -> None:
    cases = [NEW, trained(SUNDAY - 30 * DAY), trained(SUNDAY - 30 * DAY, rate=7 * DAY), replace(NEW, rate=DAY)]
    for solution in cases:
        assert sum(decided(solution, SUNDAY, asker)[0] for asker in ASKERS.values()) == 1
    assert decided(NEW, SUNDAY, FULL_RETRAIN) == (False, "first version: the business of automatic_training")
    assert decided(cases[1], SUNDAY, AUTOMATIC_TRAINING) == (False, "every 7 days: the business of full_retrain")


@pytest.mark.parametrize("minute", range(0, 30, 7))
def test_the_first_version_begins_within_the_hour_and_leaves_a_client_time_for_its_own(minute: int) -> None:
    solution = replace(NEW, automatic_since=SUNDAY + minute * MINUTE)
    runs = [SUNDAY + n * AUTOMATIC_TRAINING.every for n in range(4)]
    first = next(run for run in runs if decided(solution, run, AUTOMATIC_TRAINING) == (True, "first version"))
    assert 20 * MINUTE <= first - (SUNDAY + minute * MINUTE) <= 55 * MINUTE


def test_a_version_made_by_hand_takes_the_place_of_the_first() -> None:
    by_hand = trained(CREATED + MINUTE)
    assert not decided(by_hand, CREATED + 60 * MINUTE, AUTOMATIC_TRAINING)[0]
    assert decided(by_hand, CREATED + MINUTE + 7 * DAY, FULL_RETRAIN)[0]


def test_turned_on_again_it_is_as_with_a_new_solution() -> None:
    solution = replace(trained(SUNDAY - 2 * DAY), automatic_since=SUNDAY)
    assert not decided(solution, SUNDAY + 24 * MINUTE, AUTOMATIC_TRAINING)[0]
    assert decided(solution, SUNDAY + 25 * MINUTE, AUTOMATIC_TRAINING) == (True, "first version")


def test_without_new_interactions_nothing_is_trained() -> None:
    solution = replace(trained(SUNDAY - 7 * DAY), new_data=False)
    assert decided(solution, SUNDAY, FULL_RETRAIN) == (
        False,
        "every 7 days, but no interactions have come since the last training",
    )
    assert not decided(replace(NEW, new_data=False), SUNDAY, AUTOMATIC_TRAINING)[0]


def test_a_failed_training_is_tried_again_a_period_later_and_not_every_half_hour() -> None:
    failed = trained(SUNDAY, status=CREATE_FAILED, rate=3 * DAY)
    tries = [n for n in range(1, 200) if decided(failed, SUNDAY + n * AUTOMATIC_TRAINING.every, AUTOMATIC_TRAINING)[0]]
    assert tries[0] == 3 * 48


@pytest.mark.parametrize("status", [CREATE_PENDING, CREATE_IN_PROGRESS])
def test_while_a_training_goes_on_the_next_waits(status: str) -> None:
    solution = trained(SUNDAY - 2 * DAY, status=status, rate=DAY)
    assert decided(solution, SUNDAY, AUTOMATIC_TRAINING) == (False, f"every 1 day, but taste/1 is {status}")


def test_what_a_version_would_be_refused_for_is_the_reason() -> None:
    solution = replace(trained(SUNDAY - 7 * DAY), obstacle="no recipe has it.")
    assert decided(solution, SUNDAY, FULL_RETRAIN) == (
        False,
        "every 7 days, but a version would be refused: no recipe has it.",
    )


def test_without_automatic_training_nothing_is_due() -> None:
    solution = replace(trained(SUNDAY - 30 * DAY), automatic_since=None)
    for asker in ASKERS.values():
        assert decided(solution, SUNDAY, asker) == (False, "automatic training is off")


def test_a_run_that_is_late_decides_for_its_own_time() -> None:
    """The week was paused; on Wednesday comes the run of Sunday, and of Tuesday's training it knows nothing."""
    assert not decided(trained(SUNDAY + 2 * DAY), SUNDAY, FULL_RETRAIN)[0]
    assert not decided(replace(NEW, automatic_since=SUNDAY + 2 * DAY), SUNDAY, AUTOMATIC_TRAINING)[0]


def test_every_solution_has_its_decision_in_the_order_given() -> None:
    off = replace(NEW, automatic_since=None)
    assert [one.due for one in due([NEW, off, NEW], SUNDAY, AUTOMATIC_TRAINING)] == [True, False, True]
