"""Recommenders that are stopped, started or updated: each takes its next step in one transaction.

Between the two steps of a stop or a start nobody is waited for: what serves recommenders looks at their status with every
request. A training is not among the steps; until there is one, an update that needs it fails and the old configuration
goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from pipelines.control.recommenders import UPDATE
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources

log = logging.getLogger(__name__)

NEXT: Mapping[str, str] = {
    store.STOP_PENDING: store.STOP_IN_PROGRESS,
    store.STOP_IN_PROGRESS: store.INACTIVE,
    store.START_PENDING: store.START_IN_PROGRESS,
    store.START_IN_PROGRESS: store.ACTIVE,
}
RETRAINING = (
    "Other trainingDataConfig needs a new training, which is not available yet for recommenders. The configuration of "
    "before goes on; update again without a change of trainingDataConfig."
)


def advance_recommenders(conn: Connection, now: datetime) -> int:
    """Take every recommender in transition one step further; how many there were."""
    update_status = resources.c.doc[UPDATE]["status"].as_string()
    moving = or_(resources.c.status.in_(NEXT), update_status.in_(store.UNFINISHED))
    with conn.begin():
        ids = conn.execute(select(resources.c.id).where(resources.c.kind == "Recommender", moving)).scalars().all()
    for id in ids:
        with conn.begin():
            recommender = store.get(conn, id=id, lock=True)
            if recommender is not None and not recommender.is_deleting:
                _advance(conn, recommender, now)
    return len(ids)


def _advance(conn: Connection, recommender: Resource, now: datetime) -> None:
    status = NEXT.get(recommender.status or "")
    if status is not None:
        store.update(conn, recommender.id, status=status)
        log.info("%s: %s", recommender.arn, status)
        return
    update = recommender.doc[UPDATE]
    doc = _updated(recommender, update)
    doc[UPDATE] = {**update, **doc[UPDATE], "lastUpdatedDateTime": round(now.timestamp(), 3)}
    store.update(conn, recommender.id, doc=doc)
    log.info("%s: update %s", recommender.arn, doc[UPDATE]["status"])


def _updated(recommender: Resource, update: Mapping[str, Any]) -> dict[str, Any]:
    """What changes of the describe answer in the next step of an update."""
    if update["status"] == store.CREATE_PENDING:
        return {UPDATE: {"status": store.CREATE_IN_PROGRESS}}
    old, new = recommender.doc["recommenderConfig"], update["recommenderConfig"]
    if old.get("trainingDataConfig", {}) != new.get("trainingDataConfig", {}):
        return {UPDATE: {"status": store.CREATE_FAILED, "failureReason": RETRAINING}}
    return {UPDATE: {"status": store.ACTIVE}, "recommenderConfig": new}
