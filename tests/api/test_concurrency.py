"""Requests at the same time: one winner of a name, no child without its parent, no limit overrun."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from pipelines.registry import store
from tests.support.group import USER_PERSONALIZATION, make_group


def together(*calls: Callable[[], Any]) -> list[str]:
    """The outcome of each call, begun at once: `ok` or the error code."""

    def outcome(call: Callable[[], Any]) -> str:
        try:
            call()
        except ClientError as failure:
            return str(failure.response["Error"]["Code"])
        return "ok"

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


def test_of_eight_creates_of_one_name_exactly_one_wins(personalize) -> None:
    outcomes = Counter(together(*[lambda: personalize.create_dataset_group(name="one")] * 8))
    assert outcomes == {"ok": 1, "ResourceAlreadyExistsException": 7}
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 1


def test_a_create_that_races_the_delete_of_its_parent_leaves_no_orphan(personalize, db) -> None:
    met = set()
    for i in range(12):
        group = personalize.create_dataset_group(name=f"g{i}")["datasetGroupArn"]
        created, deleted = together(
            lambda name=f"s{i}", group=group: personalize.create_solution(
                name=name, datasetGroupArn=group, recipeArn=USER_PERSONALIZATION
            ),
            lambda group=group: personalize.delete_dataset_group(datasetGroupArn=group),
        )
        met.add((created, deleted))
        with db.begin() as conn:
            found = store.get(conn, arn=group)
            assert found is not None
            children = store.in_group(conn, found.id)
        assert (len(children), found.status) == ((1, "ACTIVE") if created == "ok" else (0, "DELETE PENDING"))
    assert met <= {("ok", "ResourceInUseException"), ("ResourceInUseException", "ok")}


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
