"""Event trackers: the id under which a group's events are sent; one a group."""

from __future__ import annotations

import secrets
import uuid

from pipelines.aws.errors import ResourceAlreadyExists
from pipelines.control import lookup, views
from pipelines.control.context import Context, Given
from pipelines.control.creation import create
from pipelines.registry import store

describe = views.describing("EventTracker")
list_all = views.listing("EventTracker", "eventTrackers", within="DatasetGroup")
delete = views.deleting("EventTracker", lambda _context, _tracker: ())


def create_event_tracker(context: Context, given: Given) -> Given:
    """ACTIVE at once; raises ResourceAlreadyExists when the group has one that is not being deleted."""
    group = lookup.lock_active(context, "DatasetGroup", given["datasetGroupArn"])
    for other in store.in_group(context.conn, group.id, "EventTracker"):
        if not other.is_deleting:
            raise ResourceAlreadyExists(f"{group.arn} has an event tracker already: {other.arn}.")
    tracking_id = str(uuid.uuid4())
    made = create(
        context,
        "EventTracker",
        given,
        arn_parts=(secrets.token_hex(4),),
        group=group,
        doc={
            "trackingId": tracking_id,
            "accountId": context.settings.account_id,
            "datasetGroupArn": group.arn,
        },
    )
    return {"eventTrackerArn": made.arn, "trackingId": tracking_id}
