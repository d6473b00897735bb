"""What holds for every kind of resource alike: lists page by page, times, reasons, tags, what holds up a delete."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Engine

from pipelines.aws import models
from pipelines.aws.errors import CONTROL
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from tests.support.calling import Caller, Refused
from tests.support.group import RECIPE
from tests.support.kinds import KINDS, Kind

ALL = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
OF_SEGMENTS = {"BatchSegmentJob"}
"""Their version is one of a USER_SEGMENTATION recipe."""


@dataclass
class World:
    """One platform with a resource of every kind."""

    call: Caller
    db: Engine
    arns: dict[str, str]

    def refused(self, operation: str, **given: Any) -> tuple[str, str]:
        """Code and message."""
        with pytest.raises(Refused) as failure:
            self.call(operation, **given)
        return failure.value.code, failure.value.message

    def list(self, kind: Kind, **given: Any) -> tuple[list[str], str | None]:
        """The ARNs of one page, and the token of the next."""
        page = self.call(kind.list, **given)
        return [shown[kind.arn] for shown in page[kind.key]], page.get("nextToken")

    def all(self, kind: Kind, **given: Any) -> list[str]:
        return self.list(kind, maxResults=100, **given)[0]

    def describe(self, kind: Kind) -> dict[str, Any]:
        described = self.call(f"Describe{kind.name}", **{kind.arn: self.arns[kind.name]})
        return dict(described[kind.member])

    def narrowing(self, kind: Kind) -> dict[str, str]:
        """What narrows the kind's list to where its resource is."""
        if kind.within is None:
            return {}
        if kind.within in ("SolutionVersion", "Solution"):
            arn = self.row(kind.name).doc.get("solutionVersionArn", self.arns["SolutionVersion"])
            return {
                f"{kind.within[0].lower()}{kind.within[1:]}Arn": arn
                if kind.within == "SolutionVersion"
                else arn.rpartition("/")[0]
            }
        group = "EcommerceGroup" if kind.domain else kind.within
        return {f"{kind.within[0].lower()}{kind.within[1:]}Arn": self.arns[group]}

    def row(self, name: str) -> Resource:
        with self.db.begin() as conn:
            found = store.get(conn, arn=self.arns[name])
        assert found is not None
        return found

    def move(self, arn: str, **changes: Any) -> None:
        with self.db.begin() as conn:
            found = store.get(conn, arn=arn)
            assert found is not None
            store.update(conn, found.id, **changes)

    def sibling(self, name: str, **changes: Any) -> str:
        """The ARN of another row like the resource of that kind; many may be there where clients may make one."""
        like, id = self.row(name), uuid.uuid4().hex[:8]
        given = {"status": like.status, "parent_id": like.parent_id, "schema_id": like.schema_id, **changes}
        with self.db.begin() as conn:
            store.insert(
                conn,
                kind=like.kind,
                arn=f"{like.arn}-{id}",
                name=f"{like.name}-{id}",
                group_id=like.group_id,
                doc=like.doc,
                internal=like.internal,
                **given,
            )
        return f"{like.arn}-{id}"

    def remove(self, arn: str) -> None:
        with self.db.begin() as conn:
            found = store.get(conn, arn=arn)
            if found is not None:
                store.delete(conn, found.id)


@pytest.fixture(scope="module")
def world(shared_settings: Settings) -> Iterator[World]:
    db = engine(shared_settings)
    world = World(Caller(shared_settings), db, {})
    for kind in KINDS.values():
        _make(world, kind)
    yield world
    world.call.close()
    db.dispose()


def _make(world: World, kind: Kind) -> None:
    """The resource of a kind, called `the`, usable; parents come first in KINDS."""
    parent = world.arns[kind.parent] if kind.parent else None
    given: dict[str, Any] = {}
    if kind.name == "Dataset":
        given["schemaArn"] = world.arns["Schema"]
    if kind.domain:
        made = world.call("CreateDatasetGroup", name="shop", domain=kind.domain)
        parent = world.arns["EcommerceGroup"] = made["datasetGroupArn"]
    if kind.name in OF_SEGMENTS:
        parent = world.sibling("SolutionVersion")
        world.move(parent, doc={"recipeArn": RECIPE + "item-affinity"})
    answer = world.call(f"Create{kind.name}", **kind.create("the", parent, **given))
    world.arns[kind.name] = answer[kind.arn]
    if kind.works:
        world.move(answer[kind.arn], status=kind.done)


@ALL
def test_pages_survive_what_is_made_and_deleted_between_them(world: World, kind: Kind) -> None:
    """Narrowed or not: each row that stays is shown once, in one order, whatever comes and goes meanwhile."""
    for narrowed in ({}, world.narrowing(kind)) if kind.within else ({},):
        arns = [world.sibling(kind.name) for _ in range(5)]
        there = world.all(kind, **narrowed)
        assert there[:5] == arns[::-1]
        seen, token = world.list(kind, maxResults=2, **narrowed)
        late = [world.sibling(kind.name)]
        world.remove(seen[1])  # the row that the token names
        world.remove(arns[1])  # one that is still to come
        while token:
            page, token = world.list(kind, maxResults=2, nextToken=token, **narrowed)
            seen += page
            late.append(world.sibling(kind.name))
        assert seen == [arn for arn in there if arn != arns[1]]
        for arn in (*arns, *late):
            world.remove(arn)


@ALL
def test_a_token_is_good_for_its_own_list_only(world: World, kind: Kind) -> None:
    sibling, narrowed = world.sibling(kind.name), world.narrowing(kind)
    _, whole = world.list(kind, maxResults=1)
    _, part = world.list(kind, maxResults=1, **narrowed)
    other = KINDS["Schema" if kind.name == "DatasetGroup" else "DatasetGroup"]
    wrong: list[tuple[Kind, dict[str, Any]]] = [(other, {"nextToken": whole}), (kind, {"nextToken": f"{whole}x"})]
    if narrowed:
        [(member, arn)] = narrowed.items()
        wrong += [
            (kind, {"nextToken": part}),
            (kind, {"nextToken": whole, **narrowed}),
            (other, {"nextToken": part}),
        ]
        if kind.name != "SolutionVersion":  # which alone answers that there is no such solution
            wrong += [(kind, {"nextToken": token, member: f"{arn}-none"}) for token in (whole, part)]
    for asked, given in wrong:
        assert world.refused(asked.list, **given)[0] == "InvalidNextTokenException"
    world.remove(sibling)


@ALL
def test_it_was_made_once_and_changes_later(world: World, kind: Kind) -> None:
    arn = world.sibling(kind.name)
    there, world.arns[kind.name] = world.arns[kind.name], arn
    try:
        before = world.describe(kind)
        assert before["creationDateTime"] == before["lastUpdatedDateTime"]
        assert world.describe(kind) == before
        world.move(arn, internal={"noted": True}, touch=False)
        assert world.describe(kind) == before
        world.move(arn, status=world.row(kind.name).status)
        after = world.describe(kind)
        assert after["creationDateTime"] == before["creationDateTime"] < after["lastUpdatedDateTime"]
        [shown] = [one for one in world.call(kind.list, maxResults=100)[kind.key] if one[kind.arn] == arn]
        assert {**after, **shown} == after, "a summary says what the description says"
    finally:
        world.arns[kind.name] = there
        world.remove(arn)


@ALL
def test_why_it_failed_is_in_its_description_and_in_summaries_that_have_room(world: World, kind: Kind) -> None:
    """Spec: resources.md section 5.5; datasets, event trackers, recommenders and solutions say it in no summary."""
    if kind.born is None:
        return
    arn = world.sibling(kind.name, status="FAILED" if kind.done == "COMPLETED" else "CREATE FAILED")
    world.move(arn, failure_reason="because")
    described = world.call(f"Describe{kind.name}", **{kind.arn: arn})[kind.member]
    [shown] = [one for one in world.call(kind.list, maxResults=100)[kind.key] if one[kind.arn] == arn]
    model = models.service_model(CONTROL)
    shape: Any = model.operation_model(f"Describe{kind.name}").output_shape
    has_room = "failureReason" in shape.members[kind.member].members
    assert described.get("failureReason") == ("because" if has_room else None)
    silent = ("Dataset", "EventTracker", "Recommender", "Solution")
    assert shown.get("failureReason") == (None if kind.name in silent else "because")
    world.remove(arn)


@ALL
def test_tags_come_with_a_create_where_aws_takes_them(world: World, kind: Kind) -> None:
    """Schemas and metric attributions have none."""
    assert kind.taggable == (kind.name not in ("Schema", "MetricAttribution"))
    parent = world.arns[kind.parent] if kind.parent else None
    given = {"schemaArn": world.arns["Schema"]} if kind.name == "Dataset" else {}

    tags = [{"tagKey": f"k{n}", "tagValue": "v"} for n in range(51)]
    if kind.taggable:
        code, _ = world.refused(f"Create{kind.name}", **kind.create("tagged", parent, **given), tags=tags)
        # Where a group or version has room for one only, or not for this kind, that is looked at first.
        single = ("Dataset", "DatasetImportJob", "EventTracker", "Recommender", "BatchSegmentJob")
        assert code == "TooManyTagsException" or kind.name in single


# Deletes ------------------------------------------------------------------------------------------------

BLOCKED = [
    *(("DatasetGroup", kind, "ACTIVE") for kind in ("EventTracker", "Solution", "Dataset", "Campaign")),
    *(("Dataset", kind, "CREATE IN_PROGRESS") for kind in ("DatasetImportJob", "DatasetExportJob", "SolutionVersion")),
    ("Dataset", "DataDeletionJob", "IN_PROGRESS"),
    ("Schema", "Dataset", "ACTIVE"),
    ("Solution", "Campaign", "ACTIVE"),
    ("Solution", "SolutionVersion", "CREATE PENDING"),
    ("Solution", "SolutionVersion", "CREATE STOPPING"),
    ("Solution", "BatchInferenceJob", "CREATE IN_PROGRESS"),
]


@pytest.mark.parametrize(("kind", "by", "status"), BLOCKED)
def test_a_delete_waits_for_what_needs_it(world: World, kind: str, by: str, status: str) -> None:
    """Spec: resources.md section 5.3. Everything else of the world is put out of the way for the moment."""
    if {kind, by} - set(KINDS):
        pytest.skip("not there yet")
    hidden = {name: world.row(name).status for name in world.arns if name not in (kind, "EcommerceGroup", "Schema")}
    for name in hidden:
        world.move(world.arns[name], status="DELETE PENDING")
    blocker = world.sibling(by, status=status)
    try:
        code, message = world.refused(f"Delete{kind}", **{KINDS[kind].arn: world.arns[kind]})
        assert (code, blocker in message) == ("ResourceInUseException", True), message
    finally:
        world.remove(blocker)
        for name, before in hidden.items():
            world.move(world.arns[name], status=before)


@ALL
def test_what_is_being_made_or_deleted_is_not_deleted(world: World, kind: Kind) -> None:
    if not kind.deletable or kind.born is None:
        return
    states = ["CREATE PENDING", "CREATE IN_PROGRESS", "DELETE PENDING", "DELETE IN_PROGRESS"]
    if kind.name == "Recommender":
        states += ["STOP PENDING", "STOP IN_PROGRESS", "START PENDING", "START IN_PROGRESS"]
    for status in states:
        arn = world.sibling(kind.name, status=status)
        assert world.refused(f"Delete{kind.name}", **{kind.arn: arn})[0] == "ResourceInUseException", status
        world.remove(arn)
    arn = world.sibling(kind.name)
    world.call(f"Delete{kind.name}", **{kind.arn: arn})
    assert world.call(f"Describe{kind.name}", **{kind.arn: arn})[kind.member]["status"] == "DELETE PENDING"
    world.remove(arn)
