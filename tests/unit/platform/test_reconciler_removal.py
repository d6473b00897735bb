"""Deletes end: rows, files, refs, Bentos and events of what was deleted are gone, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, insert, select

from pipelines.platform.removal import remove_deleted
from pipelines.platform.upkeep import prune_rows, turn_partitions
from pipelines.registry import store, wishes
from pipelines.registry.store import Resource
from pipelines.registry.tables import action_events, events, outbox, records, resources, workers
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from tests.support.registry import add, add_campaign, add_dataset, add_group, add_solution, add_version


def now(conn: Connection) -> datetime:
    with conn.begin():
        return conn.execute(select(func.clock_timestamp())).scalar_one()


def mark(conn: Connection, *doomed: Resource) -> None:
    with conn.begin():
        for resource in doomed:
            store.update(conn, resource.id, status=store.DELETE_PENDING)


def ids(conn: Connection) -> set[str]:
    with conn.begin():
        return set(conn.execute(select(resources.c.id)).scalars())


def add_event(conn: Connection, group: Resource, event_id: str) -> None:
    values = {
        "group_id": group.id,
        "user_key": "u",
        "session_id": "s",
        "event_id": event_id,
        "event_type": "view",
        "sent_at": 1.0,
    }
    conn.execute(insert(events).values(values))


def count_events(conn: Connection, group: Resource) -> int:
    with conn.begin():
        return conn.execute(select(func.count()).where(events.c.group_id == group.id)).scalar_one()


def test_a_solution_takes_its_versions_tags_and_bentos_with_it(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        group = add_group(conn)
        kept, doomed = add_solution(conn, group, "kept"), add_solution(conn, group, "doomed")
        kept_version, version = add_version(conn, kept), add_version(conn, doomed)
        wishes.wish(conn, version, "solution_version")
    repository = GroupRepository(settings, group.id)
    for solution, one in ((kept, kept_version), (doomed, version)):
        with repository.worktree(f"solution/{solution.id}", one.id) as tree:
            tree.git("tag", f"sv/{solution.id}/{one.id}")
        (settings.bento_home / "models" / f"solution-{solution.id}" / one.id).mkdir(parents=True)
    mark(conn, doomed)
    remove_deleted(conn, settings, now(conn))
    assert ids(conn) == {group.id, kept.id, kept_version.id}
    assert repository._git("tag") == f"sv/{kept.id}/{kept_version.id}"
    assert [path.name for path in (settings.bento_home / "models").iterdir()] == [f"solution-{kept.id}"]
    with conn.begin():
        assert conn.execute(select(func.count()).select_from(outbox)).scalar_one() == 0


def test_a_solution_waits_for_its_campaign_and_both_go_in_one_pass(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        group = add_group(conn)
        version = add_version(conn, add_solution(conn, group))
        solution = store.get(conn, id=version.parent_id)
        campaign = add_campaign(conn, version, status=store.ACTIVE)
    assert solution is not None
    mark(conn, solution)
    assert remove_deleted(conn, settings, now(conn)) == 0
    mark(conn, campaign)
    assert remove_deleted(conn, settings, now(conn)) == 2
    assert ids(conn) == {group.id}


def test_a_version_in_training_holds_up_its_solutions_removal(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
        version = add_version(conn, solution, status=store.CREATE_IN_PROGRESS)
    mark(conn, solution)
    assert remove_deleted(conn, settings, now(conn)) == 0
    with conn.begin():
        store.update(conn, version.id, status=store.CREATE_FAILED)
    assert remove_deleted(conn, settings, now(conn)) == 1


def test_a_solution_takes_the_batch_jobs_of_its_versions_with_it(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        group = add_group(conn)
        solution = add_solution(conn, group)
        version = add_version(conn, solution)
        jobs = [
            add(conn, f"Batch{kind}Job", "nightly", group=group, parent=version, status=store.CREATE_IN_PROGRESS)
            for kind in ("Inference", "Segment")
        ]
    (settings.batch_dir / jobs[0].id).mkdir(parents=True)
    mark(conn, solution)
    assert remove_deleted(conn, settings, now(conn)) == 0, "it waits for the jobs"
    with conn.begin():
        for job in jobs:
            store.update(conn, job.id, status=store.ACTIVE)
    assert remove_deleted(conn, settings, now(conn)) == 1
    assert ids(conn) == {group.id}
    assert not (settings.batch_dir / jobs[0].id).exists()


def test_an_interactions_dataset_takes_its_jobs_reports_and_events_with_it(
    conn: Connection, settings: Settings
) -> None:
    with conn.begin():
        group, other = add_group(conn), add_group(conn, "other")
        dataset, items = add_dataset(conn, group), add_dataset(conn, group, "ITEMS")
        job = add(conn, "DatasetImportJob", "import-1", group=group, parent=dataset)
        for event_id, of in (("e1", group), ("e2", other)):
            add_event(conn, of, event_id)
    (settings.imports_dir / job.id).mkdir(parents=True)
    mark(conn, dataset)
    remove_deleted(conn, settings, now(conn))
    left = ids(conn)
    assert not {dataset.id, job.id} & left and {group.id, other.id, items.id} <= left
    assert not (settings.imports_dir / job.id).exists()
    assert (count_events(conn, group), count_events(conn, other)) == (0, 1)


def test_a_dataset_takes_its_jobs_and_all_that_was_streamed_into_it(conn: Connection, settings: Settings) -> None:
    record = {"record_id": "r", "properties": {}}
    event = {"user_key": "u", "session_id": "s", "event_id": "e", "event_type": "TAKEN", "action_id": "a", "sent_at": 1}
    with conn.begin():
        group = add_group(conn)
        gone, stays = add_dataset(conn, group, "ITEMS"), add_dataset(conn, group, "USERS")
        for dataset in (gone, stays):
            conn.execute(insert(records).values({**record, "dataset_id": dataset.id}))
            conn.execute(insert(action_events).values({**event, "dataset_id": dataset.id}))
        jobs = [add(conn, f"Dataset{kind}Job", kind, group=group, parent=gone) for kind in ("Import", "Export")]
        deletion = add(conn, "DataDeletionJob", "leave", status=store.COMPLETED, group=group)
    folders = [settings.imports_dir / jobs[0].id, settings.exports_dir / jobs[1].id, settings.imports_dir / gone.id]
    for folder in (*folders, settings.deletions_dir / deletion.id):
        folder.mkdir(parents=True)
    repository = GroupRepository(settings, group.id)
    for dataset in (gone, stays):
        with repository.worktree(f"data/{dataset.id}", "job") as tree:
            tree.git("tag", f"data/{dataset.id}/job")
    mark(conn, gone)
    assert remove_deleted(conn, settings, now(conn)) == 1
    assert {gone.id, *(job.id for job in jobs)} & ids(conn) == set()
    assert {stays.id, deletion.id} <= ids(conn)
    assert [folder.exists() for folder in folders] == [False] * 3
    assert repository._git("for-each-ref", "--format=%(refname)").splitlines() == [
        f"refs/heads/data/{stays.id}",
        "refs/heads/main",
        f"refs/tags/data/{stays.id}/job",
    ]
    with conn.begin():
        for table in (records, action_events):
            assert conn.execute(select(table.c.dataset_id)).scalars().all() == [stays.id]


def test_a_group_takes_its_deletion_jobs_with_their_reports(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        group = add_group(conn)
        deletion = add(conn, "DataDeletionJob", "leave", status=store.IN_PROGRESS, group=group)
    (settings.deletions_dir / deletion.id).mkdir(parents=True)
    mark(conn, group)
    remove_deleted(conn, settings, now(conn))
    later = now(conn) + timedelta(seconds=1)
    assert remove_deleted(conn, settings, later) == 0, "it waits for the job"
    with conn.begin():
        store.update(conn, deletion.id, status=store.COMPLETED)
    assert remove_deleted(conn, settings, later) == 1
    assert ids(conn) == set()
    assert not (settings.deletions_dir / deletion.id).exists()


def test_a_group_stays_describable_for_half_a_second_then_all_of_it_is_gone(
    conn: Connection, settings: Settings
) -> None:
    with conn.begin():
        group, other = add_group(conn), add_group(conn, "other")
        dataset = add_dataset(conn, group)
        add(conn, "DatasetImportJob", "import-1", group=group, parent=dataset)
        add_event(conn, group, "e1")
    for one in (group, other):
        GroupRepository(settings, one.id).ensure()
    Path(GroupRepository(settings, group.id).layout.remote_url).mkdir(parents=True)
    mark(conn, group)
    start = now(conn)
    assert remove_deleted(conn, settings, start) == 0
    with conn.begin():
        shown = store.get(conn, id=group.id)
    assert shown is not None and shown.status == store.DELETE_IN_PROGRESS
    assert remove_deleted(conn, settings, shown.updated_at + timedelta(seconds=0.4)) == 0
    assert remove_deleted(conn, settings, shown.updated_at + timedelta(seconds=0.5)) == 1
    with conn.begin():
        assert store.in_group(conn, group.id) == [] and store.get(conn, id=other.id) is not None
    assert count_events(conn, group) == 0
    assert [path.name for path in settings.groups_dir.iterdir()] == [other.id]
    assert not Path(GroupRepository(settings, group.id).layout.remote_url).exists()


def test_files_that_cannot_be_removed_hold_up_only_their_own_resource(
    conn: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conn.begin():
        group = add_group(conn)
        solution, tracker = add_solution(conn, group), add(conn, "EventTracker", "tracker", group=group)
        dataset = add_dataset(conn, group)
    mark(conn, solution, tracker, dataset)
    real = GroupRepository.forget

    def broken(self: GroupRepository, branch: str, tags: str) -> None:
        if branch.startswith("solution/"):
            raise PermissionError("read-only file system")
        real(self, branch, tags)

    monkeypatch.setattr(GroupRepository, "forget", broken)
    remove_deleted(conn, settings, now(conn))
    assert {solution.id} == ids(conn) & {solution.id, tracker.id, dataset.id}
    monkeypatch.undo()
    remove_deleted(conn, settings, now(conn))
    assert solution.id not in ids(conn)


def test_dead_workers_and_old_fulfilled_wishes_are_forgotten(conn: Connection) -> None:
    at = datetime(2026, 1, 10, tzinfo=UTC)
    with conn.begin():
        version = add_version(conn, add_solution(conn, add_group(conn)))
        for name, seconds in (("alive", 1), ("dead", 61)):
            values = {"id": name, "pid": 1, "heartbeat_at": at - timedelta(seconds=seconds)}
            conn.execute(insert(workers).values(values))
        for number, settled in enumerate((None, at - timedelta(days=6), at - timedelta(days=8))):
            row = {"resource_id": version.id, "dag_id": "d", "run_id": str(number), "conf": {}, "settled_at": settled}
            conn.execute(insert(outbox).values(row))
    prune_rows(conn, at)
    with conn.begin():
        assert conn.execute(select(workers.c.id)).scalars().all() == ["alive"]
        assert sorted(conn.execute(select(outbox.c.run_id)).scalars()) == ["0", "1"]


def test_partitions_of_served_are_there_before_their_hour(conn: Connection) -> None:
    at = datetime(2026, 1, 10, 7, 59, tzinfo=UTC)
    turn_partitions(conn, at)
    with conn.begin():
        names = conn.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relname ~ '^served_[0-9]+$' ORDER BY relname"
        ).scalars()
        assert list(names)[:2] == ["served_2026011007", "served_2026011008"]
