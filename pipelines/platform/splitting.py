"""A/B experiments: users are split when every living worker of the runtime has loaded the challenger, and not before."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection

from pipelines.registry import experiments, store
from pipelines.registry.experiments import Experiment
from pipelines.registry.workers import reports
from pipelines.versions.deploying import set_challenger_down

log = logging.getLogger(__name__)

NOTICE = timedelta(seconds=1.5)
"""Workers look at the registry at least once a second (bento/campaigns.py), so all begin at the same moment."""


def start_experiments(conn: Connection, now: datetime) -> int:
    """Start or end every experiment whose challenger is being loaded; how many. Without a living worker they wait."""
    with conn.begin():
        waiting = experiments.waiting(conn)
    changed = 0
    for experiment in waiting:
        with conn.begin():
            changed += _advance(conn, experiment, now)
    return changed


def _advance(conn: Connection, experiment: Experiment, now: datetime) -> bool:
    campaign = store.get(conn, id=experiment.campaign_id, lock=True)
    if campaign is None or campaign.is_deleting or experiments.of_campaign(conn, campaign.id)[0] != experiment:
        return False  # ended meanwhile, or about to be
    ready, error = reports(conn, campaign.id, campaign.internal["deployment"]["id"], now)
    if error is not None:
        reason = f"The runtime could not load the challenger: {error}"[:2000]
        experiments.end(conn, campaign.id, experiments.FAILED, now, reason)
        set_challenger_down(conn, campaign)
        log.warning("%s: its experiment has failed, all users stay with the control: %s", campaign.arn, error)
        return True
    if ready:
        experiments.start(conn, experiment.id, now + NOTICE)
        log.info("%s: %d %% of its users get %s", campaign.arn, experiment.share, experiment.challenger_arn)
    return ready
