"""Tags through boto3: added, replaced, taken off, listed, refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.platform.removal import remove_deleted
from pipelines.registry.tables import tags
from pipelines.settings import Settings
from tests.support.group import RECIPE, Group, make_version, refused


def pairs(**given: str) -> list[dict[str, str]]:
    return [{"tagKey": key, "tagValue": value} for key, value in given.items()]


def listed(personalize: Any, arn: str) -> dict[str, str]:
    shown = personalize.list_tags_for_resource(resourceArn=arn)["tags"]
    return {tag["tagKey"]: tag["tagValue"] for tag in shown}


def test_tags_are_added_replaced_and_taken_off(personalize: Any) -> None:
    arn = personalize.create_dataset_group(name="shop", tags=pairs(a="1", team="möbel"))["datasetGroupArn"]
    before = personalize.describe_dataset_group(datasetGroupArn=arn)
    assert listed(personalize, arn) == {"a": "1", "team": "möbel"}
    personalize.tag_resource(resourceArn=arn, tags=pairs(a="2", A="", stage="a b_.:/=+-@"))
    assert listed(personalize, arn) == {"A": "", "a": "2", "stage": "a b_.:/=+-@", "team": "möbel"}
    personalize.untag_resource(resourceArn=arn, tagKeys=["a", "team", "never there"])
    assert listed(personalize, arn) == {"A": "", "stage": "a b_.:/=+-@"}
    personalize.tag_resource(resourceArn=arn, tags=[])
    personalize.untag_resource(resourceArn=arn, tagKeys=[])
    assert len(listed(personalize, arn)) == 2
    # A tag is no change of the resource.
    after = personalize.describe_dataset_group(datasetGroupArn=arn)
    assert after["datasetGroup"] == before["datasetGroup"]


def test_a_resource_has_at_most_fifty_tags(personalize: Any, group: Group) -> None:
    fifty = {f"k{number}": "v" for number in range(50)}
    assert refused(personalize.tag_resource, resourceArn=group.arn, tags=pairs(**fifty, one="more")) == (
        "TooManyTagsException",
        "tags: 51 tags given; a resource can have at most 50.",
    )
    personalize.tag_resource(resourceArn=group.arn, tags=pairs(**fifty))
    code, message = refused(personalize.tag_resource, resourceArn=group.arn, tags=pairs(one="more", k1="w"))
    assert (code, "would have 51 tags" in message) == ("TooManyTagsException", True)
    # One that is there may change all the same.
    personalize.tag_resource(resourceArn=group.arn, tags=pairs(k1="w"))
    assert listed(personalize, group.arn)["k1"] == "w"
    keys = [*fifty, "one"]
    assert refused(personalize.untag_resource, resourceArn=group.arn, tagKeys=keys)[0] == "TooManyTagKeysException"
    personalize.untag_resource(resourceArn=group.arn, tagKeys=keys[:50])
    assert listed(personalize, group.arn) == {}


def test_tags_that_cannot_be_are_refused_whole(personalize: Any, group: Group) -> None:
    for given, what in (
        (pairs(**{"aws:x": "1"}), "reserved prefix"),
        (pairs(**{"AWS:x": "1"}), "reserved prefix"),
        ([*pairs(a="1"), *pairs(a="2")], "same tagKey"),
    ):
        code, message = refused(personalize.tag_resource, resourceArn=group.arn, tags=[*pairs(good="1"), *given])
        assert (code, what in message) == ("InvalidInputException", True)
    assert listed(personalize, group.arn) == {}


def test_what_is_in_transition_keeps_its_tags(personalize: Any, group: Group, move: Any) -> None:
    version = make_version(personalize, group, "likes", move)
    personalize.tag_resource(resourceArn=version, tags=pairs(a="1"))
    for status in ("CREATE PENDING", "CREATE IN_PROGRESS", "CREATE STOPPING", "DELETE PENDING"):
        move(version, status=status)
        code, message = refused(personalize.tag_resource, resourceArn=version, tags=pairs(a="2"))
        assert (code, status in message) == ("ResourceInUseException", True)
        assert refused(personalize.untag_resource, resourceArn=version, tagKeys=["a"])[0] == "ResourceInUseException"
        assert listed(personalize, version) == {"a": "1"}
    move(version, status="CREATE FAILED")
    personalize.untag_resource(resourceArn=version, tagKeys=["a"])


def test_tags_are_of_what_exists_and_can_have_some(personalize: Any, group: Group) -> None:
    gone = group.arn + "x"
    built_in = (RECIPE + "sims", "arn:aws:personalize:::algorithm/aws-sims")
    for call, more in (
        (personalize.tag_resource, {"tags": pairs(a="1")}),
        (personalize.untag_resource, {"tagKeys": ["a"]}),
        (personalize.list_tags_for_resource, {}),
    ):
        assert refused(call, resourceArn=gone, **more)[0] == "ResourceNotFoundException"
        for arn in (group.schema, *built_in):
            code, message = refused(call, resourceArn=arn, **more)
            assert (code, message.startswith(f"resourceArn: {arn} is ")) == ("InvalidInputException", True)


def test_tags_go_with_their_resource(personalize: Any, db: Any, settings: Settings) -> None:
    arn = personalize.create_dataset_group(name="doomed", tags=pairs(a="1"))["datasetGroupArn"]
    personalize.delete_dataset_group(datasetGroupArn=arn)
    with db.connect() as conn:
        for _ in range(2):
            remove_deleted(conn, settings, datetime.now(UTC) + timedelta(seconds=1))
        assert conn.execute(tags.select()).all() == []
    assert refused(personalize.list_tags_for_resource, resourceArn=arn)[0] == "ResourceNotFoundException"
