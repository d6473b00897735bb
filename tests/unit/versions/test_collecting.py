"""`openpersonalize gc`: which versions go, what of them goes, and what they say afterwards. Nothing is trained here."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from pipelines.platform.gc_command import lines
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from pipelines.versions.collecting import Freed, collect, decide, look
from pipelines.versions.errors import VersionGone
from pipelines.versions.history import versions_of
from pipelines.versions.publishing import restore
from tests.support.registry import add_campaign, add_group, add_solution, add_version, wanted

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
def solution(conn: Connection) -> Resource:
    with conn.begin():
        return add_solution(conn, add_group(conn))


def add(conn: Connection, solution: Resource, *names: str, status: str = store.ACTIVE, **internal: object) -> Resource:
    """Versions in the order of their creation; the last."""
    for name in names:
        # A transaction each: in one they would be of the same moment.
        with conn.begin():
            version = add_version(conn, solution, name, status=status)
            version = store.update(conn, version.id, internal={"tag": f"sv/{solution.id}/{version.id}", **internal})
    return version


def kept(conn: Connection, solution: Resource, keep_last: int) -> dict[str, str | None]:
    """By name, why it stays."""
    with conn.begin():
        decisions = decide(conn, solution, keep_last)
    return {one.version.arn.rpartition("/")[2]: one.kept_for for one in decisions}


def test_the_newest_stay(conn: Connection, solution: Resource) -> None:
    add(conn, solution, "a", "b", "c", "d")
    newest = "among the newest"
    assert kept(conn, solution, 2) == {"d": newest, "c": newest, "b": None, "a": None}


def test_what_a_campaign_serves_or_is_updated_to_or_can_go_back_to_stays(conn: Connection, solution: Resource) -> None:
    old = add(conn, solution, "old")
    target = add(conn, solution, "target")
    add(conn, solution, "between", "new")
    with conn.begin():
        home = add_campaign(conn, old, status=store.ACTIVE)
        # An update that runs, or that failed: the campaign serves one and names the other.
        store.update(conn, home.id, internal={"deployment": wanted(target)})
    assert kept(conn, solution, 1) == {
        "new": "among the newest",
        "between": None,
        "target": "campaign home",
        "old": "campaign home",
    }


def test_what_is_made_updated_or_waits_and_what_others_stand_on_stays(conn: Connection, solution: Resource) -> None:
    base = add(conn, solution, "base")
    add(conn, solution, "updating", updating={"number": 2})
    add(conn, solution, "held", held={"reason": "worse", "decision": None})
    add(conn, solution, "decided", held={"reason": "worse", "decision": {"choice": "rejected"}})
    add(conn, solution, "failed", status=store.CREATE_FAILED)
    add(conn, solution, "stopped", status=store.CREATE_STOPPED)
    add(conn, solution, "update", base=base.id)
    add(conn, solution, "running", status=store.CREATE_IN_PROGRESS)
    add(conn, solution, "unpublished", status=store.CREATE_FAILED)
    assert kept(conn, solution, 1) == {
        "unpublished": "its run can be repeated",
        "running": "CREATE IN_PROGRESS",
        "update": "among the newest",
        "stopped": None,
        "failed": None,
        "decided": None,
        "held": "it waits for a person",
        "updating": "it is being updated",
        "base": "update has its weights",
    }


def tagged(settings: Settings, solution: Resource, *versions: Resource, suffix: str = "") -> GroupRepository:
    repository = GroupRepository(settings, str(solution.group_id))
    repository.ensure()
    for version in versions:
        repository._git("tag", f"sv/{solution.id}/{version.id}{suffix}", "main")
    return repository


def test_tags_updates_and_bentos_of_what_goes_are_gone_and_its_metrics_stay(
    conn: Connection, settings: Settings, solution: Resource
) -> None:
    old = add(conn, solution, "old", metrics={"coverage": 0.5})
    new = add(conn, solution, "new")
    repository = tagged(settings, solution, old, new)
    for number in (1, 2):
        tagged(settings, solution, old, new, suffix=f".{number}")
    repository._git("branch", f"solution/{solution.id}", "main")
    model = settings.bento_home / "models" / f"solution-{solution.id}" / old.id
    model.mkdir(parents=True)

    assert [one.kept_for for one in look(settings, solution, 1).decisions] == ["among the newest", None]
    assert len(repository.tags("sv")) == 6, "to look changes nothing"
    found = collect(settings, solution, 1, NOW)

    assert [one.version.id for one in found.decisions if one.kept_for is None] == [old.id]
    own = f"sv/{solution.id}/{new.id}"
    assert repository.tags("sv") == [own, f"{own}.1", f"{own}.2"]
    assert not model.exists()
    with conn.begin():
        [_, past] = versions_of(settings, conn, solution)
    assert (past.id, past.metrics, past.tag) == (old.id, {"coverage": 0.5}, None)
    assert past.dropped is not None and "dropped on 2026-05-04 by `openpersonalize gc`" in past.dropped
    with pytest.raises(VersionGone, match="openpersonalize gc"):
        restore(settings, old.id)


def test_a_call_that_was_cut_off_is_finished_by_the_next(
    conn: Connection, settings: Settings, solution: Resource
) -> None:
    old = add(conn, solution, "old", dropped={"at": NOW.isoformat()})
    add(conn, solution, "new")
    repository = tagged(settings, solution, old)
    assert collect(settings, solution, 1, NOW).decisions[0].version.id != old.id
    assert repository.tags("sv") == []


def test_what_is_said(conn: Connection, solution: Resource) -> None:
    add(conn, solution, "a", "b")
    with conn.begin():
        freed = Freed("taste", decide(conn, solution, 1), 12_345_678)
    assert lines([freed], dry=True) == [
        "taste: 1 versions stay, 1 go",
        "  b  kept: among the newest",
        "  a  would be dropped",
        "would free 12.3 MB of the remote, and what the cache had of it",
    ]
