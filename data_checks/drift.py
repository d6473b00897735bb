"""Rules for new interactions beside what a deployed version was trained on (pipelines/datasets/deployed_drift.py).

Two levels of each number. A warning says that the world moves; a critical rule that the version is no longer a model of
it, which becomes a hint at the solution to train again. Neither fails an import: the data may be right.

Where the levels come from: of the population stability index 0.1 and 0.25 are what the field uses (Siddiqi, Credit Risk
Scorecards, 2006, chapter 9); a Jensen-Shannon distance of 0.3 is a sixth of all choices gone to other items, 0.5 more
than two fifths. The others are ours: an update brings new items in by their metadata, so a few per cent of events on them
are everyday; a user without a past is served by what they do now, so only when hardly any user is known have ids changed;
halves and doubles come with holidays, fifths with trackers that fail. Week by week through MovieLens-100K, whose users
come once, new items take up to 3 % of the events, new users 58 to 93 %, popularity moves by 0.07 to 0.16, and the one
critical finding is a week with five times the events. `openpersonalize checks` sets each for a dataset group.
"""

from __future__ import annotations

from data_checks.rules import Rule

RETRAIN = ": retrain"
"""Behind the name of a number's critical rule."""


def rules() -> list[Rule]:
    """A warning and a critical rule of each number."""
    return [
        *_levels(
            "new items since the training",
            "new_item_share",
            "Events go to items of which the training had none: what people do with them only a training learns.",
            (None, 0.05),
            (None, 0.2),
            is_share=True,
        ),
        *_levels(
            "new users since the training",
            "new_user_share",
            "Events come from users of whom the training had none. Of them it knows what they did since; if nearly all are "
            "new, have the ids of users changed?",
            (None, 0.9),
            (None, 0.99),
            is_share=True,
        ),
        *_levels(
            "popularity since the training",
            "popularity",
            "Other items are chosen than in the last weeks of the training: the version recommends yesterday's taste.",
            (None, 0.3),
            (None, 0.5),
            unit="JS distance",
        ),
        *_levels(
            "event types since the training",
            "event_types",
            "The types of events are mixed otherwise than in training: does a source send too little or too much, or "
            "was a type renamed?",
            (None, 0.1),
            (None, 0.25),
            unit="PSI",
        ),
        *_levels(
            "events a day since the training",
            "volume",
            "Far fewer or far more events come in a day than in training: see that the tracker works before you train.",
            (0.5, 2),
            (0.2, 5),
            unit="times as many",
        ),
    ]


Bounds = tuple[float | None, float | None]


def _levels(
    name: str, number: str, meaning: str, warning: Bounds, critical: Bounds, *, is_share: bool = False, unit: str = ""
) -> list[Rule]:
    number = f"deployed:{number}"
    return [
        Rule(name, number, "warning", meaning, *warning, is_share=is_share, unit=unit),
        Rule(name + RETRAIN, number, "critical", meaning, *critical, is_share=is_share, unit=unit),
    ]
