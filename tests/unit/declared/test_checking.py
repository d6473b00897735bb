"""What a file wants, and everything that can be wrong with one, each with its line; the control plane's own rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.declared.checking import check
from pipelines.declared.reading import Refused, read
from pipelines.declared.wanted import SetUp, WantedJob
from pipelines.declared.writing import to_yaml
from tests.support.declared import SHOP

FOLDER = "file:///srv/train/shop/"


def wanted(text: str = SHOP) -> SetUp:
    return check(read(text), FOLDER)


def refused(old: str, new: str) -> list[str]:
    assert old in SHOP, old
    with pytest.raises(Refused) as failed:
        wanted(SHOP.replace(old, new))
    return [str(problem) for problem in failed.value.problems]


def test_data_lies_beside_the_file_unless_it_says_where() -> None:
    def locations(text: str) -> list[str]:
        return [one.source.location for one in wanted(text).datasets]

    assert locations(SHOP) == [f"{FOLDER}interactions", f"{FOLDER}items"]
    common = 'datasets:\n  serviceConfig: {dataSource: {dataLocation: "s3://shop/raw/"}}\n'
    assert locations(SHOP.replace("datasets:\n", common)) == ["s3://shop/raw/interactions", "s3://shop/raw/items"]
    own = '  items:\n    serviceConfig: {dataSource: {dataLocation: "s3://b/x.csv"}, importMode: INCREMENTAL}\n'
    found = wanted(SHOP.replace("  items:\n", own)).datasets[1].source
    assert (found.location, found.is_given, found.members["importMode"]) == ("s3://b/x.csv", True, "INCREMENTAL")


def test_a_dataset_takes_the_groups_import_schedule_unless_it_has_one() -> None:
    assert [one.schedule.expression for one in wanted().datasets if one.schedule] == [
        "cron(0 */6 * * ? *)",
        "rate(1 day)",
    ]


def test_a_solution_with_a_full_schedule_does_not_train_by_itself_as_well_unless_told() -> None:
    def automatic(text: str) -> list[bool]:
        return [one.solution.given["performAutoTraining"] for one in wanted(text).solutions]

    assert automatic(SHOP) == [False, True]
    assert automatic(SHOP.replace("name: taste\n", "name: taste\n      performAutoTraining: true\n")) == [True, True]
    assert automatic(SHOP.replace("full: cron(0 2 ? * 1 *)", "full: delete")) == [True, True]


def test_campaigns_follow_unless_told() -> None:
    def config(text: str) -> Any:
        return wanted(text).solutions[0].campaigns[0].given["campaignConfig"]

    assert config(SHOP) == {"syncWithLatestSolutionVersion": True}
    own = "minProvisionedTPS: 1, campaignConfig: {syncWithLatestSolutionVersion: false}"
    assert config(SHOP.replace("minProvisionedTPS: 1", own)) == {"syncWithLatestSolutionVersion": False}


def test_a_batch_job_lies_beside_the_file_unless_it_says_where() -> None:
    jobs = """    batchInferenceJobs:
      - {serviceConfig: {}, workflowConfig: {schedule: 'cron(0 3 * * ? *)'}}
      - serviceConfig: {jobInput: {s3DataSource: {path: "s3://b/in/"}}, numResults: 7}
        workflowConfig: {schedule: rate(1 day)}
      - {serviceConfig: {}, workflowConfig: {schedule: delete}}
    campaigns:
"""
    first, second = wanted(SHOP.replace("    campaigns:\n", jobs)).solutions[0].jobs

    def places(job: WantedJob) -> tuple[str, str]:
        given = job.given
        return given["jobInput"]["s3DataSource"]["path"], given["jobOutput"]["s3DataDestination"]["path"]

    assert (first.what, first.timing.expression, first.is_placed) == ("batch-inference", "cron(0 3 * * ? *)", False)
    assert places(first) == (f"{FOLDER}batch/taste/job_config.json", f"{FOLDER}batch/taste/")
    assert (second.what, second.timing.expression, second.is_placed) == ("batch-inference-2", "rate(1 day)", True)
    assert places(second) == ("s3://b/in/", f"{FOLDER}batch/taste/") and second.given["numResults"] == 7


def test_root_tags_are_of_everything_that_has_none_of_its_own() -> None:
    text = SHOP.replace("{name: front,", "{name: front, tags: [],") + "tags: [{tagKey: team, tagValue: a}]\n"
    found, tags = wanted(text), [{"tagKey": "team", "tagValue": "a"}]
    assert found.group.tags == found.datasets[0].dataset.tags == found.others[0].tags == tags
    assert found.solutions[0].version["tags"] == found.datasets[0].source.members["tags"] == tags
    assert found.datasets[0].schema.tags == found.solutions[0].campaigns[0].tags == []


def test_what_another_time_brings_is_left_out_with_its_reason() -> None:
    text = SHOP.replace("name: together\n", "name: together\n      performIncrementalUpdate: true\n")
    text = text.replace("aws-sims", "aws-semantic-similarity")
    text = text.replace(
        "    campaigns:\n",
        "    batchInferenceJobs: [{serviceConfig: {numResults: 5}}]\n    campaigns:\n",
    )
    text = text.replace("minProvisionedTPS: 1", "campaignConfig: {rankingInfluence: {FRESHNESS: 0.5}}")
    text = text.replace('{import: "cron', '{maxAge: 7 days, import: "cron')
    found = wanted(text)
    assert [(one.what, one.name) for one in found.unavailable] == [
        ("maxAge", "datasetGroup"),
        ("campaign", "front"),
        ("batch inference", "taste"),
        ("solution", "together"),
    ]
    assert [one.solution.name for one in found.solutions] == ["taste"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("datasetGroup:\n", "datasetgroup:\n", "line 2: datasetgroup: is not known here; did you mean datasetGroup?"),
        ("{name: shop}", "{}", "line 3: datasetGroup.serviceConfig.name: is missing"),
        ("{name: shop}", "{name: shop, domain: BOOKS}", "line 3: datasetGroup.serviceConfig.domain: 'BOOKS': Member must satisfy enum"),
        ("{name: shop-clicks}", "{name: shop-clicks, datasetType: ITEMS}", "line 9: datasets.interactions.dataset.serviceConfig.datasetType: follows from its place"),
        ("name: interactions\n", "name: Items\n", "line 13: datasets.interactions.schema.serviceConfig.schema: its name says ITEMS, but it stands"),
        ("type: record\n          name: interactions", "type: map\n          name: interactions", "line 13: datasets.interactions.schema.serviceConfig.schema: "),
        ("recipe/aws-sims", "recipe/aws-simms", "line 53: solutions[1].serviceConfig.recipeArn: Resource Arn arn:aws:personalize:::recipe/aws-simms does not exist"),
        ("      recipeArn: arn:aws:personalize:::recipe/aws-sims\n", "", "line 51: solutions[1].serviceConfig.recipeArn: is required unless"),
        ('"55"', "55", "line 44: solutions[0].serviceConfig.solutionConfig.algorithmHyperParameters.hidden_dimension: must be a string"),
        ('"55"', '"5"', "line 44: solutions[0].serviceConfig.solutionConfig.algorithmHyperParameters: hidden_dimension"),
        ("name: together", "name: taste", "line 41: solutions[0].serviceConfig.name: taste is there twice"),
        ("aws-user-personalization", "aws-hrnn", "line 48: solutions[0].workflowConfig.schedules.update: only versions of"),
        ("update: rate(2 hours)", "update: [rate(2 hours)]", "line 48: solutions[0].workflowConfig.schedules.update: must be a schedule"),
        ("- serviceConfig: {name: front, minProvisionedTPS: 1}", "- {name: front}", "line 50: solutions[0].campaigns[0].name: is not known here; there are serviceConfig"),
        ("minProvisionedTPS: 1", "minProvisionedTPS: one", "line 50: solutions[0].campaigns[0].serviceConfig.minProvisionedTPS: must be a whole number"),
        ("minProvisionedTPS: 1", "campaignConfig: {itemExplorationConfig: {explorationWeight: '2'}}", "line 50: solutions[0].campaigns[0].serviceConfig.campaignConfig.itemExplorationConfig.explorationWeight: '2' is not a number in [0, 1]"),
        ("filterExpression: EXCLUDE", "expression: EXCLUDE", "line 59: filters[0].serviceConfig.expression: is not known here; did you mean filterExpression?"),
        ("    campaigns:\n", "    batchInferenceJobs: [{serviceConfig: {jobName: x}}]\n    campaigns:\n", "line 49: solutions[0].batchInferenceJobs[0].serviceConfig.jobName: follows from its place"),
        ("    campaigns:\n", "    batchInferenceJobs: [{serviceConfig: {numResults: 501}, workflowConfig: {schedule: rate(1 day)}}]\n    campaigns:\n", "line 49: solutions[0].batchInferenceJobs[0].serviceConfig: numResults must be 1 to 500, not 501"),
        ("    campaigns:\n", "    batchSegmentJobs: [{serviceConfig: {}, workflowConfig: {schedule: rate(1 day)}}]\n    campaigns:\n", "line 49: solutions[0].batchSegmentJobs[0].serviceConfig.solutionVersionArn: aws-user-personalization is of type USER_PERS"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line_and_reason(old: str, new: str, said: str) -> None:
    found = refused(old, new)
    assert any(line.startswith(said) for line in found), found


def test_every_wrong_thing_is_said_at_once() -> None:
    text = SHOP.replace("{name: shop}", "{name: my shop}").replace("type: long", "type: int")
    text = text.replace("cron(0 2 ? * 1 *)", "cron(0 2 * * 1 *)").replace("{name: shop-events}", "{nam: shop-events}")
    with pytest.raises(Refused) as failed:
        wanted(text)
    assert [(one.line, one.path) for one in failed.value.problems] == [
        (3, "datasetGroup.serviceConfig.name"),
        (13, "datasets.interactions.schema.serviceConfig.schema"),
        (47, "solutions[0].workflowConfig.schedules.full"),
        (55, "eventTracker.serviceConfig.nam"),
        (55, "eventTracker.serviceConfig.name"),
    ]


def test_what_is_written_as_yaml_is_read_as_the_same() -> None:
    values = {"a": ["1e-5", "true", "", "no", "2026-01-01", "~", "x: y", "😀\n  b", "null", 5, 0.1, 1e-9, True, None]}
    values["b"] = values["a"]
    assert read(to_yaml(values)).value == values
    assert read(json.dumps(values)).value == values
