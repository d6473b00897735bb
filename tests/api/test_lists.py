"""Paging: tokens survive inserts, end, and belong to the list that gave them out; recipes."""

from __future__ import annotations

import pytest

from tests.support.group import RECIPE, USER_PERSONALIZATION, make_group


def test_pages_are_newest_first_and_survive_inserts_between_them(personalize) -> None:
    for i in range(5):
        personalize.create_dataset_group(name=f"g{i}")
    names, token, late = [], {}, 0
    while True:
        page = personalize.list_dataset_groups(maxResults=2, **token)
        names += [group["name"] for group in page["datasetGroups"]]
        personalize.create_dataset_group(name=f"late{late}")
        late += 1
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert names == ["g4", "g3", "g2", "g1", "g0"]


def test_a_row_deleted_between_two_pages_loses_no_other(personalize) -> None:
    schema = '{"type":"record","name":"Users","fields":[{"name":"USER_ID","type":"string"},{"name":"A","type":"int"}]}'
    arns = [personalize.create_schema(name=f"s{i}", schema=schema)["schemaArn"] for i in range(5)]
    page = personalize.list_schemas(maxResults=2)
    personalize.delete_schema(schemaArn=page["schemas"][-1]["schemaArn"])
    rest = personalize.list_schemas(maxResults=100, nextToken=page["nextToken"])
    assert [shown["schemaArn"] for shown in rest["schemas"]] == arns[2::-1]
    assert "nextToken" not in rest


def test_boto3s_paginator_sees_every_resource_once(personalize) -> None:
    for i in range(5):
        personalize.create_dataset_group(name=f"g{i}")
    pages = personalize.get_paginator("list_dataset_groups").paginate(PaginationConfig={"PageSize": 2})
    assert sorted(g["name"] for page in pages for g in page["datasetGroups"]) == [f"g{i}" for i in range(5)]


def test_a_token_is_refused_by_every_other_list(personalize) -> None:
    first, second = make_group(personalize, "one"), make_group(personalize, "two")
    for name in "ab":
        for group in (first, second):
            personalize.create_solution(
                name=f"{group.arn[-3:]}-{name}", datasetGroupArn=group.arn, recipeArn=USER_PERSONALIZATION
            )
    token = personalize.list_solutions(datasetGroupArn=first.arn, maxResults=1)["nextToken"]
    bad = personalize.exceptions.InvalidNextTokenException
    for call, given in (
        (personalize.list_solutions, {"nextToken": token}),
        (personalize.list_solutions, {"nextToken": token, "datasetGroupArn": second.arn}),
        (personalize.list_campaigns, {"nextToken": token}),
        (personalize.list_recipes, {"nextToken": token}),
        (personalize.list_schemas, {"nextToken": "x"}),
    ):
        with pytest.raises(bad):
            call(**given)
    assert len(personalize.list_solutions(datasetGroupArn=first.arn, nextToken=token)["solutions"]) == 1


def test_lists_are_narrowed_by_their_parent(personalize) -> None:
    first, second = make_group(personalize, "one"), make_group(personalize, "two")
    assert [d["datasetArn"] for d in personalize.list_datasets(datasetGroupArn=first.arn)["datasets"]] == [
        first.dataset
    ]
    assert len(personalize.list_datasets()["datasets"]) == 2
    tracker = personalize.create_event_tracker(name="t", datasetGroupArn=second.arn)["eventTrackerArn"]
    assert personalize.list_event_trackers(datasetGroupArn=first.arn)["eventTrackers"] == []
    [shown] = personalize.list_event_trackers(datasetGroupArn=second.arn)["eventTrackers"]
    assert (shown["eventTrackerArn"], "trackingId" in shown) == (tracker, False)


def test_recipes_are_listed_by_name_and_paged(personalize) -> None:
    everything = personalize.list_recipes()
    names = [recipe["name"] for recipe in everything["recipes"]]
    assert names == sorted(names)
    assert {"aws-user-personalization", "aws-hrnn", "aws-sims", "aws-vod-top-picks"} <= set(names)
    assert "nextToken" not in everything
    pages = personalize.get_paginator("list_recipes").paginate(PaginationConfig={"PageSize": 4})
    assert [recipe["name"] for page in pages for recipe in page["recipes"]] == names


@pytest.mark.parametrize(("domain", "mark"), [("VIDEO_ON_DEMAND", "aws-vod-"), ("ECOMMERCE", "aws-ecomm-")])
def test_a_domains_recipes_come_on_a_first_page_that_has_a_token(personalize, domain: str, mark: str) -> None:
    page = personalize.list_recipes(domain=domain)
    assert len(page["recipes"]) == 5
    assert all(r["name"].startswith(mark) and r["domain"] == domain for r in page["recipes"])
    rest = personalize.list_recipes(domain=domain, nextToken=page["nextToken"])
    assert (rest["recipes"], "nextToken" in rest) == ([], False)


def test_a_recipe_is_described(personalize) -> None:
    recipe = personalize.describe_recipe(recipeArn=USER_PERSONALIZATION)["recipe"]
    assert (recipe["status"], recipe["recipeType"]) == ("ACTIVE", "USER_PERSONALIZATION")
    assert recipe["algorithmArn"].startswith("arn:aws:personalize:::algorithm/")
    with pytest.raises(personalize.exceptions.ResourceNotFoundException, match="ListRecipes"):
        personalize.describe_recipe(recipeArn=RECIPE + "no-such")
