"""Which of a campaign's two versions answers a user while the campaign carries an experiment.

Who is not named gets the control and is no part of the experiment, whatever the recipe. Dealing such requests by chance
would show one visitor two shops, dealing them by itemId would compare items rather than people; and neither could be
evaluated, because what somebody did afterwards is known by user or session. Visitors without an account are dealt like
everybody else when requests give their sessionId as `userId`, as their first events want it anyway.
"""

from __future__ import annotations

from bento.deployments import Campaign
from bento.routes import Loaded
from pipelines.serving.arms import CHALLENGER, Arm, arm_of


def assigned(campaign: Campaign, loaded: Loaded, user: str | None, now: float) -> tuple[Loaded, Arm | None]:
    """What answers the user at epoch second `now`, and as which arm; None: as no part of an experiment.

    A worker that has not got the challenger yet, because it has just started, answers for the control and counts nobody.
    """
    experiment = campaign.experiment
    if experiment is None:
        return loaded, None
    begun = experiment.starts_at is not None and now >= experiment.starts_at
    if not begun or loaded.challenger is None or not user:
        return loaded, None
    arm = arm_of(experiment.id, user, experiment.share)
    return (loaded.challenger if arm.name == CHALLENGER else loaded), arm
