"""Texts and documents in the database: what names a user is overwritten, nothing else is."""

from __future__ import annotations

from sqlalchemy import insert, text, update

from pipelines.deletions import tables
from pipelines.deletions.job import find
from pipelines.deletions.matching import Matcher
from pipelines.registry import store
from pipelines.registry.tables import outbox
from tests.support.registry import add, add_dataset, add_group
from tests.unit.deletions.conftest import PLANTED, Place

MATCHER = Matcher([PLANTED])
BLACK = "x" * 32


def test_documents_and_reasons_of_the_group_lose_the_id_and_keep_the_rest(place: Place) -> None:
    profile = {"top": [{"user": PLANTED, "rows": 7}], PLANTED: 1.5, "other": "it's"}
    with place.conn.begin():
        dataset = add_dataset(place.conn, place.group, profile=profile)
        failed = add(place.conn, "DatasetImportJob", "j", group=place.group, parent=dataset)
        store.update(place.conn, failed.id, failure_reason=f"of {PLANTED}")
        row = {"resource_id": failed.id, "dag_id": "d", "run_id": "r", "conf": {}, "last_error": f"saw {PLANTED}"}
        place.conn.execute(insert(outbox).values(row))
    found = tables.black_out(place.settings, place.group.id, MATCHER)
    assert (found["openpersonalize.resources"], found["openpersonalize.outbox"]) == (2, 1)
    expected = {"top": [{"user": BLACK, "rows": 7}], BLACK: 1.5, "other": "it's"}
    assert place.look(dataset.id).internal["profile"] == expected
    assert place.look(failed.id).failure_reason == f"of {BLACK}"
    assert not any(tables.search(place.settings, place.group.id, MATCHER).values())


def test_what_another_group_says_stays(place: Place) -> None:
    with place.conn.begin():
        other = add_group(place.conn, "other")
        place.conn.execute(
            update(store.resources).where(store.resources.c.id == other.id).values(failure_reason=PLANTED)
        )
    assert not any(tables.black_out(place.settings, place.group.id, MATCHER).values())
    assert place.look(other.id).failure_reason == PLANTED


def test_airflow_s_tables_are_searched_and_cleaned_whatever_they_are_called(place: Place) -> None:
    with place.conn.begin():
        place.conn.execute(
            text("CREATE TABLE public.xcom (id serial, key varchar, value jsonb, plain json, made timestamptz)")
        )
        place.conn.execute(
            text(
                "INSERT INTO public.xcom (key, value, plain) VALUES (:id, CAST(:doc AS jsonb), CAST(:doc AS text)::json)"
            ),
            {"id": PLANTED, "doc": f'["{PLANTED}", 1]'},
        )
        place.conn.execute(text("INSERT INTO public.xcom (key, value) VALUES ('k', '[2]')"))
    assert tables.search(place.settings, place.group.id, MATCHER)["public.xcom"] == 1
    assert tables.black_out(place.settings, place.group.id, MATCHER)["public.xcom"] == 1
    with place.conn.begin():
        rows = place.conn.execute(text("SELECT key, value, plain FROM public.xcom ORDER BY id")).all()
    assert list(map(tuple, rows)) == [(BLACK, [BLACK, 1], [BLACK, 1]), ("k", [2], None)]


def test_an_id_that_is_part_of_an_arn_is_left_alone_in_texts_and_said(place: Place) -> None:
    made = place.job("123456789012", "anna")
    job = find(place.settings, made.id)
    assert job is not None
    job.work.mkdir(parents=True)
    job.users_file.write_text('["123456789012", "anna"]')
    matcher, own = job.matcher()
    assert own == 1
    assert not matcher.find(place.group.arn.encode()) and matcher.find(b"'anna'")
