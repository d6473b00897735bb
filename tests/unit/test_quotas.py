"""Quotas: one table, read from one variable, enforced for every kind where resources are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.aws.errors import LimitExceeded
from pipelines.control.context import Context
from pipelines.control.creation import create
from pipelines.quotas import QUOTAS, Quota, Quotas
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.settings import Settings, SettingsError

NOW = datetime(2026, 5, 1, tzinfo=UTC)
Make = Callable[..., store.Resource]


def test_the_defaults_are_those_of_aws() -> None:
    assert {quota.name: quota.default for quota in QUOTAS} == {
        "schemas": 500,
        "dataset_groups": 5,
        "solutions_per_group": 10,
        "campaigns_per_group": 5,
        "recommenders": 15,
        "recommenders_per_group": 5,
        "filters_per_group": 10,
        "unfinished_solution_versions": 20,
        "unfinished_import_jobs": 5,
        "unfinished_export_jobs": 5,
        "unfinished_deletion_jobs_per_group": 5,
        "unfinished_batch_inference_jobs": 5,
        "unfinished_batch_segment_jobs": 5,
    }


@pytest.mark.parametrize("text", ["", "off", "schemas=7", "schemas=7,dataset_groups=0"])
def test_what_is_read_is_written_the_same(text: str) -> None:
    assert str(Quotas.read(text)) == text


def test_quotas_that_are_not_named_stay() -> None:
    quotas = Settings.from_env({"OPENPERSONALIZE_QUOTAS": " schemas=7 , dataset_groups=0,"}).quotas
    by_name = {quota.name: quotas.most(quota) for quota in QUOTAS}
    assert (by_name["schemas"], by_name["dataset_groups"], by_name["recommenders"]) == (7, 0, 15)


def test_off_is_any_number() -> None:
    quotas = Settings.from_env({"OPENPERSONALIZE_QUOTAS": "off"}).quotas
    assert {quotas.most(quota) for quota in QUOTAS} == {None}


@pytest.mark.parametrize("text", ["campaign=7", "7", "OFF", "off,schemas=7"])
def test_an_unknown_quota_is_refused_and_the_known_ones_are_named(text: str) -> None:
    with pytest.raises(
        SettingsError, match=r"OPENPERSONALIZE_QUOTAS: .* name of schemas, dataset_groups, solutions_per"
    ):
        Settings.from_env({"OPENPERSONALIZE_QUOTAS": text})


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "٣", "1e3"])
def test_a_value_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"OPENPERSONALIZE_QUOTAS: .* whole number"):
        Settings.from_env({"OPENPERSONALIZE_QUOTAS": f"schemas={value}"})


# Enforced --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def connection(shared_settings: Settings) -> Iterator[Connection]:
    database = engine(shared_settings, pool_size=1)
    with database.connect() as connection:
        yield connection
    database.dispose()


@pytest.fixture
def conn(connection: Connection) -> Iterator[Connection]:
    """In a transaction that leaves nothing."""
    with connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture
def make(shared_settings: Settings, conn: Connection) -> Make:
    """`make(kind, name)` as a Create operation does in its transaction, with quotas of two."""
    two = Quotas(tuple((quota.name, 2) for quota in QUOTAS))
    context = Context(conn, replace(shared_settings, quotas=two), "r-1", NOW)

    def made(kind: str, name: str, **given: Any) -> store.Resource:
        with conn.begin_nested():
            return create(context, kind, {"name": name, "jobName": name}, **{"doc": {}, **given})

    return made


def counted(quota: Quota, group: store.Resource | None) -> dict[str, Any]:
    status = store.CREATE_PENDING if quota.unfinished else None if quota.kind == "Schema" else store.ACTIVE
    return {"status": status, "doc": quota.only, "group": group}


@pytest.mark.parametrize("quota", QUOTAS, ids=lambda quota: quota.name)
def test_the_third_of_two_is_refused_and_leaves_nothing(quota: Quota, make: Make, conn: Connection) -> None:
    group = None if quota.kind in ("Schema", "DatasetGroup") else make("DatasetGroup", "shop")
    first = make(quota.kind, "r1", **counted(quota, group))
    make(quota.kind, "r2", **counted(quota, group))
    with pytest.raises(LimitExceeded, match="More than 2 resources") as refused:
        make(quota.kind, "r3", **counted(quota, group))
    assert (
        "Cannot create a " not in str(refused.value) if quota.unfinished else "Cannot create a " in str(refused.value)
    )
    assert len(store.of_kind(conn, quota.kind)) == 2
    store.update(conn, first.id, status=store.ACTIVE if quota.unfinished else store.DELETE_PENDING)
    make(quota.kind, "r3", **counted(quota, group))


@pytest.mark.parametrize("quota", [one for one in QUOTAS if not one.unfinished], ids=lambda quota: quota.name)
def test_what_failed_or_is_being_deleted_takes_no_place(quota: Quota, make: Make) -> None:
    group = None if quota.kind in ("Schema", "DatasetGroup") else make("DatasetGroup", "shop")
    for status in (store.CREATE_FAILED, store.DELETE_PENDING, store.DELETE_IN_PROGRESS):
        make(quota.kind, status.replace(" ", "-"), **{**counted(quota, group), "status": status})
    make(quota.kind, "r1", **counted(quota, group))
    make(quota.kind, "r2", **counted(quota, group))


@pytest.mark.parametrize("quota", [one for one in QUOTAS if one.per_group], ids=lambda quota: quota.name)
def test_each_group_has_its_own_places(quota: Quota, make: Make) -> None:
    """But for what has a quota of the account beside that."""
    groups = [make("DatasetGroup", name) for name in ("one", "two")]
    of_account = any(one.kind == quota.kind and not one.per_group for one in QUOTAS)
    for place in range(1 if of_account else 2):
        for group in groups:
            make(quota.kind, f"{group.name}-{place}", **counted(quota, group))


def test_versions_made_by_schedules_are_not_counted(make: Make) -> None:
    automatic = {"status": store.CREATE_PENDING, "doc": {"trainingType": "AUTOMATIC"}}
    by_hand = {"status": store.CREATE_PENDING, "doc": {"trainingType": "MANUAL"}}
    for number in range(4):
        make("SolutionVersion", f"a{number}", **automatic)
    make("SolutionVersion", "m1", **by_hand)
    make("SolutionVersion", "m2", **by_hand)
    make("SolutionVersion", "a5", **automatic)


def test_the_message_names_what_to_set(make: Make) -> None:
    make("DatasetGroup", "one")
    make("DatasetGroup", "two")
    with pytest.raises(LimitExceeded) as refused:
        make("DatasetGroup", "three")
    assert str(refused.value) == (
        "Cannot create a dataset group. More than 2 resources in ACTIVE state. Please delete some and try again. "
        "The quota is dataset_groups of OPENPERSONALIZE_QUOTAS."
    )
