"""Tags: what clients write on resources to find them again; the platform reads nothing into them (spec: resources.md 5.6).

What can be tagged is what is created with tags. Tags are no change of the resource, so lastUpdatedDateTime stays; they go
with the resource when it is deleted. A version that an automatic training makes gets none, neither its solution's nor
others, as nothing says that AWS passes any on; one of a declared schedule gets those that the schedule declares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.aws import models
from pipelines.aws.errors import CONTROL, InvalidInput, ResourceNotFound, TooManyTagKeys, TooManyTags
from pipelines.control import lookup, views
from pipelines.control.context import Context, Given
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tags import put_tags, remove_tags, tags_of

MAX_TAGS = 50


def tag_resource(context: Context, given: Given) -> Given:
    """Add tags; a key that is there gets the new value. Raises TooManyTags, ResourceInUse in a transitional state."""
    added = read_tags(given["tags"])
    resource = _settled(context, given)
    there = {**tags_of(context.conn, resource.id), **added}
    if len(there) > MAX_TAGS:
        raise TooManyTags(f"tags: {resource.arn} would have {len(there)} tags; it can have at most {MAX_TAGS}.")
    if added:
        put_tags(context.conn, resource.id, added)
    return {}


def untag_resource(context: Context, given: Given) -> Given:
    """Take off tags; a key that is not there is no error. Raises TooManyTagKeys, ResourceInUse."""
    keys = given["tagKeys"]
    if len(keys) > MAX_TAGS:
        raise TooManyTagKeys(f"tagKeys: {len(keys)} keys given; a resource can have at most {MAX_TAGS} tags.")
    remove_tags(context.conn, _settled(context, given).id, keys)
    return {}


def list_tags_for_resource(context: Context, given: Given) -> Given:
    """By key, in any state of the resource; raises ResourceNotFound, InvalidInput."""
    there = tags_of(context.conn, _taggable(context, given["resourceArn"]).id)
    return {"tags": [{"tagKey": key, "tagValue": value} for key, value in there.items()]}


def read_tags(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request by key; raises TooManyTags, InvalidInput."""
    if len(given) > MAX_TAGS:
        raise TooManyTags(f"tags: {len(given)} tags given; a resource can have at most {MAX_TAGS}.")
    tags = {tag["tagKey"]: tag["tagValue"] for tag in given}
    if len(tags) < len(given):
        raise InvalidInput("tags: the same tagKey is given twice.")
    reserved = sorted(key for key in tags if key.lower().startswith("aws:"))
    if reserved:
        raise InvalidInput(f"tags: tagKey {reserved[0]!r} begins with the reserved prefix aws:.")
    return tags


def _settled(context: Context, given: Given) -> Resource:
    """The resource, held, so that two requests at once cannot give it more tags than it may have; raises ResourceInUse."""
    found = _taggable(context, given["resourceArn"])
    resource = lookup.lock(context, found.kind, found.arn)
    views.refuse_if_blocked(resource, ())
    return resource


def _taggable(context: Context, arn: str) -> Resource:
    """Raises ResourceNotFound, and InvalidInput for what exists and has no tags."""
    if ":personalize:::" in arn:
        raise InvalidInput(f"resourceArn: {arn} is built in; only resources of an account can be tagged.")
    found = store.get(context.conn, arn=arn)
    if found is None:
        raise ResourceNotFound(f"Resource Arn {arn} does not exist.")
    if "tags" not in models.service_model(CONTROL).operation_model(f"Create{found.kind}").input_shape.members:
        raise InvalidInput(f"resourceArn: {arn} is a {found.kind}, which cannot be tagged.")
    return found
