"""What the registry promises, on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, Engine, select

from pipelines.aws.errors import InvalidNextToken, ResourceAlreadyExists, ResourceNotFound
from pipelines.registry import paging, store, wishes
from pipelines.registry.database import NOTIFY_CHANNEL, engine, libpq_url
from pipelines.registry.tables import outbox
from pipelines.registry.tags import tags_of
from pipelines.settings import Settings


@pytest.fixture
def db(settings: Settings) -> Iterator[Engine]:
    ours = engine(settings)
    yield ours
    ours.dispose()


@pytest.fixture
def conn(db: Engine) -> Iterator[Connection]:
    with db.begin() as connection:
        yield connection


def make(conn: Connection, name: str = "a", **given: object) -> store.Resource:
    values = {"kind": "Schema", "arn": f"arn:{name}", "name": name, "status": None, "doc": {}, **given}
    return store.insert(conn, **values)  # type: ignore[arg-type]


def test_an_inserted_resource_is_found_by_arn_and_by_id(conn: Connection) -> None:
    made = make(conn, doc={"schema": "{}"}, internal={"n": 1}, request_id="r-1", tags={"k": "v"})
    assert store.get(conn, arn="arn:a") == store.get(conn, id=made.id, lock=True) == made
    assert (made.doc, made.internal, made.request_id) == ({"schema": "{}"}, {"n": 1}, "r-1")
    assert tags_of(conn, made.id) == {"k": "v"}
    assert store.get(conn, arn="arn:b") is None


def test_a_taken_arn_is_refused_and_the_transaction_goes_on(conn: Connection) -> None:
    make(conn)
    with pytest.raises(ResourceAlreadyExists, match="arn:a"):
        make(conn)
    assert make(conn, "b").name == "b"


def test_of_two_inserts_at_once_exactly_one_wins(db: Engine) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def insert() -> None:
        with db.begin() as conn:
            barrier.wait()
            try:
                make(conn)
                outcomes.append("made")
            except ResourceAlreadyExists:
                outcomes.append("refused")

    threads = [threading.Thread(target=insert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused", "refused", "refused"]


def test_update_merges_documents_and_changes_only_what_is_given(conn: Connection) -> None:
    made = make(conn, status="ACTIVE", doc={"a": 1, "b": {"c": 2}}, internal={"x": 1})
    changed = store.update(conn, made.id, doc={"b": {"d": 3}}, failure_reason="why")
    assert changed.doc == {"a": 1, "b": {"d": 3}}
    assert (changed.internal, changed.status, changed.failure_reason) == ({"x": 1}, "ACTIVE", "why")
    assert store.update(conn, made.id, status="CREATE FAILED", failure_reason=None).failure_reason is None


def test_update_of_a_resource_that_is_gone_says_so(conn: Connection) -> None:
    with pytest.raises(ResourceNotFound):
        store.update(conn, "0" * 16, status="ACTIVE")


def test_touch_decides_whether_the_update_shows(db: Engine) -> None:
    with db.begin() as conn:
        made = make(conn)
    with db.begin() as conn:
        assert store.update(conn, made.id, internal={"n": 1}, touch=False).updated_at == made.updated_at
        assert store.update(conn, made.id, internal={"n": 2}).updated_at > made.updated_at


def test_children_and_group_members_are_found(conn: Connection) -> None:
    group = make(conn, "g", kind="DatasetGroup")
    solution = make(conn, "s", kind="Solution", group_id=group.id)
    version = make(conn, "v", kind="SolutionVersion", group_id=group.id, parent_id=solution.id)
    assert store.children(conn, solution.id) == [version]
    assert store.children(conn, solution.id, "Campaign") == []
    assert {r.id for r in store.in_group(conn, group.id)} == {solution.id, version.id}


def test_pages_neither_repeat_nor_lose_a_row_when_rows_are_inserted_between(db: Engine) -> None:
    names = [f"n{i}" for i in range(5)]
    for name in names:
        with db.begin() as conn:
            make(conn, name)
    seen, token = [], None
    for step in range(3):
        with db.begin() as conn:
            page = paging.page(conn, "Schema", token=token, limit=2)
            make(conn, f"late{step}")
        seen += [r.name for r in page.resources]
        token = page.next_token
    assert seen == names[::-1]
    assert token is None


def test_a_token_of_another_list_is_refused(conn: Connection) -> None:
    for name in "abc":
        make(conn, name)
    token = paging.page(conn, "Schema", limit=1).next_token
    assert token is not None
    for bad in (token[:-4], "not-a-token", "W10=", "é", token.swapcase()):
        with pytest.raises(InvalidNextToken):
            paging.page(conn, "Schema", token=bad)
    with pytest.raises(InvalidNextToken):
        paging.page(conn, "Campaign", token=token)


def test_a_wish_is_written_once_and_wakes_the_listener_at_commit(db: Engine, settings: Settings) -> None:
    with psycopg.connect(libpq_url(settings), autocommit=True) as listener:
        listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
        with db.begin() as conn:
            version = make(conn, "solution/0a1b2c3d", kind="SolutionVersion", request_id="r-9")
            run_id = wishes.wish(conn, version, "solution_version")
            assert wishes.wish(conn, version, "solution_version") == run_id
        assert run_id == f"solution.0a1b2c3d.{version.id}"
        assert [n.channel for n in listener.notifies(timeout=5, stop_after=1)] == [NOTIFY_CHANNEL]
    with db.begin() as conn:
        [row] = conn.execute(select(outbox)).all()
    assert row.run_id == run_id
    assert row.conf == {"resource_id": version.id, "resource_arn": version.arn, "request_id": "r-9"}


def test_deleting_a_resource_takes_tags_and_wishes_along(conn: Connection) -> None:
    made = make(conn, tags={"k": "v"})
    wishes.wish(conn, made, "dataset_import")
    store.delete(conn, made.id)
    assert store.get(conn, id=made.id) is None
    assert conn.execute(select(outbox)).all() == []
