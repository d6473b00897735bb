"""What a run of the two DAGs does in the registry: whom it finds, that it makes a version once, what it waits for."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, select

from pipelines.aws.errors import InvalidInput, LimitExceeded, ResourceNotFound
from pipelines.control.context import Context
from pipelines.control.solution_versions import create_solution_version
from pipelines.quotas import Quotas
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import outbox
from pipelines.schedules.due import AUTOMATIC_TRAINING, FULL_RETRAIN
from pipelines.schedules.retraining import Run, TrainingFailed, create, ended, look
from pipelines.settings import Settings
from tests.support.registry import add_dataset, add_group, add_solution, add_version
from tests.support.schedules import add_automatic, at, stream, train, versions

CREATED = datetime(2026, 3, 1, 10, 10, tzinfo=UTC)
FIRST = Run(AUTOMATIC_TRAINING, CREATED + timedelta(minutes=50), "scheduled__first")
WEEK = Run(FULL_RETRAIN, CREATED + timedelta(days=7), "scheduled__week")


@pytest.fixture
def group(conn: Connection) -> Resource:
    """With one event."""
    with conn.begin():
        group = add_group(conn)
        add_dataset(conn, group)
        stream(conn, group, "e1")
        return group


@pytest.fixture
def solution(conn: Connection, group: Resource) -> Resource:
    with conn.begin():
        return add_automatic(conn, group, "taste", CREATED)


def names(settings: Settings, run: Run) -> list[str]:
    return sorted(one["name"] for one in look(settings, run))


def test_the_version_of_a_schedule_is_due_at_its_runs_time_and_has_its_wish(settings, conn, solution) -> None:
    assert names(settings, FIRST) == ["taste"]
    version_id = create(settings, FIRST, solution.arn)
    [version] = versions(conn, solution)
    assert version.id == version_id
    assert (version.doc["trainingType"], version.doc["trainingMode"]) == ("AUTOMATIC", "FULL")
    assert version.internal["scheduled_for"] == FIRST.moment.isoformat()
    with conn.begin():
        [wish] = conn.execute(select(outbox)).all()
    assert (wish.dag_id, wish.resource_id) == ("solution_version", version_id)
    assert wish.conf["request_id"] == "automatic_training/scheduled__first"


def test_a_retry_gets_the_same_version_even_after_it_has_ended(settings, conn, solution) -> None:
    version_id = create(settings, FIRST, solution.arn)
    assert version_id is not None
    assert create(settings, FIRST, solution.arn) == version_id
    train(settings, conn, version_id)
    assert create(settings, FIRST, solution.arn) == version_id


def test_of_runs_at_the_same_time_one_makes_it(settings, conn, solution) -> None:
    runs = [replace(FIRST, id=f"run{n}") for n in range(4)]
    assert all(names(settings, run) == ["taste"] for run in runs)
    with ThreadPoolExecutor(len(runs)) as threads:
        made = list(threads.map(lambda run: create(settings, run, solution.arn), runs))
    assert len([id for id in made if id is not None]) == 1
    assert len(versions(conn, solution)) == 1


def test_a_version_by_hand_in_between_makes_it_no_longer_due(settings, conn, solution) -> None:
    assert names(settings, FIRST) == ["taste"]
    with conn.begin():
        add_version(conn, solution)
    assert create(settings, FIRST, solution.arn) is None


def test_updating_a_model_is_no_training_from_all_data(settings, conn, solution) -> None:
    version_id = create(settings, FIRST, solution.arn)
    assert version_id is not None
    train(settings, conn, version_id)
    with conn.begin():
        stream(conn, solution_group(conn, solution), "e2")
        update = add_version(conn, solution, "00000002")
        store.update(conn, update.id, doc={"trainingMode": "UPDATE"})
    assert names(settings, WEEK) == ["taste"]


def solution_group(conn: Connection, solution: Resource) -> Resource:
    group = store.get(conn, id=solution.group_id)
    assert group is not None
    return group


def test_asked_for_it_is_trained_due_or_not(settings, conn, group, solution) -> None:
    with conn.begin():
        off = add_solution(conn, group, "off", performAutoTraining=False)
    assert names(settings, WEEK) == []
    assert names(settings, replace(WEEK, force=True)) == ["taste"]
    named = replace(WEEK, only=[off.arn], force=True)
    assert names(settings, named) == ["off"]
    first = create(settings, named, off.arn)
    again = create(settings, replace(named, id="manual__2"), off.arn)
    assert first is not None
    assert again is not None
    assert [version.id for version in versions(conn, off)] == [first, again]


def test_only_those_named_are_looked_at(settings, conn, group, solution) -> None:
    with conn.begin():
        other = add_automatic(conn, group, "other", CREATED)
    assert names(settings, FIRST) == ["other", "taste"]
    assert names(settings, replace(FIRST, only=[other.arn, other.arn])) == ["other"]
    with pytest.raises(ResourceNotFound, match="solution/none does not exist"):
        look(settings, replace(FIRST, only=["arn:aws:personalize:us-east-1:123456789012:solution/none"]))


def test_the_log_says_why_and_why_not(settings, conn, group, solution, caplog) -> None:
    with conn.begin():
        add_automatic(conn, group, "young", CREATED + timedelta(minutes=45))
        at(conn, add_solution(conn, group, "off", performAutoTraining=False), CREATED + timedelta(days=1))
        at(conn, add_solution(conn, group, "off-too", performAutoTraining=False), CREATED + timedelta(days=2))
    with caplog.at_level(logging.INFO):
        look(settings, FIRST)
    assert [record.getMessage() for record in caplog.records] == [
        "1 solution(s) to train at 2026-03-01T11:00+00:00",
        "taste: first version",
        "not young: first version: not before 2026-03-01 11:20 UTC",
        "not off, off-too: automatic training is off",
    ]


def test_a_recipe_that_cannot_be_trained_is_a_reason_and_no_red_box_every_half_hour(settings, conn, group) -> None:
    with conn.begin():
        gone = add_automatic(conn, group, "own", CREATED)
        store.update(conn, gone.id, doc={"recipeArn": "arn:aws:personalize:::recipe/of-a-package-that-is-gone"})
    assert names(settings, FIRST) == []
    with pytest.raises(ResourceNotFound, match="no recipe has it"):
        create(settings, replace(FIRST, force=True), gone.arn)


def test_what_no_schedule_can_mend_is_refused_as_by_the_api(settings, conn) -> None:
    with conn.begin():
        empty = add_automatic(conn, add_group(conn, "empty"), "empty", CREATED)
    with pytest.raises(InvalidInput, match="no Interactions dataset"):
        create(settings, replace(FIRST, force=True), empty.arn)


def test_a_solution_that_is_deleted_meanwhile_is_left_alone(settings, conn, solution) -> None:
    with conn.begin():
        store.update(conn, solution.id, status=store.DELETE_PENDING)
    assert names(settings, FIRST) == []
    assert create(settings, FIRST, solution.arn) is None
    assert create(settings, FIRST, solution.arn + "x") is None


def test_waiting_ends_with_the_version_and_says_why_it_failed(settings, conn, solution) -> None:
    version_id = create(settings, FIRST, solution.arn)
    assert version_id is not None
    assert not ended(settings, version_id)
    train(settings, conn, version_id, fails=True)
    with pytest.raises(TrainingFailed, match=r"taste/[0-9a-f]{8} is CREATE FAILED: The disk was full\.$"):
        ended(settings, version_id)
    with conn.begin():
        store.update(conn, version_id, status=store.CREATE_STOPPING)
    assert not ended(settings, version_id)
    # One that somebody stopped has not failed.
    for status in (store.CREATE_STOPPED, store.ACTIVE):
        with conn.begin():
            store.update(conn, version_id, status=status)
        assert ended(settings, version_id)
    assert ended(settings, "0" * 16)


def test_what_schedules_make_is_not_counted_against_clients(settings, conn, group, solution) -> None:
    settings = replace(settings, quotas=Quotas.read("unfinished_solution_versions=1"))
    with conn.begin():
        other = add_automatic(conn, group, "other", CREATED)
    assert None not in [create(settings, FIRST, one.arn) for one in (solution, other)]
    with conn.begin():
        context = Context(conn, settings, "r-1", CREATED)
        create_solution_version(context, {"solutionArn": solution.arn})
        with pytest.raises(LimitExceeded, match="More than 1"):
            create_solution_version(context, {"solutionArn": solution.arn})
