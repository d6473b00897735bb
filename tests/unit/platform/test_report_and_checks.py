"""`openpersonalize report` and `openpersonalize checks` against a real registry and what imports leave on disk."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import Connection

from pipelines.datasets import rejects
from pipelines.platform.checks_command import BadCheck, change, parse
from pipelines.platform.finding import NotFound
from pipelines.platform.report_command import lines, rejects_csv
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings
from tests.support.imports import SCHEMAS, interactions, run, text


@pytest.fixture
def group(settings: Settings) -> store.Resource:
    """Group `shop` with an Interactions and an Items dataset."""
    with transaction(settings) as conn:
        group = store.insert(conn, kind="DatasetGroup", arn="arn:group/shop", name="shop", status=store.ACTIVE, doc={})
        for kind in ("ITEMS", "INTERACTIONS"):
            _dataset(conn, group, kind)
    return group


def _dataset(conn: Connection, group: store.Resource, kind: str) -> None:
    schema = store.insert(
        conn, kind="Schema", arn=f"arn:schema/{kind}", name=kind, status=None, doc={"schema": json.dumps(SCHEMAS[kind])}
    )
    store.insert(
        conn,
        kind="Dataset",
        arn=f"arn:dataset/{kind}",
        name=kind,
        status=store.ACTIVE,
        group_id=group.id,
        schema_id=schema.id,
        doc={"datasetType": kind},
    )


def overrides(settings: Settings, group: store.Resource) -> Mapping[str, Any]:
    with transaction(settings) as conn:
        found = store.get(conn, id=group.id)
    assert found is not None
    checks: Mapping[str, Any] = found.internal.get("checks", {})
    return checks


def line(shown: list[str], rule: str, dataset: str = "INTERACTIONS") -> str:
    """The line of a rule in a dataset's table."""
    table = shown[shown.index(dataset) + 1 :]
    return next(found for found in table if found[2:].startswith(f"{rule}  "))


# checks -------------------------------------------------------------------------------------------------------------


def test_all_rules_of_a_group_are_listed_by_dataset(settings: Settings, group: store.Resource) -> None:
    shown = change(settings, "shop", [], [])
    assert [entry for entry in shown if entry in SCHEMAS] == ["INTERACTIONS", "ITEMS"]
    assert line(shown, "rejected rows").endswith("  critical  at most 1 %")
    assert line(shown, "PRICE is filled", "ITEMS").endswith("  warning   at least 70 %")


def test_a_rule_is_set_shown_and_cleared(settings: Settings, group: store.Resource) -> None:
    shown = change(settings, group.arn, ["rejected rows=warning,..20%", "users=off", "unknown items=critical"], [])
    assert overrides(settings, group) == {
        "rejected rows": {"severity": "warning", "maximum": 0.2},
        "users": {"severity": "off"},
        "unknown items": {"severity": "critical"},
    }
    found = line(shown, "rejected rows")
    assert found.startswith("* ") and "warning   at most 20 %   (by default critical, at most 1 %)" in found
    assert "off" in line(shown, "users")
    shown = change(settings, group.id, [], ["rejected rows", "users"])
    assert overrides(settings, group) == {"unknown items": {"severity": "critical"}}
    assert line(shown, "users").startswith("  ")


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        ("users=critical,10..", {"severity": "critical", "minimum": 10}),
        ("users=warning,..5%", {"severity": "warning", "maximum": 0.05}),
        ("users=warning,-1.5..2", {"severity": "warning", "minimum": -1.5, "maximum": 2}),
    ],
)
def test_bounds_are_numbers_or_per_cent(given: str, parsed: Mapping[str, Any]) -> None:
    assert parse(given) == ("users", parsed)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("users", "must be RULE=critical"),
        ("users=fatal", "must be RULE=critical"),
        ("users=critical,5", "MIN..MAX"),
        ("users=critical,..", "MIN..MAX"),
        ("users=off,1..2", "MIN..MAX"),
        ("users=critical,1.2.3..", "not a number"),
        ("users=critical,3..2", "nothing could fulfil it"),
        ("user=critical", "did you mean 'users'"),
    ],
)
def test_what_cannot_be_set_is_refused_and_nothing_is_changed(
    given: str, words: str, settings: Settings, group: store.Resource
) -> None:
    with pytest.raises(BadCheck) as refused:
        change(settings, "shop", ["items=off", given], [])
    assert words in str(refused.value)
    assert overrides(settings, group) == {}


def test_only_what_is_set_can_be_cleared(settings: Settings, group: store.Resource) -> None:
    with pytest.raises(BadCheck, match="'users' is not set for shop; no rule is"):
        change(settings, "shop", [], ["users"])


def test_an_unknown_group_names_those_there_are(settings: Settings, group: store.Resource) -> None:
    with pytest.raises(NotFound, match="no dataset group 'shoe'; the newest are shop"):
        change(settings, "shoe", [], [])


# report -------------------------------------------------------------------------------------------------------------


def job(settings: Settings, group: store.Resource, name: str, status: str, **values: Any) -> store.Resource:
    """An import job with the files that a real import of one bad row leaves."""
    with transaction(settings) as conn:
        made = store.insert(
            conn,
            kind="DatasetImportJob",
            arn=f"arn:job/{name}",
            name=name,
            status=status,
            group_id=group.id,
            doc={},
            internal=values.get("internal"),
        )
        if "reason" in values:
            store.update(conn, made.id, failure_reason=values["reason"])
    folder = settings.imports_dir / made.id
    run(settings.home / name, "INTERACTIONS", text([*interactions(20), 'u1,i1,soon,watch,"1,5"']))
    folder.mkdir(parents=True)
    (settings.home / name / "job" / "rejects.parquet").rename(folder / "rejects.parquet")
    (folder / "report.html").write_text("report")
    return made


JUDGED = {
    "records": 1201,
    "rejected": 1,
    "broken": [{"severity": "warning", "saw": "users: 20, but must be at least 50", "meaning": "Few."}],
}


def test_the_newest_import_is_shown_with_verdict_rejects_and_paths(settings: Settings, group: store.Resource) -> None:
    job(settings, group, "first", store.ACTIVE)
    second = job(settings, group, "second", store.ACTIVE, internal={"judged": JUDGED})
    shown = lines(settings, None)
    assert shown[:2] == ["import second: ACTIVE", "1,201 rows in the files: 1,200 good, 1 rejected"]
    assert "warning  users: 20, but must be at least 50" in shown
    assert "  0.csv line 22, TIMESTAMP 'soon' is not a whole number" in shown
    assert f"report   {settings.imports_dir / second.id / 'report.html'}" in shown
    assert f"/personalize/imports/{second.id}/report" in "\n".join(shown)


def test_a_failed_import_says_why(settings: Settings, group: store.Resource) -> None:
    failed = job(settings, group, "failed", store.CREATE_FAILED, reason="interactions.csv line 7, byte 1: not UTF-8")
    for given in ("failed", failed.arn, failed.id):
        assert "interactions.csv line 7, byte 1: not UTF-8" in lines(settings, given)


def test_the_rejects_are_csv_that_reads_back(settings: Settings, group: store.Resource) -> None:
    job(settings, group, "first", store.ACTIVE)
    rows = list(csv.DictReader(io.StringIO("".join(rejects_csv(settings, "first")))))
    assert [(row["file"], row["line"], row["column"], row["value"]) for row in rows] == [
        ("0.csv", "22", "TIMESTAMP", "soon"),
        ("0.csv", "22", "EVENT_VALUE", "1,5"),
    ]


def test_an_unknown_import_names_the_newest(settings: Settings, group: store.Resource) -> None:
    with pytest.raises(NotFound, match="there is no import job; there is none yet"):
        lines(settings, None)
    job(settings, group, "first", store.ACTIVE)
    with pytest.raises(NotFound, match="no import job 'x'; the newest are first"):
        lines(settings, "x")


def test_all_rejects_are_printed_however_many(settings: Settings, tmp_path: Any) -> None:
    bad = [f"u{n},i1,soon,watch,1" for n in range(70_000)]
    run(tmp_path, "INTERACTIONS", text([*interactions(5), *bad]))
    printed = "".join(rejects.as_csv(tmp_path / "job" / "rejects.parquet")).splitlines()
    assert len(printed) == 70_001
    assert printed[-1].startswith("0.csv,70006,")
