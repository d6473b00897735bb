"""Whether a new version rolls out to the campaigns that follow, or waits for a person first.

NDCG@25 on the hold-out is the judge: it is measured for every recipe that can be deployed, it is what training stops by
and tuning looks for, and one number leaves no room for a version that is better and worse at once. Versions of one
recipe only are compared, as scores of different recipes answer different questions.

How much it may fall is `Settings.allowed_fall`, a share of the deployed version's. Its default of 10 % lies outside
what chance does: three seeds on MovieLens-100K gave 0.2286, 0.2312 and 0.2380, a standard deviation of 2 % and so of 3 %
between two trainings of the same data. New data moves the hold-out as well, so a tighter rule would ask every week.

A version that waits is ACTIVE, its metrics can be read and it can be deployed by hand. One version of a solution waits
at a time: a newer one that is good enough, or that waits in its place, makes its question void.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.registry.tables import resources
from pipelines.settings import Settings
from pipelines.versions.deploying import followers
from pipelines.versions.lookup import Subject, subject

log = logging.getLogger(__name__)

JUDGE = "normalized_discounted_cumulative_gain_at_25"
# Unlike AWS, training: a version that measures more than 10 % worse than the one a campaign serves waits for a person
# before the campaign follows (OPENPERSONALIZE_ALLOWED_FALL; 1 never asks). A broken week of data should not replace a
# good model at night.
HELD = "held"
"""Member of a version's `internal`: {reason, against, metrics, since, decision}; decision is None while it waits, then
{choice, by, at}."""
APPROVED, REJECTED, UNANSWERED, SUPERSEDED = "approved", "rejected", "unanswered", "superseded"


@dataclass(frozen=True)
class Question:
    """What a person reads who decides; `body` is Markdown."""

    subject: str
    body: str


@dataclass(frozen=True)
class Verdict:
    """`campaigns`: names of those that would move. `question`: what to ask before they do, if anything."""

    campaigns: tuple[str, ...]
    question: Question | None = None


def fall(new: Mapping[str, float], deployed: Mapping[str, float]) -> float | None:
    """By what share of the deployed version's NDCG@25 the new one's is lower (negative: higher).

    None where there is nothing to compare: one was not measured, or the deployed one has 0.
    """
    if JUDGE not in new or not deployed.get(JUDGE):
        return None
    return 1 - new[JUDGE] / deployed[JUDGE]


def judge(settings: Settings, version_id: str, allowed_fall: float | None = None) -> Verdict:
    """May the campaigns that follow move to this version? A no is written on the version, so that people see it.

    `allowed_fall` stands in for the setting. Raises VersionGone.
    """
    allowed = settings.allowed_fall if allowed_fall is None else allowed_fall
    with transaction(settings) as conn:
        found = subject(conn, version_id, lock=True)
        campaigns = followers(conn, found.version)
        names = tuple(campaign.name for campaign in campaigns)
        better = _best(conn, found.version, campaigns)
        lost = fall(_metrics(found.version), _metrics(better)) if better else None
        if better is None or lost is None or lost <= allowed:
            log.info("%s may roll out to: %s", found.version.arn, ", ".join(names) or "no campaign follows")
            return Verdict(names)
        now: datetime = conn.execute(select(func.now())).scalar_one()
        reason = f"NDCG@25 fell by {lost:.1%}, more than the {allowed:.1%} that are allowed"
        held = {
            "reason": reason,
            "against": better.arn,
            "metrics": {"new": _metrics(found.version)[JUDGE], "deployed": _metrics(better)[JUDGE]},
            "since": now.isoformat(),
            "decision": None,
        }
        store.update(conn, version_id, internal={HELD: held}, touch=False)
    log.warning("%s waits for a person: %s against %s", found.version.arn, reason, better.arn)
    return Verdict(names, _question(found, better, names, reason))


def _best(conn: Connection, version: Resource, campaigns: list[Resource]) -> Resource | None:
    """Of the versions that these campaigns serve the one with the highest NDCG@25, of the new version's recipe."""
    arns = {campaign.doc["solutionVersionArn"] for campaign in campaigns if campaign.status == store.ACTIVE}
    served = [there for arn in arns if (there := store.get(conn, arn=arn)) is not None]
    comparable = [one for one in served if one.doc["recipeArn"] == version.doc["recipeArn"] and JUDGE in _metrics(one)]
    return max(comparable, key=lambda one: _metrics(one)[JUDGE], default=None)


def _metrics(version: Resource) -> Mapping[str, float]:
    metrics: Mapping[str, float] = version.internal.get("metrics", {})
    return metrics


def _question(found: Subject, better: Resource, names: tuple[str, ...], reason: str) -> Question:
    new, old = _metrics(found.version), _metrics(better)
    shown = "".join(f"| {key} | {old[key]:.4f} | {new[key]:.4f} |\n" for key in sorted(new) if key in old)
    campaigns = ", ".join(f"`{name}`" for name in names)
    body = (
        f"{reason}.\n\n"
        f"| on the hold-out | deployed: {better.name} | new: {found.version.name} |\n|---|---|---|\n{shown}\n"
        f"**Approve**: {campaigns} move to `{found.version.arn}`.\n\n"
        f"**Reject**: they keep what they serve, `{better.arn}`.\n\n"
        f"Either way the version stays ACTIVE and can be deployed later with DAG `campaign_deployment` or UpdateCampaign; "
        f"`openpersonalize metrics {found.version.arn}` shows all that was measured. Nobody's answer within a week counts "
        "as Reject, and a newer version makes the question void."
    )
    return Question(f"Solution {found.solution.name}: deploy a version that measures worse?", body)


def waiting(conn: Connection) -> list[Resource]:
    """Versions whose question nobody has decided, oldest first."""
    held = resources.c.internal[HELD]
    query = select(resources.c.id).where(resources.c.kind == "SolutionVersion", held["since"].as_string().is_not(None))
    query = query.where(held["decision"]["choice"].as_string().is_(None)).order_by(resources.c.created_at)
    found = [store.get(conn, id=id) for id in conn.execute(query).scalars()]
    return [version for version in found if version is not None]


def is_void(conn: Connection, version: Resource) -> bool:
    """Whether no answer would change anything: no campaign would move any more, or a newer version waits instead."""
    if version.parent_id is None or version.is_deleting:
        return True
    siblings = store.children(conn, version.parent_id, "SolutionVersion")
    newer = [one for one in siblings if one.created_at > version.created_at and HELD in one.internal]
    return any(one.internal[HELD]["decision"] is None for one in newer) or not followers(conn, version)


def decide(conn: Connection, version_id: str, choice: str, by: str | None, now: datetime) -> None:
    """Write down what became of a question; the first decision stays."""
    version = store.get(conn, id=version_id, lock=True)
    if version is None or version.internal[HELD]["decision"] is not None:
        return
    decision = {"choice": choice, "by": by, "at": now.isoformat()}
    store.update(conn, version_id, internal={HELD: {**version.internal[HELD], "decision": decision}}, touch=False)
    log.info("%s: %s%s", version.arn, choice, f" by {by}" if by else "")


def on_hold(version: Resource) -> bool:
    """Whether campaigns must not come to it by following: it waits, or nobody approved it."""
    held = version.internal.get(HELD)
    return held is not None and (held["decision"] or {}).get("choice") != APPROVED


def told(version: Resource) -> str | None:
    """One line about a version that waits or waited, for people; None of any other."""
    held = version.internal.get(HELD)
    if held is None:
        return None
    numbers = f"{held['metrics']['new']:.4f} against {held['metrics']['deployed']:.4f} of {held['against']}"
    decision = held["decision"]
    if decision is None:
        return f"Waits for a person (Required Actions in the Airflow UI): {held['reason']} ({numbers})."
    by = f" by {decision['by']}" if decision["by"] else ""
    return f"Roll-out {decision['choice']}{by}: {held['reason']} ({numbers})."
