"""What clients may ask for and nobody can make yet ends CREATE FAILED, with a reason that says what to do instead.

The operations check it as if it could be made, so that their work is all that is missing. Once there is a DAG for a kind,
its line here goes, and its operation wishes for a run.
"""

from __future__ import annotations

import logging

from sqlalchemy import Connection, select

from pipelines.registry import store
from pipelines.registry.tables import resources

log = logging.getLogger(__name__)

# Unlike AWS, resources: what cannot be made yet is accepted, checked, and ends CREATE FAILED with a reason. A
# client's code then runs to its own error handling, and nothing pretends to be ACTIVE.
REASONS = {
    "Recommender": (
        "Recommenders are not available yet: the platform cannot train the recipes of domains. Until it can, create a "
        "solution in the same dataset group with a custom recipe (aws-user-personalization, aws-sims for related items, "
        "aws-popularity-count for popular ones) and serve it with a campaign; delete this recommender."
    ),
}
"""By kind."""


def end_unavailable(conn: Connection) -> int:
    """Set what is waiting CREATE FAILED; how many there were."""
    waiting = select(resources.c.id).where(resources.c.kind.in_(REASONS), resources.c.status == store.CREATE_PENDING)
    with conn.begin():
        found = [store.get(conn, id=id, lock=True) for id in conn.execute(waiting).scalars().all()]
        ended = [one for one in found if one is not None and one.status == store.CREATE_PENDING]
        for one in ended:
            store.update(conn, one.id, status=store.CREATE_FAILED, failure_reason=REASONS[one.kind])
            log.info("request %s: %s: CREATE FAILED: not available yet", one.request_id, one.arn)
    return len(ended)
