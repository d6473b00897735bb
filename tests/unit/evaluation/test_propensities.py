"""What other weights would have brought, against a simulation in which it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from pipelines.evaluation.propensities import Estimate, Lists, per_list, per_place
from pipelines.serving.artefact import Artefact
from pipelines.serving.exploration import LEVELS, SLOTS, Exploration, explore, levels, probability, propensity
from tests.support.artefacts import make_artefact

ITEMS, NEW, LISTS = 300, 40, 1_500
EVERYWHERE = (1 << len(LEVELS)) - 1
NAMES = ("per list", "per place")


@dataclass(frozen=True)
class World:
    """Users to whom lists are served, and how likely they take each item: some new items are better than they seem."""

    artefact: Artefact
    logits: np.ndarray
    tastes: np.ndarray

    def serve(self, weight: float, seeds: Sequence[str]) -> tuple[Lists, float]:
        """One list a seed with clicks drawn from the tastes, and the mean number of clicks that was to be expected."""
        bits, taken, expected = [], [], 0.0
        random = np.random.default_rng(list(seeds[0].encode()))
        for n, seed in enumerate(seeds):
            user = n % len(self.logits)
            found = explore(self.logits[user], self.artefact, Exploration(weight), seed, 1.7e9, SLOTS)
            chances = self.tastes[user, found.best]
            expected += chances.sum()
            bits.append([EVERYWHERE] * SLOTS if found.shown_at is None else found.shown_at)
            taken.append(random.random(SLOTS) < chances)
        shown_at = np.array(bits).ravel()
        logged = Lists(
            np.arange(len(seeds) + 1) * SLOTS,
            np.full(len(seeds), weight),
            propensity(shown_at, weight, weight),
            shown_at,
            np.array(taken).ravel(),
        )
        return logged, expected / len(seeds)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = make_artefact(tmp_path_factory.mktemp("world") / "a", items=ITEMS, created=1_500_000_000)
    artefact = Artefact.open(made)
    is_new = np.arange(ITEMS) < NEW
    created = np.where(is_new, artefact.newest, artefact.newest - 10**8)
    artefact = Artefact(**{**vars(artefact), "created": created, "interactions": np.where(is_new, 0, 1000)})
    random = np.random.default_rng(1)
    tastes = random.beta(1, 8, (30, ITEMS))
    # The model knows the old items' appeal and guesses that of the new ones.
    logits = np.log(tastes) * np.where(is_new, 0.3, 1.0) - np.where(is_new, 1.5, 0.0)
    return World(artefact, logits.astype(np.float32), tastes)


@pytest.fixture(scope="module")
def logged(world: World) -> Lists:
    return world.serve(0.3, [f"RID-{n}" for n in range(LISTS)])[0]


@pytest.fixture(scope="module")
def truth(world: World) -> dict[float, float]:
    """Clicks per list when the campaign has each weight."""
    return {weight: world.serve(weight, [f"truth-{weight}-{n}" for n in range(600)])[1] for weight in LEVELS}


@pytest.fixture(scope="module")
def runs(world: World) -> list[Lists]:
    return [world.serve(0.3, [f"run-{run}-{n}" for n in range(250)])[0] for run in range(8)]


def both(lists: Lists, weight: float) -> dict[str, Estimate]:
    """Both estimates as clicks per list."""
    place = per_place(lists, weight)
    scaled = Estimate(place.value * SLOTS, place.low * SLOTS, place.high * SLOTS, place.lists)
    return {"per list": per_list(lists, weight), "per place": scaled}


@pytest.mark.parametrize("weight", LEVELS)
@pytest.mark.parametrize("kind", NAMES)
def test_the_truth_lies_within_the_interval(logged: Lists, truth: dict[float, float], weight: float, kind: str) -> None:
    estimate = both(logged, weight)[kind]
    # A fifth of the interval more on either side: ten intervals of 95 per cent may not all hold.
    slack = 0.2 * (estimate.high - estimate.low)
    assert estimate.low - slack <= truth[weight] <= estimate.high + slack


@pytest.mark.parametrize("kind", NAMES)
def test_weights_differ_by_more_than_the_estimates_err(logged: Lists, truth: dict[float, float], kind: str) -> None:
    """Or the test above would pass with any weights at all."""
    difference = truth[1.0] - truth[0.0]
    assert abs(difference) > 0.2
    assert np.sign(both(logged, 1.0)[kind].value - both(logged, 0.0)[kind].value) == np.sign(difference)


@pytest.mark.parametrize("kind", NAMES)
def test_the_mean_of_many_estimates_is_the_truth(runs: list[Lists], truth: dict[float, float], kind: str) -> None:
    values = [both(lists, 0.1)[kind].value for lists in runs]
    error = np.std(values, ddof=1) / len(values) ** 0.5
    assert abs(np.mean(values) - truth[0.1]) < 3.5 * error


def test_under_its_own_weight_every_list_counts_once(logged: Lists) -> None:
    estimate = per_list(logged, 0.3)
    assert estimate.lists == pytest.approx(LISTS)
    assert estimate.value == pytest.approx(logged.taken.sum() / LISTS)
    assert per_place(logged, 0.3).value == pytest.approx(logged.taken.mean())


def test_places_need_fewer_lists_than_lists(logged: Lists) -> None:
    for weight in (0.0, 0.1, 0.5, 1.0):
        assert per_place(logged, weight).lists > per_list(logged, weight).lists


@pytest.mark.parametrize("weight", LEVELS)
def test_an_estimate_stays_between_the_smallest_and_the_largest_reward(logged: Lists, weight: float) -> None:
    few = Lists(logged.offsets[:9], logged.weights[:8], *(a[: 8 * SLOTS] for a in places(logged)))
    everything = Lists(*list(vars(few).values())[:-1], np.ones(8 * SLOTS, np.bool_))
    assert per_place(everything, weight).value == pytest.approx(1.0)
    estimate = per_place(few, weight)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def places(lists: Lists) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return lists.propensities, lists.shown_at, lists.taken


def test_lists_of_campaigns_with_different_weights_add_up(world: World, truth: dict[float, float]) -> None:
    bold, _ = world.serve(0.5, [f"bold-{n}" for n in range(400)])
    shy, _ = world.serve(0.1, [f"shy-{n}" for n in range(400)])
    mixed = Lists(
        np.arange(801) * SLOTS,
        np.concatenate((bold.weights, shy.weights)),
        *(np.concatenate(pair) for pair in zip(places(bold), places(shy), strict=True)),
    )
    estimate = per_place(mixed, 0.3)
    assert estimate.low <= truth[0.3] / SLOTS <= estimate.high


def test_what_was_never_shown_says_nothing() -> None:
    """Lists that only the pure ranking makes, asked for a weight that never makes them."""
    only_pure = np.full(SLOTS, 1, np.int64)
    lists = Lists(
        np.array([0, SLOTS]), np.array([0.3]), propensity(only_pure, 0.3, 0.3), only_pure, np.ones(SLOTS, bool)
    )
    assert per_list(lists, 0.0).lists == 1.0
    none = Lists(lists.offsets, lists.weights, lists.propensities, np.full(SLOTS, 2, np.int64), lists.taken)
    assert per_list(none, 0.0).lists == 0.0 and np.isnan(per_place(none, 0.0).value)


def test_the_propensity_of_an_item_is_the_probability_of_the_weights_that_show_it() -> None:
    tried = levels(0.25)
    bits = np.array([0b100000, 0b000001, (1 << len(tried)) - 1])
    found = propensity(bits, 0.25, 0.25).tolist()
    assert found == pytest.approx([probability(0.25, 1.0), probability(0.25, 0.0), 1.0])
    assert propensity(bits, 0.25, 0.0).tolist() == [0.0, 1.0, 1.0]
