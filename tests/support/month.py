"""A simulated month of a shop: users whose tastes are known, items that come every day, lists by the real recommender.

Items have a kind, which is their metadata, and an appeal of their own, which nobody knows of a new item. Training knows the
appeal of items as far as their clicks tell it, and holds new ones to be a little worse than the average: it has never
seen them taken. What has been there for long bores people a little more every day. Lists are made from an artefact on disk, clicks drawn from the true tastes, and every two hours the
artefact is written anew with the counts of interactions and impressions; every week it is trained anew.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import SLOTS, Exploration
from pipelines.serving.parts import Catalogue, Encoding, Histories
from pipelines.serving.recommender import Recommender
from pipelines.serving.writing import write_artefact
from tests.support.artefacts import mean_encoder

START, DAY = 1_700_000_000, 86_400
KINDS = 8
TASTE = 3.0
"""How much more often users take what is wholly of their kind, as a logarithm."""
BASE = 0.01
"""How likely an item of average appeal is taken by somebody who does not care for its kind."""
UNSEEN = -1.0
"""What training takes the appeal of an item for that it has not seen."""
FADE = 0.03
"""What an item's appeal loses a day, of old items from the month's beginning on; training knows it."""
TRUST = 3.0
"""So many expected clicks weigh as much as the belief before them."""


@dataclass(frozen=True)
class Plan:
    """How large the shop is."""

    users: int = 300
    old_items: int = 600
    new_a_day: int = 10
    days: int = 30
    updates_a_day: int = 12
    retrained_every_days: int = 7


@dataclass
class Day:
    """What came of one day's lists."""

    new_share: float = 0.0
    """Of the places: those with items that came in the month."""
    clicks: float = 0.0
    """A list, as they are to be expected."""
    best: float = 0.0
    """A list of the items that are truly best for the user."""

    @property
    def regret(self) -> float:
        return self.best - self.clicks


@dataclass
class Shop:
    """The truth, and what is known of it."""

    plan: Plan
    weight: float
    folder: Path
    days: list[Day] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The same shop and the same month for every weight: only the lists differ.
        random = np.random.default_rng(7)
        plan = self.plan
        self.items = plan.old_items + plan.new_a_day * plan.days
        self.kinds = random.integers(0, KINDS, self.items)
        self.appeal = random.normal(0, 0.7, self.items)
        day = np.maximum(np.arange(self.items) - plan.old_items, -1) // plan.new_a_day
        self.created = START + np.where(np.arange(self.items) < plan.old_items, -365, day) * DAY
        self.tastes = random.dirichlet(np.full(KINDS, 0.3), plan.users)
        self.histories = np.array([random.choice(KINDS, 20, p=taste) for taste in self.tastes])
        self.chances = self.at(0)
        self.random = np.random.default_rng(8)
        is_old = self.created < START
        self.believed = np.where(is_old, self.appeal + random.normal(0, 0.1, self.items), UNSEEN)
        self.interactions = np.where(is_old, 500, 0)
        self.shown = np.where(is_old, 10_000, 0)
        self.expected = np.zeros(self.items)
        """Clicks that an item of average appeal would have had."""
        self.explored_by_age = np.zeros((self.plan.days, 2))
        """[days since an item came]: its places by exploration, and lists in which it might have been."""

    def run(self) -> list[Day]:
        """Live through the month."""
        for day in range(self.plan.days):
            if day and day % self.plan.retrained_every_days == 0:
                self.train()
            self.days.append(Day())
            self.chances = self.at(day)
            for slot, users in enumerate(np.array_split(np.arange(self.plan.users), self.plan.updates_a_day)):
                now = START + day * DAY + slot * DAY // self.plan.updates_a_day
                self.serve(self.recommender(now), users, day, now)
        return self.days

    def faded(self, day: int) -> np.ndarray:
        """(items,) what each item's appeal has lost by a day."""
        came = np.maximum((self.created - START) // DAY, 0)
        return FADE * np.maximum(day - came, 0)

    def at(self, day: int) -> np.ndarray:
        """(users, items) how likely each takes each on a day."""
        return np.minimum(BASE * np.exp(TASTE * self.tastes[:, self.kinds] + self.appeal - self.faded(day)), 0.9)

    def train(self) -> None:
        """What clicks say of an item's appeal, beside what was believed of it."""
        is_new = (self.created >= START) & (self.shown + self.interactions > 0)
        prior = TRUST * np.exp(UNSEEN)
        found = np.log((self.interactions + prior) / (self.expected + TRUST))
        self.believed = np.where(is_new, found, self.believed)

    def recommender(self, now: int) -> Recommender:
        """The version of `now`: the items that are there, with their counts."""
        there = int((self.created <= now).sum())
        matrix = np.zeros((there, KINDS + 1), np.float32)
        matrix[np.arange(there), self.kinds[:there]] = TASTE
        matrix[:, KINDS] = (self.believed - self.faded((now - START) // DAY))[:there]
        # Of each kind an old item stands for what users did before the month; the last column carries the belief.
        read = np.zeros_like(matrix)
        read[np.arange(there), self.kinds[:there]] = 1.0
        read[:, KINDS] = 1.0
        one_of_kind = np.array([np.flatnonzero(self.kinds == kind)[0] for kind in range(KINDS)])
        users, events = self.histories.shape
        catalogue = Catalogue(
            [f"i{n}" for n in range(there)],
            [f"u{n}" for n in range(users)],
            Histories(
                np.arange(users + 1) * events,
                one_of_kind[self.histories].ravel().astype(np.int32),
                np.full(users * events, START - DAY),
            ),
            np.zeros(there, np.float32),
            created=self.created[:there],
            interactions=self.interactions[:there],
            shown=self.shown[:there],
            newest=now,
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        write_artefact(
            self.folder,
            recipe="aws-user-personalization",
            recipe_type="USER_PERSONALIZATION",
            scores=True,
            explores=True,
            catalogue=catalogue,
            answers=Encoding(matrix, mean_encoder(KINDS + 1), 20, input_matrix=read),
        )
        return Recommender(Artefact.open(self.folder))

    def serve(self, recommender: Recommender, users: np.ndarray, day: int, now: int) -> None:
        """A list for each of these users; their clicks are counted."""
        there = len(recommender.artefact.items)
        today = self.days[-1]
        for user in users.tolist():
            asked = Asked(f"u{user}", exploration=Exploration(self.weight), seed=f"{now}-{user}", now=now)
            shown = recommender.recommend(asked, SLOTS)
            codes = np.array([int(one.item_id[1:]) for one in shown])
            # The lowest bit is weight 0: the list would have the item without exploration.
            explored = np.array([one.shown_at is not None and not one.shown_at & 1 for one in shown])
            chances = self.chances[user]
            taken = self.random.random(SLOTS) < chances[codes]
            self.interactions[codes[taken]] += 1
            self.shown[codes[~taken]] += 1
            self.expected[codes] += chances[codes] / np.exp(self.appeal[codes])
            is_new = self.created[codes] >= START
            today.new_share += is_new.mean() / self.plan.users
            today.clicks += chances[codes].sum() / self.plan.users
            today.best += np.sort(chances[:there])[-SLOTS:].sum() / self.plan.users
            np.add.at(self.explored_by_age[:, 0], day - (self.created[codes[explored]] - START) // DAY, 1)
        self.explored_by_age[: day + 1, 1] += len(users)

    def places_by_age(self) -> np.ndarray:
        """(days,) the places of a list that exploration gives to the items of one day, by the days since they came."""
        return self.explored_by_age[:, 0] / np.maximum(self.explored_by_age[:, 1], 1)
