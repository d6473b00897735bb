"""Requests at the same time: one winner of a name, no child without its parent, no limit overrun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import Engine, text

from pipelines.platform.removal import remove_deleted
from pipelines.quotas import Quotas
from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.calling import Caller, Refused
from tests.support.group import make_group
from tests.support.kinds import KINDS

RACES = 4
"""Of each pair; a create and a delete that wait for one lock differ only in which comes first."""
GO_WITH_THEIR_GROUP = ("DataDeletionJob", "Filter", "MetricAttribution")
"""Kinds that keep no group from being deleted."""


def together(*calls: Callable[[], Any]) -> list[str]:
    """The outcome of each call, begun at once: `ok` or the error code."""
    begin = Barrier(len(calls))

    def outcome(call: Callable[[], Any]) -> str:
        begin.wait()
        try:
            call()
        except ClientError as failure:
            return str(failure.response["Error"]["Code"])
        except Refused as refused:
            return refused.code
        return "ok"

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


@dataclass
class Shops:
    """Makes what a resource hangs on, new each time."""

    settings: Settings
    call: Caller
    db: Engine

    def arns(self, name: str, kind: str) -> dict[str, str]:
        """The ARNs of what a resource of `kind` needs, by kind; nothing else is in the group."""
        domain = KINDS[kind].domain
        arns = {"DatasetGroup": self._make("DatasetGroup", name, **({"domain": domain} if domain else {}))}
        if KINDS[kind].parent != "DatasetGroup" or kind in ("Dataset", "Filter", "MetricAttribution"):
            arns["Schema"] = self._make("Schema", name)
        if kind != "Dataset" and "Schema" in arns:
            arns["Dataset"] = self._make("Dataset", name, arns["DatasetGroup"], schemaArn=arns["Schema"])
        if KINDS[kind].parent in ("Solution", "SolutionVersion"):
            arns["Solution"] = self._make("Solution", name, arns["DatasetGroup"])
        if KINDS[kind].parent == "SolutionVersion":
            arns["SolutionVersion"] = self._make("SolutionVersion", name, arns["Solution"])
            self._set(arns["SolutionVersion"], status="ACTIVE")
        if kind in GO_WITH_THEIR_GROUP and "Dataset" in arns:
            # They read its columns as long as it is there, and only so the group can be deleted.
            self._set(arns["Dataset"], status=store.DELETE_PENDING)
        return arns

    def given(self, kind: str, name: str, arns: dict[str, str]) -> dict[str, Any]:
        """The members of a create."""
        parent = KINDS[kind].parent
        more = {"schemaArn": arns["Schema"]} if kind == "Dataset" else {}
        return KINDS[kind].create(name, arns[parent] if parent else None, **more)

    def _make(self, kind: str, name: str, parent: str | None = None, **given: Any) -> str:
        made = self.call(f"Create{kind}", **KINDS[kind].create(name, parent, **given))
        return str(made[KINDS[kind].arn])

    def _set(self, arn: str, **changes: Any) -> None:
        with self.db.begin() as conn:
            found = store.get(conn, arn=arn)
            assert found is not None
            store.update(conn, found.id, **changes)

    def status(self, arn: str) -> str | None:
        with self.db.begin() as conn:
            found = store.get(conn, arn=arn)
            assert found is not None
            return found.status

    def rows(self, kind: str) -> list[tuple[str, int]]:
        """(status, wishes for runs) of each resource of a kind."""
        query = (
            "SELECT coalesce(status, ''), (SELECT count(*) FROM openpersonalize.outbox WHERE resource_id = r.id) "
            "FROM openpersonalize.resources r WHERE kind = :kind"
        )
        with self.db.begin() as conn:
            return [(status, wishes) for status, wishes in conn.execute(text(query), {"kind": kind})]

    def wishes_without_resource(self) -> int:
        query = "SELECT count(*) FROM openpersonalize.outbox o LEFT JOIN openpersonalize.resources r ON r.id = o.resource_id"
        with self.db.begin() as conn:
            return int(conn.execute(text(f"{query} WHERE r.id IS NULL")).scalar_one())

    def remove(self) -> None:
        """What is being deleted goes, an hour later; all work has ended."""
        with self.db.begin() as conn:
            ended = (
                "UPDATE openpersonalize.resources SET status = 'ACTIVE' WHERE status IN ('PENDING', 'CREATE PENDING')"
            )
            conn.execute(text(ended))
        with self.db.connect() as conn:
            for _ in range(4):
                remove_deleted(conn, self.settings, datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture
def shops(settings: Settings, db: Engine) -> Iterator[Shops]:
    settings = replace(settings, quotas=Quotas(off=True))
    call = Caller(settings)
    yield Shops(settings, call, db)
    call.close()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "BatchSegmentJob"])
def test_of_four_creates_of_one_name_exactly_one_wins(shops: Shops, kind: str) -> None:
    given = shops.given(kind, "one", shops.arns("shop", kind) if KINDS[kind].parent else {})
    before = len(shops.rows(kind))
    outcomes = Counter(together(*[lambda: shops.call(f"Create{kind}", **given)] * 4))
    assert outcomes == {"ok": 1, "ResourceAlreadyExistsException": 3}
    assert len(shops.rows(kind)) == before + 1
    assert {wishes for _, wishes in shops.rows(kind)} <= {0, 1}
    assert shops.wishes_without_resource() == 0


PARENTS = {
    "Dataset": ("DatasetGroup", "Schema"),
    **dict.fromkeys(("SolutionVersion", "Campaign", "BatchInferenceJob"), ("Solution",)),
    **dict.fromkeys(("DatasetImportJob", "DatasetExportJob"), ("Dataset",)),
    **dict.fromkeys(("Solution", "EventTracker", "Recommender", *GO_WITH_THEIR_GROUP), ("DatasetGroup",)),
}
"""What can be deleted while a resource is being hung on it."""


@pytest.mark.parametrize(("kind", "deleted"), [(kind, one) for kind in KINDS for one in PARENTS.get(kind, ())])
def test_a_create_that_races_the_delete_of_its_parent_leaves_no_orphan(shops: Shops, kind: str, deleted: str) -> None:
    gone = {"ResourceInUseException", "ResourceNotFoundException"}
    for n in range(RACES):
        arns = shops.arns(f"shop-{n}", kind)
        given = shops.given(kind, f"one-{n}", arns)
        before = len(shops.rows(kind))
        created, went = together(
            lambda given=given: shops.call(f"Create{kind}", **given),
            lambda arn=arns[deleted]: shops.call(f"Delete{deleted}", **{KINDS[deleted].arn: arn}),
        )
        assert created == "ok" or created in gone
        assert len(shops.rows(kind)) - before == (created == "ok")
        if kind in GO_WITH_THEIR_GROUP:
            assert went == "ok"
        else:
            assert (created, went) == ("ok", "ResourceInUseException") or (created in gone and went == "ok")
            assert went == "ok" or shops.status(arns[deleted]) in ("ACTIVE", None)
    assert shops.wishes_without_resource() == 0
    shops.remove()
    # What was not deleted is there with its resource; what was took it along.
    lost = "SELECT count(*) FROM openpersonalize.resources WHERE status LIKE 'DELETE%'"
    with shops.db.begin() as conn:
        assert conn.execute(text(lost)).scalar_one() == 0


def test_of_eight_creates_of_one_name_through_boto3_exactly_one_wins(personalize) -> None:
    outcomes = Counter(together(*[lambda: personalize.create_dataset_group(name="one")] * 8))
    assert outcomes == {"ok": 1, "ResourceAlreadyExistsException": 7}
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 1


def test_of_two_trackers_of_a_group_at_once_one_is_made(personalize) -> None:
    group = make_group(personalize, "shop")
    calls = [lambda n=n: personalize.create_event_tracker(name=f"t{n}", datasetGroupArn=group.arn) for n in range(4)]
    assert Counter(together(*calls)) == {"ok": 1, "ResourceAlreadyExistsException": 3}


def test_the_limit_of_unfinished_imports_holds_when_all_come_at_once(personalize) -> None:
    groups = [make_group(personalize, f"g{i}") for i in range(8)]
    calls = [
        lambda n=n, group=group: personalize.create_dataset_import_job(
            jobName=f"j{n}", datasetArn=group.dataset, dataSource={"dataLocation": "s3://b/k"}
        )
        for n, group in enumerate(groups)
    ]
    assert Counter(together(*calls)) == {"ok": 5, "LimitExceededException": 3}


def test_of_two_imports_into_a_dataset_at_once_one_is_made(personalize) -> None:
    group = make_group(personalize, "shop")
    calls = [
        lambda n=n: personalize.create_dataset_import_job(
            jobName=f"j{n}", datasetArn=group.dataset, dataSource={"dataLocation": "s3://b/k"}
        )
        for n in range(4)
    ]
    assert Counter(together(*calls)) == {"ok": 1, "ResourceInUseException": 3}
