"""Which versions are due for an update, and what a person reads of the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import Connection, delete

from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import events, records, resources
from pipelines.schedules.updates_due import updates_due
from pipelines.settings import Settings
from pipelines.versions.updatable import NotUpdatable
from tests.support.registry import add_campaign, add_dataset, add_group, add_solution, add_version


class Place:
    """A solution with a deployed FULL version that has seen all there is."""

    def __init__(self, conn: Connection, settings: Settings) -> None:
        self.conn, self.settings = conn, settings
        with conn.begin():
            self.group = add_group(conn)
            self.dataset = add_dataset(conn, self.group, snapshot={"tag": "data/a", "rows": 5}, imported="job1")
            self.items = add_dataset(conn, self.group, "ITEMS", snapshot={"tag": "data/b", "rows": 5}, imported="job2")
            self.solution = add_solution(conn, self.group)
        self.version = self.train("00000001")
        with conn.begin():
            self.campaign = add_campaign(conn, self.version, status=store.ACTIVE)

    def train(self, suffix: str, **more: Any) -> Resource:
        seen = {
            "snapshots": {
                "INTERACTIONS": {"dataset_id": self.dataset.id, "tag": "data/a", "imported": "job1"},
                "ITEMS": {"dataset_id": self.items.id, "tag": "data/b", "imported": "job2"},
            },
            "event_cutoff": 0,
            "record_cutoffs": {"ITEMS": 0},
        }
        with self.conn.begin():
            return add_version(self.conn, self.solution, suffix, **seen, **more)

    def put_event(self) -> int:
        of_user = {"user_key": "u", "session_id": "s", "event_id": "e", "event_type": "view", "sent_at": 1.0}
        values = {"group_id": self.group.id, "item_id": "i", **of_user}
        with self.conn.begin():
            return int(self.conn.execute(events.insert().values(values).returning(events.c.id)).scalar_one())

    def put_item(self) -> int:
        values = {"dataset_id": self.items.id, "record_id": "i", "properties": {}}
        with self.conn.begin():
            return int(self.conn.execute(records.insert().values(values).returning(records.c.id)).scalar_one())

    def change(self, resource: Resource, **changes: Any) -> None:
        with self.conn.begin():
            store.update(self.conn, resource.id, **changes)

    def due(self, *only: str) -> list[str]:
        return [wanted["version_id"] for wanted in updates_due(self.settings, only or None)]


@pytest.fixture
def place(conn: Connection, settings: Settings) -> Place:
    return Place(conn, settings)


def test_without_anything_new_nothing_is_due(place: Place) -> None:
    assert place.due() == []


@pytest.mark.parametrize("what", ["event", "item"])
def test_a_new_event_or_item_is_a_reason_and_only_until_an_update_has_seen_it(place: Place, what: str) -> None:
    newest = place.put_event() if what == "event" else place.put_item()
    assert place.due() == [place.version.id]
    seen = {"event_cutoff": newest, "record_cutoffs": {"ITEMS": newest}}
    done = {"number": 1, "tag": "sv/x.1", "snapshots": place.version.internal["snapshots"], **seen}
    place.change(place.version, internal={"updates": [done]})
    assert place.due() == []


def test_an_import_is_a_reason_and_a_compaction_is_none(place: Place) -> None:
    for dataset in (place.dataset, place.items):
        place.change(dataset, internal={"snapshot": {"tag": "data/b-compacted", "rows": 5}})
        assert place.due() == []
        place.change(dataset, internal={"imported": "job9"})
        assert place.due() == [place.version.id]
        place.change(dataset, internal={"imported": dataset.internal["imported"]})


def test_an_update_that_was_cut_short_goes_on_whatever_has_changed(place: Place) -> None:
    place.change(place.version, internal={"updating": {"number": 3}})
    place.change(place.campaign, status=store.DELETE_PENDING)
    assert place.due() == [place.version.id]


def why_not(place: Place, caplog: pytest.LogCaptureFixture) -> str:
    place.put_event()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert place.due() == []
    said = caplog.records[-1].getMessage()
    with pytest.raises(NotUpdatable) as refused:
        place.due(place.solution.arn)
    assert said == f"{place.solution.name}: {refused.value}"
    return said


def test_only_what_is_deployed_is_updated(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.change(place.campaign, status=store.DELETE_PENDING)
    assert "deployed in no campaign" in why_not(place, caplog)


def test_only_the_newest_full_version_is_updated(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    newer = place.train("00000002")
    assert newer.arn in why_not(place, caplog)
    place.change(place.campaign, doc={"solutionVersionArn": newer.arn})
    assert place.due() == [newer.id]


def test_a_version_of_mode_update_ends_it_until_a_full_one_is_deployed(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.train("00000002", base=place.version.id)
    assert "train FULL again" in why_not(place, caplog)
    full = place.train("00000003")
    place.change(place.campaign, doc={"solutionVersionArn": full.arn})
    assert place.due() == [full.id]


def test_a_version_whose_dataset_was_deleted_is_not_updated(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    with place.conn.begin():
        place.conn.execute(delete(resources).where(resources.c.id == place.items.id))
    assert "ITEMS dataset" in why_not(place, caplog)


def test_a_recipe_that_does_not_explore_is_only_trained(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.change(place.solution, doc={"recipeArn": "arn:aws:personalize:::recipe/aws-sims"})
    assert "does not explore" in why_not(place, caplog)


def test_a_version_from_which_users_were_deleted_cannot_be_started_from(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.change(place.version, internal={"no_longer_reproducible": {"job": "j", "when": "w"}})
    assert "users who were deleted" in why_not(place, caplog)


def test_by_hand_a_solution_is_updated_without_news_and_must_exist(place: Place) -> None:
    assert place.due(place.solution.arn) == [place.version.id]
    with pytest.raises(NotUpdatable, match="no solution arn:x"):
        place.due("arn:x")
