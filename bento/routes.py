"""A campaign in a worker's memory: what answers for it, and what is to be loaded next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bento.deployments import Campaign, Deployed, Version

if TYPE_CHECKING:
    from pipelines.serving.recommender import Recommender


@dataclass(frozen=True, slots=True)
class Loaded:
    """A deployment in memory, and its id (empty: what served before a restart)."""

    deployed: Deployed
    deployment_id: str
    recommender: Recommender
    config: Mapping[str, Any]
    """campaignConfig of the deployment."""
    challenger: Loaded | None = None
    """What some users get once the campaign's experiment has started."""

    @property
    def version(self) -> Version:
        return self.deployed.version


@dataclass(frozen=True, slots=True)
class Route:
    """A campaign and what answers for it here; None while the first version is being loaded."""

    campaign: Campaign
    loaded: Loaded | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step could not be taken, and when it may be tried again."""

    message: str
    retry_at: float


@dataclass(frozen=True, slots=True)
class Step:
    """What a campaign is to serve next."""

    campaign_id: str
    deployment_id: str
    wanted: Deployed | None


def next_steps(route: Route) -> Iterator[Step]:
    """What may be served next, best first; nothing when the campaign serves what it should."""
    campaign, loaded = route.campaign, route.loaded
    if campaign.is_ended:
        return
    # After a restart what was answering comes first; an update that is still under way comes after it.
    restarted = loaded is None and campaign.is_active and campaign.serving != campaign.wanted
    undone = not campaign.wants_change and (loaded is None or loaded.deployed != campaign.serving)
    if campaign.serving and (restarted or undone):
        yield Step(campaign.id, "", campaign.serving)
    is_new = loaded is None or loaded.deployment_id != campaign.deployment_id
    if campaign.wants_change and campaign.deployment_id and is_new:
        yield Step(campaign.id, campaign.deployment_id, campaign.wanted)


def lacks_challenger(route: Route) -> bool:
    """Whether the campaign's users are split, but not here: this worker has started since."""
    experiment = route.campaign.experiment
    return bool(experiment and experiment.starts_at and route.loaded and not route.loaded.challenger)
