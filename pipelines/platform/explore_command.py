"""`openpersonalize explore-report`: what a campaign's exploration does, and what other weights would do.

From the lists of the last 24 hours (table `served`) and the events that name them. An item of a list is taken when an event
of any type has it as its item and the list's recommendationId.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import sql
from sqlalchemy import Connection, text

from pipelines.evaluation.propensities import Estimate, Lists, per_list, per_place
from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.serving.exploration import LEVELS, Exploration
from pipelines.settings import Settings

MOST_LISTS = 50_000
"""The newest; more would narrow the intervals little and take minutes."""
MOST_ITEMS = 10

_SERVED = text(
    """
    SELECT count(*), count(exploration_weight), min(served_at), max(served_at) FROM openpersonalize.served
    WHERE campaign_id = :campaign_id AND cardinality(items) > 0
    """
)
# One row an item of a list, lists one after the other. Without a record of exploration an item is in the list whatever the
# weight: -1 has all bits.
_PLACES = """
    COPY (
        WITH lists AS (
            SELECT * FROM openpersonalize.served
            WHERE campaign_id = {campaign_id} AND exploration_weight IS NOT NULL AND cardinality(items) > 0
            ORDER BY served_at DESC LIMIT {most}
        ), taken AS (
            SELECT DISTINCT recommendation_id, item_id FROM openpersonalize.events
            WHERE group_id = {group_id} AND recommendation_id IN (SELECT recommendation_id FROM lists)
        )
        SELECT place.number, place.item, lists.exploration_weight, coalesce(place.propensity, 1),
               coalesce(place.shown_at, -1), CASE WHEN taken.item_id IS NULL THEN 0 ELSE 1 END
        FROM lists
        CROSS JOIN LATERAL unnest(lists.items, lists.propensities, lists.shown_at)
                   WITH ORDINALITY AS place (item, propensity, shown_at, number)
        LEFT JOIN taken ON taken.recommendation_id = lists.recommendation_id AND taken.item_id = place.item
        ORDER BY lists.served_at, lists.recommendation_id, place.number
    ) TO STDOUT (FORMAT csv)
"""


@dataclass(frozen=True)
class Outlook:
    """What a weight would bring."""

    weight: float
    per_list: Estimate
    per_place: Estimate


@dataclass(frozen=True)
class ExploredItem:
    """An item that exploration brought into lists."""

    item_id: str
    shown: int
    taken: int


@dataclass(frozen=True)
class Report:
    """What a campaign's exploration did; without lists there is nothing but counts."""

    campaign: str
    exploration: Exploration
    """What the campaign asks for now."""
    served: int
    """Its lists of the last 24 hours; `lists` of them explored and were looked at."""
    lists: int
    first: datetime | None
    last: datetime | None
    taken: int
    explored: float
    """Of the places: those whose item would not be in the list without exploration."""
    outlooks: Sequence[Outlook]
    items: Sequence[ExploredItem]
    """Those that were shown most by exploration."""


@dataclass(frozen=True)
class _Places:
    """Every item of every list."""

    items: NDArray[np.int64]
    item_ids: Sequence[str]
    lists: Lists


def collect(settings: Settings, given: str) -> Report:
    """Of the campaign with that ARN, name or id; raises finding.NotFound."""
    with transaction(settings) as conn:
        campaign = find(conn, "Campaign", given, "campaign")
        served, exploring, first, last = conn.execute(_SERVED, {"campaign_id": campaign.id}).one()
        places = _read(conn, campaign) if exploring else None
    config = campaign.doc.get("campaignConfig", {}).get("itemExplorationConfig", {})
    exploration = Exploration.from_config(config)
    if places is None:
        return Report(campaign.name, exploration, served, 0, first, last, 0, 0.0, (), ())
    lists = places.lists
    weights = sorted({*LEVELS, exploration.weight})
    # The lowest bit is weight 0.
    explored = lists.shown_at & 1 == 0
    return Report(
        campaign=campaign.name,
        exploration=exploration,
        served=served,
        lists=len(lists.weights),
        first=first,
        last=last,
        taken=int(lists.taken.sum()),
        explored=float(explored.mean()),
        outlooks=[Outlook(weight, per_list(lists, weight), per_place(lists, weight)) for weight in weights],
        items=_most_explored(places, explored),
    )


def _read(conn: Connection, campaign: store.Resource) -> _Places:
    from pyarrow import csv

    query = sql.SQL(_PLACES).format(
        campaign_id=sql.Literal(campaign.id), group_id=sql.Literal(campaign.group_id), most=sql.Literal(MOST_LISTS)
    )
    # Of a table that fills and empties by the hour the planner knows little: it would compare every item with every event.
    conn.execute(text("SET LOCAL enable_nestloop = off"))
    driver: Any = conn.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(query) as copy:
        rows = b"".join(bytes(row) for row in copy)
    names = ["number", "item", "weight", "propensity", "shown_at", "taken"]
    options = csv.ConvertOptions(column_types={"item": "string"}, strings_can_be_null=False)
    table = csv.read_csv(io.BytesIO(rows), csv.ReadOptions(column_names=names), convert_options=options)
    items = table["item"].combine_chunks().dictionary_encode()
    number = table["number"].to_numpy()
    starts = np.flatnonzero(number == 1)
    weights = table["weight"].to_numpy().astype(np.float64)
    lists = Lists(
        np.append(starts, len(number)),
        weights[starts],
        table["propensity"].to_numpy().astype(np.float64),
        table["shown_at"].to_numpy(),
        table["taken"].to_numpy() == 1,
    )
    return _Places(items.indices.to_numpy().astype(np.int64), items.dictionary.to_pylist(), lists)


def _most_explored(places: _Places, explored: NDArray[np.bool_]) -> list[ExploredItem]:
    shown = np.bincount(places.items[explored], minlength=len(places.item_ids))
    taken = np.bincount(places.items[explored & places.lists.taken], minlength=len(places.item_ids))
    most = [code for code in np.argsort(-shown, kind="stable")[:MOST_ITEMS].tolist() if shown[code]]
    return [ExploredItem(places.item_ids[code], int(shown[code]), int(taken[code])) for code in most]
