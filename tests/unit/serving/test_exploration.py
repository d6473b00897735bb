"""What exploration does to a list: who gains, how much, by what chance, and what is known of other weights."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.exploration import (
    LEVELS,
    SLOTS,
    Exploration,
    Explored,
    eligible,
    explore,
    levels,
    probability,
    uncertainty,
)
from pipelines.serving.ordering import softmax, top
from pipelines.serving.recommender import Recommender, published
from tests.support.artefacts import make_artefact

DAY = 86_400
ITEMS, NEW = 2_000, 200
ASKED = Asked("u1", now=1.7e9)


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """The last NEW items are ten days old and unknown; the others are a year old and well known."""
    made = Artefact.open(make_artefact(tmp_path_factory.mktemp("artefact") / "a", items=ITEMS, users=50, dimension=16))
    is_new = np.arange(ITEMS) >= ITEMS - NEW
    created = made.newest - np.where(is_new, 10, 365) * DAY
    return replace(made, created=created, interactions=np.where(is_new, 0, 500), shown=np.where(is_new, 0, 12_000))


@pytest.fixture(scope="module")
def logits(artefact: Artefact) -> np.ndarray:
    """Of u1; new items lie below the others, as training that never saw them leaves them."""
    found = np.array(Recommender(artefact).logits(ASKED))
    found[-NEW:] -= 1.0
    return found


def explored(
    logits: np.ndarray, artefact: Artefact, weight: float, seed: str = "RID-1", count: int = SLOTS, **config: float
) -> Explored:
    return explore(logits, artefact, Exploration(weight, **config), seed, ASKED.now, count)


def at_own_weight(logits: np.ndarray, artefact: Artefact, weight: float, lists: int = 30) -> list[Explored]:
    """Lists by the campaign's own weight, which nine in ten are."""
    pure = set(top(logits, SLOTS).tolist())
    made = [explored(logits, artefact, weight, f"RID-{n}") for n in range(lists)]
    common = Counter(len(set(one.best.tolist()) - pure) for one in made).most_common(1)[0][0]
    return [one for one in made if abs(len(set(one.best.tolist()) - pure) - common) <= 2]


def new_in(found: Explored) -> int:
    return int((found.best >= ITEMS - NEW).sum())


def test_with_weight_0_the_logits_are_the_same_bits(artefact: Artefact, logits: np.ndarray) -> None:
    found = explored(logits, artefact, 0.0)
    assert found.logits is logits and found.shown_at is None
    assert np.array_equal(found.best, top(logits, SLOTS))


def test_a_recommender_that_is_asked_for_weight_0_answers_as_without_exploration(artefact: Artefact) -> None:
    recommender = Recommender(artefact)
    asked = replace(ASKED, exploration=Exploration(0.0), seed="RID-1")
    assert recommender.recommend(asked, 100) == recommender.recommend(ASKED, 100)


def test_only_eligible_items_gain_and_nothing_sinks(artefact: Artefact, logits: np.ndarray) -> None:
    gained = explored(logits, artefact, 1.0).logits - logits
    assert not gained[:-NEW].any() and (gained[-NEW:] >= 0).all() and gained[-NEW:].any()


def test_the_logits_given_are_not_changed(artefact: Artefact, logits: np.ndarray) -> None:
    before = logits.copy()
    explored(logits, artefact, 1.0)
    assert np.array_equal(logits, before)


@pytest.mark.parametrize(("days", "now", "found"), [(11, 1.7e9, NEW), (9, 1.7e9, 0), (11, 0.0, NEW)])
def test_eligible_is_what_came_within_the_cutoff_and_is_little_known(
    artefact: Artefact, days: float, now: float, found: int
) -> None:
    assert len(eligible(artefact, Exploration(0.3, days), now)) == found


def test_age_counts_from_the_newest_interaction_of_recorded_data_and_from_now_if_that_is_earlier(
    artefact: Artefact,
) -> None:
    recorded = replace(artefact, interactions=np.zeros(ITEMS), shown=np.zeros(ITEMS))
    assert len(eligible(recorded, Exploration(0.3, 11), artefact.newest + 1000 * DAY)) == NEW
    assert len(eligible(recorded, Exploration(0.3, 11), artefact.newest - 400 * DAY)) == ITEMS


def test_the_same_recommendation_id_gives_the_same_list_and_another_gives_another(
    artefact: Artefact, logits: np.ndarray
) -> None:
    first, again = explored(logits, artefact, 0.5), explored(logits, artefact, 0.5)
    assert np.array_equal(first.logits, again.logits) and np.array_equal(first.best, again.best)
    lists = {tuple(explored(logits, artefact, 0.5, f"RID-{n}").best.tolist()) for n in range(20)}
    assert len(lists) > 10


@pytest.mark.parametrize("weight", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("count", [1, 5, 25, 60, 500])
def test_the_list_is_the_best_of_the_explored_logits(
    artefact: Artefact, logits: np.ndarray, weight: float, count: int
) -> None:
    for n in range(20):
        found = explored(logits, artefact, weight, f"RID-{n}", count)
        assert np.array_equal(found.best, top(found.logits, count))


def test_order_and_published_score_agree(artefact: Artefact) -> None:
    recommender = Recommender(artefact)
    asked = replace(ASKED, exploration=Exploration(1.0), seed="RID-1")
    answer = recommender.recommend(asked, ITEMS)
    scores = [item.score for item in answer]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=1e-4)
    found = explore(recommender.logits(asked), artefact, asked.exploration, "RID-1", asked.now, ITEMS)
    assert scores == published(softmax(found.logits, found.best))


@pytest.mark.parametrize(("weight", "least", "most"), [(0.1, 1, 5), (0.3, 5, 10), (1.0, 11, 20)])
def test_the_places_that_go_to_items_that_nobody_has_seen_grow_with_the_weight(
    artefact: Artefact, logits: np.ndarray, weight: float, least: int, most: int
) -> None:
    lists = at_own_weight(logits, artefact, weight)
    assert least <= np.mean([new_in(one) for one in lists]) <= most


@pytest.mark.parametrize(("scale", "shift"), [(0.01, 0.0), (100.0, 0.0), (1.0, -3.0), (1.0, 1000.0)])
def test_neither_the_scale_nor_the_height_of_the_logits_matters(
    artefact: Artefact, logits: np.ndarray, scale: float, shift: float
) -> None:
    other = (logits * np.float32(scale) + np.float32(shift)).astype(np.float32)
    assert new_in(explored(other, artefact, 0.3)) == new_in(explored(logits, artefact, 0.3))


def test_new_items_that_lie_far_below_all_others_are_explored_all_the_same(
    artefact: Artefact, logits: np.ndarray
) -> None:
    deep = logits.copy()
    deep[-NEW:] -= 20.0
    assert np.mean([new_in(one) for one in at_own_weight(deep, artefact, 0.3)]) >= 5


def test_exploration_fades_with_impressions_and_with_interactions(artefact: Artefact, logits: np.ndarray) -> None:
    def share(interactions: int, shown: int) -> float:
        is_new = np.arange(ITEMS) >= ITEMS - NEW
        seen = replace(
            artefact,
            interactions=np.where(is_new, interactions, artefact.interactions),
            shown=np.where(is_new, shown, artefact.shown),
        )
        return float(np.mean([new_in(explored(logits, seen, 0.3, f"RID-{n}")) for n in range(40)]))

    by_shown = [share(0, shown) for shown in (0, 25, 100, 1000, 100_000)]
    by_taken = [share(taken, 0) for taken in (0, 1, 4, 40, 4000)]
    for shares in (by_shown, by_taken):
        assert shares == sorted(shares, reverse=True) and shares[0] > 3 * shares[-1]


def test_a_list_of_25_with_one_item_taken_tells_as_much_of_the_taken_as_of_the_24_others() -> None:
    assert uncertainty(np.array([0, 0, 1, 3]), np.array([0, 25, 0, 0])).tolist() == pytest.approx(
        [1, 0.5**0.5, 0.5**0.5, 0.5]
    )


def test_no_lift_carries_an_item_far_above_the_users_best(artefact: Artefact, logits: np.ndarray) -> None:
    lonely = replace(artefact, created=artefact.created - 400 * DAY * (np.arange(ITEMS) != ITEMS - 1))
    spread = float(logits.max() - logits.min())
    for weight in (0.3, 1.0):
        highest = max(explored(logits, lonely, weight, f"RID-{n}").logits.max() for n in range(30))
        assert highest <= logits.max() + 0.25 * spread


def test_a_catalogue_that_fits_into_a_list_is_not_explored(tmp_path: Path) -> None:
    small = Artefact.open(make_artefact(tmp_path / "a", items=24))
    found = explored(Recommender(small).logits(ASKED), small, 1.0)
    assert found.shown_at is None and len(found.best) == 24


def test_an_item_that_is_ruled_out_stays_out(artefact: Artefact, logits: np.ndarray) -> None:
    masked = logits.copy()
    masked[-NEW:-1] = -np.inf
    found = explored(masked, artefact, 1.0, count=ITEMS)
    assert len(found.best) == ITEMS - NEW + 1 and np.isfinite(found.logits[found.best]).all()


def test_in_a_catalogue_that_is_all_new_those_that_nobody_has_seen_are_explored(
    artefact: Artefact, logits: np.ndarray
) -> None:
    known = np.where(np.arange(ITEMS) >= ITEMS - NEW, 0, 500)
    fresh = replace(artefact, created=np.full(ITEMS, artefact.newest), interactions=known)
    assert new_in(explored(logits, fresh, 0.3)) > 3


# What is recorded ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.0, 0.01, 0.1, 0.25, 0.3, 1.0])
def test_probabilities_of_all_levels_sum_to_1_and_the_own_weight_has_nine_in_ten(weight: float) -> None:
    chances = [probability(weight, level) for level in levels(weight)]
    assert sum(chances) == pytest.approx(1) and min(chances) >= 0
    assert probability(weight, weight) == pytest.approx(1 - min(0.1, weight))


def test_lists_come_at_each_weight_as_often_as_is_said(artefact: Artefact, logits: np.ndarray) -> None:
    """A list in which an item is at no weight but 1 was made at weight 1; so the probability is right if the share is."""
    lists = [explored(logits, artefact, 0.3, f"RID-{n}").shown_at or [] for n in range(2_000)]
    only_boldest = 1 << LEVELS.index(1.0)
    share = np.mean([only_boldest in shown_at for shown_at in lists])
    assert abs(share - probability(0.3, 1.0)) < 4 * (0.025 * 0.975 / 2_000) ** 0.5


def test_shown_at_says_at_which_weights_the_list_has_the_item(artefact: Artefact, logits: np.ndarray) -> None:
    """By the lists themselves: where the campaign's chance falls on a weight, the list is that weight's."""
    tried = levels(0.3)
    lists = [explored(logits, artefact, 0.3, f"RID-{n}") for n in range(200)]
    pure = set(top(logits, SLOTS).tolist())
    for one in lists:
        assert one.shown_at is not None
        for code, bits in zip(one.best.tolist(), one.shown_at, strict=True):
            assert bool(bits & 1) == (code in pure)
            assert 0 < bits < 1 << len(tried)
        # New items come in as the weight rises and stay, others go and stay away.
        for code, bits in zip(one.best.tolist(), one.shown_at, strict=True):
            present = [bool(bits >> level & 1) for level in range(len(tried))]
            if code < ITEMS - NEW:
                assert present == sorted(present, reverse=True)


def test_a_list_that_no_weight_changes_needs_no_record(artefact: Artefact, logits: np.ndarray) -> None:
    old = replace(artefact, created=artefact.created - 400 * DAY)
    assert explored(logits, old, 0.3).shown_at is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Exploration(0.3, 30.0)),
        ({"explorationWeight": "0"}, Exploration(0.0, 30.0)),
        ({"explorationWeight": "1", "explorationItemAgeCutOff": "0.5"}, Exploration(1.0, 0.5)),
    ],
)
def test_a_campaigns_config_is_strings_with_awss_defaults(config: dict[str, str], expected: Exploration) -> None:
    assert Exploration.from_config(config) == expected
