"""Implicit impressions: an event that names an earlier answer by its recommendationId was made in view of that list.

Answers are kept a day (table `served`), events for good. So the list is copied to its events while it is there: every minute
by the reconciler, when a version is claimed, and before a campaign goes; with it goes whose answer it was, to whose credit
metric attributions count the event. The list goes into a column of its own and `impression` stays what was sent:
of an event that brings its own list that one counts (spec/datasets.md section 4), and exports give in IMPRESSION only
what was sent, so that an exported row that is imported again is still recognised as the row that it is.

Trainings get the counts beside the rows (`freeze`), whether or not the Interactions schema has an IMPRESSION column.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    import pyarrow as pa

GIVEN_UP_AFTER = timedelta(minutes=5)
"""An answer is written within seconds, so an event's list that is not there by then never will be."""
BATCH_EVENTS = 20_000

# The lists are those of the group's own campaigns: a recommendationId of another group says nothing about its items. Rows
# that another transaction holds are left to it, so two that do this at once, or a deletion of users, never wait in a ring.
_RESOLVE = text(
    """
    WITH open AS (
        SELECT id, group_id, recommendation_id, received_at FROM openpersonalize.events
        WHERE recommendation_id IS NOT NULL AND served_by IS NULL
        ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
    ), found AS (
        SELECT open.id, open.received_at, list.items, list.arn FROM open LEFT JOIN LATERAL (
            SELECT s.items, c.arn FROM openpersonalize.served s JOIN openpersonalize.resources c ON c.id = s.campaign_id
            WHERE s.recommendation_id = open.recommendation_id AND c.group_id = open.group_id LIMIT 1
        ) list ON true
    )
    UPDATE openpersonalize.events e SET served_by = coalesce(found.arn, ''),
           implicit_impression = CASE WHEN e.impression IS NULL THEN coalesce(found.items, '{}') END
    FROM found WHERE e.id = found.id AND (found.items IS NOT NULL OR found.received_at < CAST(:given_up AS timestamptz))
    """
)
_SHOWN = text(
    """
    SELECT shown.item AS item_id, count(*) AS shown
    FROM openpersonalize.events e, unnest(e.implicit_impression) AS shown (item)
    WHERE e.group_id = :group_id AND e.id > :after AND e.id <= :cutoff AND e.impression IS NULL AND e.item_id IS NOT NULL
      AND shown.item <> e.item_id
    GROUP BY shown.item ORDER BY shown.item
    """
)


def resolve(conn: Connection, now: datetime | None = None) -> int:
    """Give events the answer that they refer to, in transactions of its own; how many were looked up for good.

    Events of before `now` whose answer is not there are given up in time; None: not now.
    """
    given = {"most": BATCH_EVENTS, "given_up": None if now is None else now - GIVEN_UP_AFTER}
    total = 0
    while True:
        with conn.begin():
            done = conn.execute(_RESOLVE, given).rowcount
        total += done
        if done < BATCH_EVENTS:
            return total


def freeze(conn: Connection, group_id: str, cutoff: int, path: Path, after: int = 0) -> None:
    """Write how often each item was in the list of an event whose user took another item.

    Of events numbered above `after`, up to `cutoff`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = conn.execute(_SHOWN, {"group_id": group_id, "cutoff": cutoff, "after": after}).all()
    columns = {"ITEM_ID": pa.array([row[0] for row in rows], pa.string()), "SHOWN": [row[1] for row in rows]}
    pq.write_table(pa.table(columns, pa.schema({"ITEM_ID": pa.string(), "SHOWN": pa.int64()})), path)


def read(path: Path) -> pa.Table:
    """What `freeze` wrote: ITEM_ID string, SHOWN int64; empty for an input that was frozen without it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_file():
        return pq.read_table(path)
    return pa.table({"ITEM_ID": pa.array([], pa.string()), "SHOWN": pa.array([], pa.int64())})
