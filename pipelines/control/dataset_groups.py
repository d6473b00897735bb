"""Dataset groups: nothing in one group influences another."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.aws.errors import InvalidInput
from pipelines.control import views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create, members
from pipelines.registry import store
from pipelines.registry.store import Resource

BLOCKING = ("EventTracker", "Solution", "Dataset", "Recommender", "Campaign")
"""Must be gone before the group can go; what else it holds goes with it."""

describe = views.describing("DatasetGroup")
list_all = views.listing("DatasetGroup", "datasetGroups")


# Unlike AWS, access: kmsKeyArn of a dataset group is kept and shown, and encrypts nothing. There is no KMS here:
# encrypt disks, database and bucket.
def create_dataset_group(context: Context, given: Given) -> Given:
    """Custom without `domain`. `roleArn` and `kmsKeyArn` come together; they are kept and shown, nothing more."""
    if ("roleArn" in given) != ("kmsKeyArn" in given):
        raise InvalidInput("roleArn and kmsKeyArn must be given together or not at all.")
    doc = members(given, "roleArn", "kmsKeyArn", "domain")
    made = create(context, "DatasetGroup", given, doc=doc)
    return {"datasetGroupArn": made.arn, "domain": given.get("domain")}


def _blockers(context: Context, group: Resource) -> Iterable[Resource]:
    return [resource for resource in store.in_group(context.conn, group.id) if resource.kind in BLOCKING]


delete = views.deleting("DatasetGroup", _blockers)
