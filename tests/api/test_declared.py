"""`openpersonalize apply` and `export` against the control plane: what is made, what a second time does, what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from pipelines.declared import applying, running, schedules
from pipelines.declared.reading import read
from pipelines.declared.steps import Action
from pipelines.platform import declaring_command
from pipelines.platform.declaring_command import NotApplied
from pipelines.registry import store
from pipelines.settings import Settings
from tests.support.declared import NOW, SHOP, apply, by_name, changes, finish, planned
from tests.support.group import ROLE

ALL = [
    ("create", "dataset group", "shop"),
    ("create", "schema", "shop-clicks"),
    ("create", "schema", "shop-items"),
    ("create", "dataset", "shop-clicks"),
    ("create", "dataset", "shop-items"),
    ("create", "event tracker", "shop-events"),
    ("create", "filter", "seen"),
    ("create", "solution", "taste"),
    ("create", "solution", "together"),
    ("create", "schedule", "schedule.shop.interactions.import"),
    ("create", "schedule", "schedule.shop.items.import"),
    ("create", "schedule", "schedule.shop.taste.full"),
    ("create", "schedule", "schedule.shop.taste.update"),
]


def with_job(service_config: str) -> str:
    """SHOP with a batch inference job a day."""
    job = f"{{serviceConfig: {service_config}, workflowConfig: {{schedule: rate(1 day)}}}}"
    return SHOP.replace("    campaigns:\n", f"    batchInferenceJobs:\n      - {job}\n    campaigns:\n")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "POLL_SECONDS", 0.01)


@pytest.fixture
def folder(settings: Settings) -> Path:
    """Where the file lies, below an import root."""
    path = settings.home.parent / "train" / "shop"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def data(folder: Path) -> None:
    """Interactions as a file, items as a folder."""
    (folder / "interactions.csv").write_text("USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE\n")
    (folder / "items").mkdir()


def test_without_data_everything_that_needs_none_is_made_and_the_rest_waits(settings, personalize, folder) -> None:
    plan = planned(settings, folder)
    later = [
        ("later", "import", "interactions of shop"),
        ("later", "import", "items of shop"),
        ("later", "version", "of taste"),
        ("later", "version", "of together"),
        ("later", "campaign", "front"),
    ]
    assert changes(plan) == [*ALL, *later]
    assert by_name(plan, "schedule")["schedule.shop.taste.full"].detail == (
        "cron(0 2 ? * 1 *): next Sun 2026-11-29 02:00, Sun 2026-12-06 02:00 UTC"
    )

    applied = apply(settings, personalize, plan)

    assert (len(applied.done), applied.failed) == (len(ALL), [])
    taste = personalize.describe_solution(solutionArn=plan.group_arn.replace("dataset-group/shop", "solution/taste"))
    assert taste["solution"]["performAutoTraining"] is False
    assert taste["solution"]["solutionConfig"] == {"algorithmHyperParameters": {"hidden_dimension": "55"}}
    together = personalize.describe_solution(
        solutionArn=plan.group_arn.replace("dataset-group/shop", "solution/together")
    )
    assert together["solution"]["performAutoTraining"] is True
    assert changes(planned(settings, folder, now=NOW + timedelta(days=1))) == later


@pytest.mark.usefixtures("data")
def test_with_data_it_imports_trains_and_deploys_and_a_second_time_does_nothing(settings, personalize, folder) -> None:
    plan = planned(settings, folder)
    begun = [
        ("create", "import", "interactions of shop"),
        ("create", "import", "items of shop"),
        ("create", "version", "of taste"),
        ("create", "version", "of together"),
        ("create", "campaign", "front"),
    ]
    assert changes(plan) == [*ALL, *begun]

    applied = apply(settings, personalize, plan, lambda: finish(settings))

    assert applied.failed == []
    locations = {
        personalize.describe_dataset_import_job(datasetImportJobArn=job["datasetImportJobArn"])["datasetImportJob"][
            "dataSource"
        ]["dataLocation"]
        for job in personalize.list_dataset_import_jobs()["datasetImportJobs"]
    }
    assert locations == {(folder / "interactions.csv").as_uri(), f"{(folder / 'items').as_uri()}/"}
    finish(settings)
    campaign = personalize.list_campaigns()["campaigns"][0]["campaignArn"]
    config = personalize.describe_campaign(campaignArn=campaign)["campaign"]["campaignConfig"]
    assert config == {"syncWithLatestSolutionVersion": True}
    assert changes(planned(settings, folder)) == []
    assert len(personalize.list_solution_versions()["solutionVersions"]) == 2


@pytest.mark.usefixtures("data")
def test_imports_publish_their_attribution_report_as_soon_as_there_is_one(settings, personalize, folder, db) -> None:
    publish = "  interactions:\n    serviceConfig: {publishAttributionMetricsToS3: true}\n"
    plan = planned(settings, folder, SHOP.replace("  interactions:\n", publish))
    assert "without a report" in by_name(plan, "import")["interactions of shop"].detail
    apply(settings, personalize, plan, lambda: finish(settings))
    dataset = f"{plan.group_arn.replace(':dataset-group/', ':dataset/')}/INTERACTIONS"

    def asks(moment: datetime) -> bool:
        job = running.begin(settings, dataset, "import", moment, f"run {moment}")
        finish(settings)
        with db.begin() as conn:
            found = store.get(conn, id=job)
        return bool(found and found.doc["publishAttributionMetricsToS3"])

    assert not asks(NOW + timedelta(hours=6))
    personalize.create_metric_attribution(
        name="sums",
        datasetGroupArn=plan.group_arn,
        metrics=[{"metricName": "n", "eventType": "click", "expression": "SAMPLECOUNT()"}],
        metricsOutputConfig={"roleArn": ROLE, "s3DataDestination": {"path": "s3://bucket/metrics/"}},
    )
    assert asks(NOW + timedelta(days=1))
    assert "publishAttributionMetricsToS3: true" in declaring_command.export(settings, "shop", None)


@pytest.mark.usefixtures("data")
def test_what_was_cut_off_goes_on_where_it_was(settings, personalize, folder) -> None:
    plan = planned(settings, folder)

    class Cut(Exception):
        """Control-C."""

    def cut() -> None:
        raise Cut

    with pytest.raises(Cut):
        apply(settings, personalize, plan, cut)
    again = planned(settings, folder, now=NOW + timedelta(hours=1))
    assert changes(again) == [
        ("create", "version", "of taste"),
        ("create", "version", "of together"),
        ("create", "campaign", "front"),
    ]
    assert apply(settings, personalize, again, lambda: finish(settings)).failed == []
    assert len(personalize.list_dataset_import_jobs()["datasetImportJobs"]) == 2


@pytest.mark.usefixtures("data")
def test_a_training_that_fails_costs_its_campaign_only_and_is_tried_again(settings, personalize, folder) -> None:
    plan = planned(settings, folder)

    applied = apply(settings, personalize, plan, lambda: finish(settings, fails="taste"))

    [(step, reason)] = applied.failed
    assert (step.what, step.name) == ("campaign", "front")
    assert "failed: the disk is full" in reason
    finish(settings)
    assert changes(planned(settings, folder)) == [
        ("create", "version", "of taste"),
        ("create", "campaign", "front"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "step", "detail"),
    [
        ("performAutoTraining: true", "performAutoTraining: false", ("update", "solution", "together"), "performAutoTraining is True, not False"),
        ("minProvisionedTPS: 1", "minProvisionedTPS: 2", ("update", "campaign", "front"), "minProvisionedTPS is 1, not 2"),
        ("cron(0 2 ? * 1 *)", "cron(0 4 ? * 1 *)", ("update", "schedule", "schedule.shop.taste.full"), "cron(0 4 ? * 1 *): next Sun"),
        ("        update: rate(2 hours)\n", "", ("remove", "schedule", "schedule.shop.taste.update"), "not in the file"),
        ("rate(2 hours)", "delete", ("remove", "schedule", "schedule.shop.taste.update"), "not in the file"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("data")
def test_what_differs_is_updated_and_then_as_the_file_says(
    settings, personalize, folder, old: str, new: str, step: tuple[str, str, str], detail: str
) -> None:
    before = SHOP.replace("aws-sims\n", "aws-sims\n      performAutoTraining: true\n")
    apply(settings, personalize, planned(settings, folder, before), lambda: finish(settings))
    finish(settings)
    after = before.replace(old, new)

    plan = planned(settings, folder, after)

    assert [one for one in changes(plan) if one[1] != "schedule" or step[1] == "schedule"] == [step]
    assert by_name(plan, step[1])[step[2]].detail.startswith(detail)
    assert apply(settings, personalize, plan).failed == []
    assert changes(planned(settings, folder, after)) == []


def test_more_columns_are_a_schema_of_another_name(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))
    field = "            - {name: GENRE, type: string, categorical: true}\n"
    more = SHOP.replace(field, field + field.replace("GENRE", "BRAND"))
    head, tail = more.rsplit("name: shop-items", 1)

    changed = planned(settings, folder, more)
    moved = planned(settings, folder, f"{head}name: shop-items-2{tail}")

    assert "line 29: datasets.items.schema.serviceConfig.schema: schema shop-items" in changed.refused()[0]
    assert "give the new one a name of its own" in changed.refused()[0]
    done = apply(settings, personalize, moved).done
    assert [(str(step.action), step.what, step.name) for step in done] == [
        ("create", "schema", "shop-items-2"),
        ("update", "dataset", "shop-items"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("aws-user-personalization", "aws-hrnn", "solution taste: recipeArn is .*give the new one a name of its own"),
        ('"55"', '"56"', "solutions\\[0\\].serviceConfig.solutionConfig: solution taste: solutionConfig is"),
        ("name: shop-events", "name: events", "eventTracker.serviceConfig.name: event tracker events: name is shop-events"),
        ("serviceConfig: {name: shop-clicks}", "serviceConfig: {name: clicks}", "dataset clicks: name is shop-clicks"),
        ("datasetGroup:\n  serviceConfig: {name: shop}", "datasetGroup:\n  serviceConfig: {name: other}", "solution taste: belongs to another dataset group"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_refused_with_line_and_advice(
    settings, personalize, folder, old: str, new: str, reason: str
) -> None:
    apply(settings, personalize, planned(settings, folder))
    text = SHOP.replace("        update: rate(2 hours)\n", "").replace(old, new)

    refused = planned(settings, folder, text).refused()

    assert refused
    assert any(re.search(rf"^shop.yaml, line \d+: .*{reason}", line) for line in refused), refused


@pytest.mark.usefixtures("data")
def test_an_export_plans_nothing_here_and_makes_the_same_elsewhere(settings, personalize, folder, db) -> None:
    given = with_job("{numResults: 7}") + "tags: [{tagKey: team, tagValue: '1e5'}]\n"
    apply(settings, personalize, planned(settings, folder, given), lambda: finish(settings))
    finish(settings)

    exported = declaring_command.export(settings, "shop", None)
    as_json = folder / "exported.json"
    declaring_command.export(settings, "shop", as_json)

    assert changes(planned(settings, folder, exported)) == []
    assert declaring_command.plan(settings, as_json, NOW).steps == planned(settings, folder, exported).steps
    with db.begin() as conn:
        conn.execute(text("TRUNCATE openpersonalize.resources CASCADE"))
    assert apply(settings, personalize, planned(settings, folder, exported), lambda: finish(settings)).failed == []
    finish(settings)
    assert declaring_command.export(settings, "shop", None) == exported


def test_a_batch_job_that_may_not_read_there_is_refused_and_waits_if_the_file_lies_outside(
    settings, personalize, folder
) -> None:
    told = with_job('{jobInput: {s3DataSource: {path: "file:///etc/"}}}')
    [refused] = planned(settings, folder, told).refused()
    assert (
        "line 50: solutions[0].batchInferenceJobs[0]: schedule schedule.shop.taste.batch-inference: Invalid S3"
        in refused
    )
    outside = settings.home.parent.parent / "outside"
    outside.mkdir()
    job = by_name(planned(settings, outside, with_job("{}")), "schedule")["schedule.shop.taste.batch-inference"]
    assert (job.action, "OPENPERSONALIZE_IMPORT_ROOTS" in job.detail) == (Action.LATER, True)


def test_a_schedule_is_known_to_airflow_while_it_is_in_the_file(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))

    found = {one.dag_id: one for one in schedules.current(settings)}

    assert {name: one.expression for name, one in found.items()} == {
        "schedule.shop.interactions.import": "cron(0 */6 * * ? *)",
        "schedule.shop.items.import": "rate(1 day)",
        "schedule.shop.taste.full": "cron(0 2 ? * 1 *)",
        "schedule.shop.taste.update": "rate(2 hours)",
    }
    assert found["schedule.shop.taste.full"].start == NOW
    assert found["schedule.shop.taste.update"].start == NOW + timedelta(hours=2)
    personalize.delete_solution(solutionArn=found["schedule.shop.taste.full"].arn)
    assert {one.dag_id.split(".")[2] for one in schedules.current(settings)} == {"interactions", "items"}


def test_the_database_away_the_schedules_are_those_of_the_last_time(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))
    nowhere = dataclasses.replace(settings, database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(psycopg.OperationalError):
        schedules.current(nowhere)

    known = schedules.current(settings)

    assert schedules.current(nowhere) == known
    assert schedules.current(dataclasses.replace(settings, database_url="")) == []


def test_a_home_that_cannot_be_written_keeps_no_schedule_from_its_dag(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))
    settings.airflow_home.write_text("not a folder")
    assert len(schedules.current(settings)) == 4


def test_everything_that_is_wrong_is_said_at_once_and_nothing_is_made(settings, personalize, folder) -> None:
    text = SHOP.replace("full:", "ful:").replace("type: long", "type: string").replace("rate(1 day)", "rate(1 days)")
    with pytest.raises(NotApplied) as refused:
        planned(settings, folder, text)
    assert str(refused.value).splitlines() == [
        "shop.yaml, line 13: datasets.interactions.schema.serviceConfig.schema: field TIMESTAMP: must have the type long, "
        "not string.",
        "shop.yaml, line 38: datasets.items.workflowConfig.schedules.import: 'rate(1 days)': write rate(1 day)",
        "shop.yaml, line 47: solutions[0].workflowConfig.schedules.ful: is not known here; did you mean full?",
    ]
    assert personalize.list_dataset_groups()["datasetGroups"] == []


def test_json_and_yaml_say_the_same(settings, personalize, folder) -> None:
    as_json = folder / "shop.json"
    as_json.write_text(json.dumps(read(SHOP).value))
    from_json, from_yaml = declaring_command.plan(settings, as_json, NOW), planned(settings, folder)
    assert from_json.steps == from_yaml.steps


def test_a_filter_is_exported_and_cannot_be_changed(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))
    exported = declaring_command.export(settings, "shop", None)
    assert 'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")' in exported
    [refused] = planned(settings, folder, SHOP.replace("EXCLUDE", "INCLUDE")).refused()
    assert "a filter cannot be changed" in refused


@pytest.mark.parametrize(
    ("expression", "points_at"),
    [
        ("EXCLUDE ItemID WHERE Interactions.EVENT_TYPE LIKE 5", "LIKE"),
        ('INCLUDE ItemID WHERE Items.GENRE IN ("a") AND Items.COLOUR = 3', "Items.COLOUR"),
    ],
)
def test_a_filter_that_cannot_be_read_is_pointed_at_before_anything_is_made(
    settings, personalize, folder, expression: str, points_at: str
) -> None:
    text = SHOP.replace('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', f"'{expression}'")
    [refused] = planned(settings, folder, text).refused()
    said, shown, caret = refused.splitlines()
    place = f"character {expression.index(points_at) + 1}: "
    assert said.startswith(
        "shop.yaml, line 59: filters[0].serviceConfig.filterExpression: filter seen: Could not create"
    )
    assert place in said and shown == expression and caret == " " * expression.index(points_at) + "^"
    assert personalize.list_dataset_groups()["datasetGroups"] == []


def test_a_filter_reads_what_the_group_has_beside_the_file(settings, personalize, folder) -> None:
    apply(settings, personalize, planned(settings, folder))
    more = """\
datasetGroup: {serviceConfig: {name: shop}}
filters:
  - serviceConfig: {name: comedies, filterExpression: 'INCLUDE ItemID WHERE Items.GENRE IN ("Comedy")'}
"""
    assert ("create", "filter", "comedies") in changes(planned(settings, folder, more))
    assert "Items has no column BRAND" in planned(settings, folder, more.replace("GENRE", "BRAND")).refused()[0]


def test_a_file_with_every_section_of_aws_solution_is_applied_as_it_is(settings, personalize, folder) -> None:
    """In JSON with tabs, as its documentation prints it: schedules counted from SUN = 1, batch jobs, affinity recipes."""
    recipe = "arn:aws:personalize:::recipe/aws-"
    nightly = {"serviceConfig": {}, "workflowConfig": {"schedule": "cron(0 3 * * ? *)"}}
    found = read(SHOP).value
    found["datasets"]["serviceConfig"] = {"importMode": "FULL", "tags": [{"tagKey": "kind", "tagValue": "import"}]}
    found["datasets"]["users"] = {
        "dataset": {"serviceConfig": {"name": "shop-users"}},
        "schema": {
            "serviceConfig": {
                "name": "shop-users",
                "schema": {
                    "type": "record",
                    "name": "users",
                    "namespace": "com.amazonaws.personalize.schema",
                    "fields": [{"name": "USER_ID", "type": "string"}, {"name": "AGE", "type": "int"}],
                },
            }
        },
    }
    weekly = {"schedules": {"full": "cron(0 0 ? * 1 *)"}}
    found["solutions"] = [
        {"serviceConfig": {"name": "fans", "recipeArn": f"{recipe}item-affinity"}, "batchSegmentJobs": [nightly]},
        {"serviceConfig": {"name": "beside", "recipeArn": f"{recipe}sims"}, "workflowConfig": weekly},
        {
            "serviceConfig": {
                "name": "taste",
                "recipeArn": f"{recipe}user-personalization",
                "solutionVersion": {"trainingMode": "FULL", "tags": [{"tagKey": "kind", "tagValue": "version"}]},
            },
            "workflowConfig": weekly,
            "campaigns": [{"serviceConfig": {"name": "front", "minProvisionedTPS": 1}}],
            "batchInferenceJobs": [nightly],
        },
    ]
    file = folder / "config.json"
    file.write_text(json.dumps(found, indent="\t"))

    plan = declaring_command.plan(settings, file, NOW)

    assert plan.refused() == apply(settings, personalize, plan).failed == []
    assert [(one.what, one.name) for one in plan.steps if one.action is Action.UNAVAILABLE] == [
        ("schedule", "schedule.shop.fans.batch-segments"),
        ("version", "of fans"),
    ]
    assert {one.dag_id: one.timing.cron for one in schedules.current(settings)} == {
        "schedule.shop.beside.full": "0 0 * * 0",
        "schedule.shop.interactions.import": "0 */6 * * *",
        "schedule.shop.items.import": None,
        "schedule.shop.taste.batch-inference": "0 3 * * *",
        "schedule.shop.taste.full": "0 0 * * 0",
        "schedule.shop.users.import": "0 */6 * * *",
    }
