"""The DAGs of declared schedules: as many as there are, at the right times, and what their tasks do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select

from pipelines.control.batch_inference_jobs import DAG_ID as ANSWERING
from pipelines.control.import_jobs import DAG_ID as IMPORTING
from pipelines.control.solution_versions import DAG_ID as TRAINING
from pipelines.declared import running, schedules
from pipelines.registry import store
from pipelines.registry.tables import outbox
from pipelines.settings import Settings
from tests.dags.conftest import DAGS
from tests.support.registry import add_dataset, add_group, add_solution, add_version

SINCE = datetime(2026, 11, 22, 11, 48, 3, tzinfo=UTC)
"""A Sunday."""
DUE = datetime(2026, 11, 29, 2, 0, tzinfo=UTC)
NO_TAGS: dict[str, Any] = {"tags": []}


@pytest.fixture
def declared(settings: Settings, conn: Connection) -> dict[str, store.Resource]:
    """Group `shop`: an import, a full training with a campaign to make, an update."""
    with conn.begin():
        group = add_group(conn)
        dataset, solution = add_dataset(conn, group), add_solution(conn, group)
        location = (settings.home.parent / "interactions").as_uri()
        role = "arn:aws:iam::123456789012:role/any"
        imported = {"location": location, "importMode": "INCREMENTAL", "roleArn": role, **NO_TAGS}
        front = {"name": "front", "minProvisionedTPS": 1, "campaignConfig": {"syncWithLatestSolutionVersion": True}}
        batch = settings.home.parent / "batch"
        asked = {
            "jobInput": {"s3DataSource": {"path": (batch / "users.json").as_uri()}},
            "jobOutput": {"s3DataDestination": {"path": batch.as_uri()}},
            "numResults": 7,
            "roleArn": role,
            **NO_TAGS,
        }
        for resource, what, expression, more in (
            (dataset, "import", "rate(6 hours)", imported),
            (solution, "full", "cron(0 2 ? * 1 *)", {"mode": "FULL", "campaigns": [{**front, **NO_TAGS}], **NO_TAGS}),
            (solution, "update", "cron(0 * * * ? *)", {"mode": "UPDATE", **NO_TAGS}),
            (solution, "batch-inference-2", "rate(1 day)", {"given": asked}),
        ):
            record = {"expression": expression, "since": SINCE.isoformat(), **more}
            schedules.declare(conn, resource.id, what, record)
    return {"dataset": dataset, "solution": solution}


@pytest.fixture
def dags(settings: Settings, declared: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the file gives now, as the dag-processor reads it."""
    from airflow.dag_processing.dagbag import DagBag

    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    bag = DagBag(dag_folder=str(DAGS / "declared_schedules.py"))
    assert bag.import_errors == {}
    yield bag.dags


def test_each_schedule_is_a_dag_with_tasks_that_a_person_can_read_about(dags: dict[str, Any]) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    assert {name: set(dag.task_ids) for name, dag in dags.items()} == {
        "schedule.shop.interactions.import": {"begin", "follow"},
        "schedule.shop.taste.batch-inference-2": {"begin", "follow"},
        "schedule.shop.taste.full": {"begin", "follow", "campaigns"},
        "schedule.shop.taste.update": {"begin", "follow"},
    }
    for dag in dags.values():
        assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == dag.dag_id
        assert {"openpersonalize", "schedule", "shop"} <= dag.tags
        named = {line.split("`")[1] for line in dag.doc_md.splitlines() if line.startswith("| `")}
        assert named == set(dag.task_ids)
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert dag.get_task("follow").reschedule
        for task in dag.tasks:
            assert task.retries >= 1 and task.on_failure_callback and task.pool == "schedules"


@pytest.mark.parametrize(
    ("name", "first", "then"),
    [
        ("taste.full", datetime(2026, 11, 29, 2, tzinfo=UTC), datetime(2026, 12, 6, 2, tzinfo=UTC)),
        ("taste.update", datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC)),
        ("interactions.import", SINCE + timedelta(hours=6), SINCE + timedelta(hours=12)),
    ],
)
def test_airflow_runs_it_when_the_plan_said(
    dags: dict[str, Any], name: str, first: datetime, then: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pendulum
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.timetables import trigger
    from airflow.timetables.base import TimeRestriction

    monkeypatch.setattr(trigger, "utcnow", lambda: pendulum.instance(SINCE))
    dag = DagSerialization.from_dict(DagSerialization.to_dict(dags[f"schedule.shop.{name}"]))
    window = TimeRestriction(earliest=dag.start_date, latest=None, catchup=False)
    info = dag.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=window)
    following = dag.timetable.next_dagrun_info(last_automated_data_interval=info.data_interval, restriction=window)
    assert (info.run_after, following.run_after) == (first, then)


def wishes(conn: Connection) -> list[tuple[str, str]]:
    with conn.begin():
        return [(row.dag_id, row.conf["request_id"]) for row in conn.execute(select(outbox).order_by("id"))]


def test_an_import_takes_what_lies_there_and_a_retry_takes_the_same(settings, conn, declared) -> None:
    arn = declared["dataset"].arn
    with pytest.raises(running.NothingToDo, match="nothing lies at"):
        running.begin(settings, arn, "import", DUE, "dag/run-1")
    (settings.home.parent / "interactions.csv").write_text("USER_ID\n")

    job = running.begin(settings, arn, "import", DUE, "dag/run-1")

    assert running.begin(settings, arn, "import", DUE, "dag/run-1") == job
    with conn.begin():
        made = store.get(conn, id=job)
    assert made is not None
    assert made.name == "shop-interactions-20261129-020000"
    assert made.doc["importMode"] == "FULL", "the first cannot add to anything"
    assert made.doc["dataSource"]["dataLocation"].endswith("/interactions.csv")
    assert wishes(conn) == [(IMPORTING, "dag/run-1")]


def test_a_training_is_automatic_of_its_moment_and_made_once(settings, conn, declared) -> None:
    arn = declared["solution"].arn
    with pytest.raises(running.NothingToDo, match="no interactions"):
        running.begin(settings, arn, "full", DUE, "dag/run-1")
    with conn.begin():
        store.update(conn, declared["dataset"].id, internal={"snapshot": {"tag": "t", "rows": 5}})

    version = running.begin(settings, arn, "full", DUE, "dag/run-1")

    assert running.begin(settings, arn, "full", DUE, "dag/run-1") == version
    with conn.begin():
        made = store.get(conn, id=version)
    assert made is not None
    assert (made.doc["trainingType"], made.internal["scheduled_for"]) == ("AUTOMATIC", DUE.isoformat())
    assert wishes(conn) == [(TRAINING, "dag/run-1")]


def test_a_batch_job_asks_the_newest_version_and_answers_into_a_folder_of_its_own(settings, conn, declared) -> None:
    arn, what = declared["solution"].arn, "batch-inference-2"
    with pytest.raises(running.NothingToDo, match="no version that could answer yet"):
        running.begin(settings, arn, what, DUE, "dag/run-1")
    with conn.begin():
        version = add_version(conn, declared["solution"])
    with pytest.raises(running.NothingToDo, match=r"nothing lies at file:.*users\.json"):
        running.begin(settings, arn, what, DUE, "dag/run-1")
    batch = settings.home.parent / "batch"
    batch.mkdir()
    (batch / "users.json").write_text('{"userId": "1"}\n')

    job = running.begin(settings, arn, what, DUE, "dag/run-1")

    assert running.begin(settings, arn, what, DUE, "dag/run-1") == job
    with conn.begin():
        made = store.get(conn, id=job)
    assert made is not None
    assert (made.name, made.parent_id, made.doc["numResults"]) == (
        "taste-batch-inference-2-20261129-020000",
        version.id,
        7,
    )
    assert made.doc["jobOutput"]["s3DataDestination"]["path"] == f"{batch.as_uri()}/{made.name}/"
    assert wishes(conn) == [(ANSWERING, "dag/run-1")]


def test_campaigns_that_waited_for_a_version_are_made_once(settings, conn, declared) -> None:
    arn = declared["solution"].arn
    with conn.begin():
        store.update(conn, declared["dataset"].id, internal={"snapshot": {"tag": "t", "rows": 5}})
    version = running.begin(settings, arn, "full", DUE, "dag/run-1")
    with conn.begin():
        store.update(conn, version, status=store.ACTIVE)

    assert [one.rpartition("/")[2] for one in running.make_campaigns(settings, arn, "dag/run-1")] == ["front"]
    assert running.make_campaigns(settings, arn, "dag/run-2") == []


def test_what_is_no_longer_declared_does_nothing(settings, conn, declared) -> None:
    with conn.begin():
        schedules.declare(conn, declared["solution"].id, "full", None)
    with pytest.raises(running.NothingToDo, match="no longer declared"):
        running.begin(settings, declared["solution"].arn, "full", DUE, "dag/run-1")
    assert {one.what for one in schedules.current(settings)} == {"import", "update", "batch-inference-2"}
