"""`openpersonalize why`: what the runtime would answer now, or did answer, and why (pipelines/serving/why.py).

It reads what the runtime reads, by the runtime's own code: the campaign's version as it lies on this machine, and what was
streamed of the user since that version's cut-offs. So its scores are the runtime's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from pipelines.aws.errors import AwsError
from pipelines.registry.database import libpq_url
from pipelines.settings import Settings

if TYPE_CHECKING:
    from bento.database import Database
    from bento.deployments import Campaign
    from bento.routes import Loaded
    from pipelines.serving.asked import Asked
    from pipelines.serving.why import Reason

RELATED_ITEMS = "RELATED_ITEMS"
PERSONALIZED_RANKING = "PERSONALIZED_RANKING"

_SERVED = """
SELECT campaign_id, solution_version_id, user_id, items, exploration_weight, extract(epoch FROM served_at)::float8
FROM openpersonalize.served WHERE recommendation_id = %(id)s
"""


class CannotTell(LookupError):
    """There is nothing to explain; the message says what is missing."""


@dataclass(frozen=True)
class Question:
    """What a person asks."""

    campaign: str
    """ARN, name or id."""
    user: str
    """A user id or an anonymous session's id."""
    item: str | None = None
    """Only this item; with RELATED_ITEMS, the item that the list goes with."""
    count: int = 5
    """So many items of the list."""
    context: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = None
    """recommendationId of an answer of the last 24 hours, whose exploration is repeated."""


@dataclass(frozen=True)
class Explanation:
    """The list, and what it stands on."""

    campaign: str
    version_arn: str
    recipe_type: str
    user: str
    events: tuple[int, int] | None
    """How many of the user's events the version was trained on, and how many came since; None of a list that is the
    same for everybody."""
    reasons: Sequence[Reason]
    notes: Sequence[str]
    """What the list does not show."""


def situation(given: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` pairs as a request's context; raises CannotTell."""
    for pair in given:
        if "=" not in pair.lstrip("="):
            raise CannotTell(f"--context {pair!r}: KEY=VALUE is needed, as in DEVICE=phone")
    return dict(pair.split("=", 1) for pair in given)


def collect(settings: Settings, question: Question) -> Explanation:
    """Why the list is what it is; raises CannotTell."""
    from bento.database import Database
    from pipelines.serving.checking import ArtefactError
    from pipelines.serving.local import FetchError
    from pipelines.serving.why import UnknownItem

    async def with_database() -> Explanation:
        database = Database(libpq_url(settings), connections=2)
        await database.open()
        try:
            return await _collect(settings, database, question)
        finally:
            await database.close()

    try:
        return asyncio.run(with_database())
    except AwsError as error:
        raise CannotTell(error.message) from error
    except (ArtefactError, FetchError, UnknownItem) as error:
        raise CannotTell(str(error)) from error


async def _collect(settings: Settings, database: Database, question: Question) -> Explanation:
    from bento.histories import Histories
    from bento.recommendations import exploration_of, with_streamed
    from pipelines.serving import calls
    from pipelines.serving.why import explain

    campaign = await _campaign(database, question.campaign)
    loaded = _load(settings, campaign, question.user)
    artefact = loaded.recommender.artefact
    related = artefact.recipe_type == RELATED_ITEMS
    if related and question.item is None:
        raise CannotTell(f"campaign {campaign.name} answers what goes with an item: name one after the user")
    operation = calls.GET_RECOMMENDATIONS
    if artefact.recipe_type == PERSONALIZED_RANKING:
        operation = calls.GET_PERSONALIZED_RANKING
    call: dict[str, Any] = {"userId": question.user, "context": question.context}
    asked = calls.asked(artefact, operation, {**call, "itemId": question.item} if related else call)
    asked = await with_streamed(Histories(database), asked, campaign, loaded)
    notes: list[str] = []
    served: list[str] | None = None
    explores = exploration_of(loaded) if operation == calls.GET_RECOMMENDATIONS else None
    if question.answer is not None:
        asked, served = await _repeated(database, question.answer, campaign, loaded, asked)
    elif explores is not None and explores.weight > 0:
        notes.append(
            f"The campaign explores (weight {explores.weight:g}), every answer a little differently; this is the list "
            "without. --answer RECOMMENDATION_ID explains one as it was answered."
        )
    if operation == calls.GET_PERSONALIZED_RANKING:
        notes.append(
            "These are shares of the whole catalogue; GetPersonalizedRanking answers shares of the given list."
        )
    reasons = explain(loaded.recommender, asked, question.count, None if related else question.item)
    if served is not None and question.item is None and [r.item_id for r in reasons] != served[: question.count]:
        notes.append(
            "The list is not the one that was answered: the user did something since, or --context is another."
        )
    user = artefact.users.code(question.user)
    trained = 0 if user is None else len(artefact.history(user)[0])
    events = (trained, len(asked.streamed)) if artefact.is_personal else None
    return Explanation(campaign.name, loaded.version.arn, artefact.recipe_type, question.user, events, reasons, notes)


async def _campaign(database: Database, given: str) -> Campaign:
    """The ACTIVE campaign with that ARN, name or id."""
    from bento.deployments import campaigns

    there = await campaigns(database)
    found = next((one for one in there if given in (one.arn, one.name, one.id)), None)
    if found is None:
        names = ", ".join(sorted(one.name for one in there)[:10])
        raise CannotTell(f"there is no campaign {given!r}; {f'there are: {names}' if names else 'there is none yet'}")
    if not found.is_active or found.serving is None:
        raise CannotTell(f"campaign {found.name} is {found.status}; it answers once it is ACTIVE")
    return found


def _load(settings: Settings, campaign: Campaign, user: str) -> Loaded:
    """The version that answers the user."""
    import orjson

    from bento.deployments import Deployed
    from bento.routes import Loaded
    from bento.runtime import load
    from pipelines.serving.arms import CHALLENGER, arm_of

    deployed, experiment = campaign.serving, campaign.experiment
    assert deployed is not None and campaign.wanted is not None  # it is ACTIVE
    challenger = campaign.wanted.challenger
    if challenger and experiment and experiment.starts_at and user:
        arm = arm_of(experiment.id, user, experiment.share)
        deployed = Deployed(challenger, deployed.config) if arm.name == CHALLENGER else deployed
    recommender = load(settings, deployed.version, Event())
    return Loaded(deployed, campaign.deployment_id, recommender, orjson.loads(deployed.config))


async def _repeated(
    database: Database, recommendation_id: str, campaign: Campaign, loaded: Loaded, asked: Asked
) -> tuple[Asked, list[str]]:
    """What was asked when that answer was given, as far as its exploration goes; and its items."""
    from bento.recommendations import exploration_of

    rows = await database.rows(_SERVED, {"id": recommendation_id})
    if not rows:
        raise CannotTell(f"no answer {recommendation_id!r} is known: answers are kept for 24 hours")
    campaign_id, version_id, user_id, items, weight, served_at = rows[0]
    if (campaign_id, user_id) != (campaign.id, asked.user_key):
        raise CannotTell(f"answer {recommendation_id} was given to another user, or by another campaign")
    explores = exploration_of(loaded)
    was_another = weight is not None and (explores is None or weight != explores.weight)
    if version_id != loaded.version.id or was_another:
        raise CannotTell(f"answer {recommendation_id} was given before the campaign or its experiment was changed")
    return replace(asked, exploration=explores, seed=recommendation_id, now=served_at), items
