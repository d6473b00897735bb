"""`openpersonalize trace`, and the history that it stands on, against a real registry; nothing is trained here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from pipelines.platform.finding import NotFound, find_version
from pipelines.platform.trace_command import collect, lines
from pipelines.platform.versions_command import as_json
from pipelines.platform.versions_command import collect as collect_versions
from pipelines.platform.versions_views import lines as version_lines
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from tests.support.registry import add, add_campaign, add_dataset, add_group, add_solution, add_version

SERVED_AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


def import_job(conn: Connection, dataset: Resource, name: str, mode: str, broken: list[dict[str, str]]) -> Resource:
    doc = {"dataSource": {"dataLocation": f"s3://shop/{name}.csv"}, "importMode": mode}
    judged = {"records": 101, "rejected": 1, "broken": broken}
    given = {"group": store.get(conn, id=dataset.group_id), "parent": dataset, "doc": doc}
    return add(conn, "DatasetImportJob", name, internal={"judged": judged, "kept": 100, "rejected": 1}, **given)


@pytest.fixture
def version(conn: Connection, settings: Settings) -> Resource:
    """Deployed, updated twice, trained from a FULL import and an INCREMENTAL one after an older FULL one."""
    with conn.begin():
        group = add_group(conn)
        dataset = add_dataset(conn, group)
    jobs = {}
    for name, mode in (("first", "FULL"), ("second", "FULL"), ("third", "INCREMENTAL"), ("later", "INCREMENTAL")):
        with conn.begin():
            broken = [{"severity": "warning", "saw": "7 % of users are new"}] if name == "third" else []
            jobs[name] = import_job(conn, dataset, name, mode, broken)
    taken = jobs["third"]
    (settings.imports_dir / taken.id).mkdir(parents=True)
    (settings.imports_dir / taken.id / "report.html").write_text("")
    with conn.begin():
        found = add_version(conn, add_solution(conn, group), "1a2b3c4d")
        add_campaign(conn, found, status=store.ACTIVE)
        tag = f"sv/{found.parent_id}/{found.id}"
        frozen = {
            "snapshots": {"INTERACTIONS": {"tag": f"data/{dataset.id}/{taken.id}", "rows": 300}},
            "event_cutoff": 41,
        }
        updates = [
            {"number": n, "tag": f"{tag}.{n}", "at": (SERVED_AT + timedelta(hours=2 * n - 3)).isoformat(), **frozen}
            for n in (1, 2)
        ]
        updates[0]["event_cutoff"] = 99
        metrics = {"normalized_discounted_cumulative_gain_at_25": 0.1234}
        found = store.update(conn, found.id, internal={"tag": tag, **frozen, "updates": updates, "metrics": metrics})
    _tag(settings, found, tag)
    return found


def _tag(settings: Settings, version: Resource, tag: str) -> None:
    repository = GroupRepository(settings, str(version.group_id))
    params = {
        "code": {"version": "1.2", "digest": "d" * 64, "lock": "e" * 64},
        "solution": {"recipe": "aws-hrnn"},
        "hyperparameters": {"bptt": 8},
        "featurization": {},
        "hpo": None,
    }
    with repository.worktree("solution/x", "job") as tree:
        tree.write_params(params)
        tree.git("add", "--all")
        tree.git("commit", "--quiet", "-m", "version")
        for name in (tag, f"{tag}.1"):
            tree.git("tag", name, "HEAD")


def serve(conn: Connection, version: Resource, campaign: str, id: str = "r-1") -> None:
    with conn.begin():
        conn.execute(
            text(
                "INSERT INTO openpersonalize.served (recommendation_id, served_at, campaign_id, solution_version_id, "
                "user_id, items, exploration_weight) VALUES (:id, :at, :campaign, :version, 'u1', '{i1,i2}', 0.3)"
            ),
            {"id": id, "at": SERVED_AT, "campaign": campaign, "version": version.id},
        )


def event(conn: Connection, version: Resource, id: str) -> None:
    with conn.begin():
        conn.execute(
            text(
                "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, item_id, "
                "sent_at, recommendation_id) VALUES (:group, 'u1', 's', 'e1', 'watch', 'i2', 1777000000, :id)"
            ),
            {"group": version.group_id, "id": id},
        )


def campaign_of(conn: Connection, version: Resource) -> Resource:
    with conn.begin():
        [found] = store.in_group(conn, str(version.group_id), "Campaign")
    return found


def test_an_answer_leads_to_version_commit_snapshot_imports_and_reports(
    conn: Connection, settings: Settings, version: Resource
) -> None:
    campaign = campaign_of(conn, version)
    serve(conn, version, campaign.id)
    event(conn, version, "r-1")
    found = collect(settings, "r-1")
    assert found.answer is not None and found.answer.campaign == campaign.arn
    # The first update had begun an hour before, the second came an hour after.
    assert (found.update, found.tag, found.event_cutoff) == (1, f"{version.internal['tag']}.1", 99)
    repository = GroupRepository(settings, str(version.group_id))
    assert found.commit == repository.commit(version.internal["tag"])
    [source] = found.sources
    assert [one.name for one in source.imports] == ["second", "third"]
    shown = "\n".join(lines(settings, found))
    for words in (
        "to user u1, exploring with weight 0.3",
        "2 items: i1, i2",
        campaign.arn,
        version.arn,
        "as its automatic update 1 left it",
        f"commit          {found.commit}",
        "`openpersonalize checkout 1a2b3c4d DIR`",
        "interactions    300 rows, snapshot data/",
        "second (FULL, ",
        "of s3://shop/second.csv: 100 rows kept, 1 rejected",
        "checks        warning: 7 % of users are new",
        "report.html",
        f"{settings.airflow}/personalize/imports/{source.imports[1].id}/report",
        "u1 watch i2",
    ):
        assert words in shown


def test_after_a_day_only_the_events_speak(conn: Connection, settings: Settings, version: Resource) -> None:
    event(conn, version, "r-old")
    found = collect(settings, "r-old")
    shown = "\n".join(lines(settings, found))
    assert found.answer is None and "not kept any more" in shown
    assert "dataset group   shop" in shown and "u1 watch i2" in shown
    with pytest.raises(NotFound, match="answers are kept for 24 hours, and no event names this one"):
        collect(settings, "r-never")


def test_what_was_deleted_or_dropped_since_is_said(conn: Connection, settings: Settings, version: Resource) -> None:
    serve(conn, version, "0" * 16)
    with conn.begin():
        store.update(conn, version.id, internal={"dropped": {"at": "2026-05-05T00:00:00+00:00"}})
    found = collect(settings, "r-1")
    assert found.commit is None and found.answer is not None and found.answer.campaign == "0" * 16
    assert "Its commit is gone" in found.notes[0]


def test_versions_are_shown_with_data_code_parameters_metrics_and_campaigns(
    conn: Connection, settings: Settings, version: Resource
) -> None:
    with conn.begin():
        solution = store.get(conn, id=version.parent_id)
        assert solution is not None
        add_version(conn, solution, "00000002", status=store.CREATE_FAILED)
    found = collect_versions(settings, "taste")
    assert [one.short for one in found] == ["00000002", "1a2b3c4d"]
    shown = "\n".join(version_lines(found))
    for words in (
        "1a2b3c4d  ",
        "manual full + 2 automatic updates; deployed in home",
        "metrics  NDCG@25 0.1234",
        "interactions 300 rows (third); streamed events to number 41",
        "openpersonalize 1.2, source dddddddd, packages eeeeeeee",
        "aws-hrnn: bptt 8",
        "00000002  ",
        "CREATE FAILED",
    ):
        assert words in shown
    assert '"serves": [\n   "home"\n  ]' in as_json(found)


def test_a_version_is_named_by_arn_name_id_or_the_end_of_its_arn(conn: Connection, version: Resource) -> None:
    def named(given: str) -> Any:
        with conn.begin():
            return find_version(conn, given).id

    assert {named(given) for given in (version.arn, version.name, version.id, "1a2b3c4d")} == {version.id}
    with conn.begin():
        group = store.get(conn, id=version.group_id)
        assert group is not None
        add_version(conn, add_solution(conn, group, "other"), "1a2b3c4d")
    with pytest.raises(NotFound, match="2 solutions have a version 1a2b3c4d; name it by its ARN"):
        named("1a2b3c4d")
    with pytest.raises(NotFound, match="there is no solution version '0000000f'"):
        named("0000000f")
