"""Users are dealt to arms once and for all, in the shares that were asked for, and the answer's id says the arm."""

from __future__ import annotations

import uuid
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.serving.arms import CHALLENGER, CONTROL, Arm, arm_in, arm_of, like, new_recommendation_id

EXPERIMENT, ANOTHER = "3f9c0a1b2c3d4e5f", "a1b2c3d4e5f60718"
USERS = [f"u{n}" for n in range(4000)]
EXPERIMENTS = st.text("0123456789abcdef", min_size=16, max_size=16)


def test_a_user_has_the_same_arm_in_every_process_and_release() -> None:
    dealt = "".join(arm_of(EXPERIMENT, user, 50).name for user in USERS[:16])
    assert dealt == "BAABABBAAAABBBAB"


@settings(max_examples=20)
@given(EXPERIMENTS, st.text(min_size=1, max_size=20), st.integers(1, 98))
def test_a_larger_share_takes_nobody_from_the_challenger(experiment: str, user: str, share: int) -> None:
    fewer, more = (arm_of(experiment, user, one).name for one in (share, share + 1))
    assert (fewer, more) != (CHALLENGER, CONTROL)
    assert arm_of(experiment, user, share).name == fewer


@pytest.mark.parametrize("share", [1, 20, 50, 99])
def test_the_share_is_what_was_asked_for(share: int) -> None:
    """Within five standard deviations of the binomial distribution."""
    found = sum(arm_of(EXPERIMENT, user, share).name == CHALLENGER for user in USERS)
    expected, spread = len(USERS) * share / 100, (len(USERS) * share * (100 - share)) ** 0.5 / 100
    assert abs(found - expected) < 5 * spread


def test_two_experiments_deal_independently() -> None:
    both = sum(all(arm_of(id, user, 50).name == CHALLENGER for id in (EXPERIMENT, ANOTHER)) for user in USERS)
    assert abs(both - len(USERS) / 4) < 5 * (len(USERS) * 3 / 16) ** 0.5


@settings(max_examples=20)
@given(EXPERIMENTS, st.sampled_from([CONTROL, CHALLENGER]))
def test_an_id_says_its_arm(experiment: str, name: str) -> None:
    made = new_recommendation_id(Arm(experiment, name))
    found = uuid.UUID(made.removeprefix("RID-"))
    assert len(made) == 40 and str(found) == made[4:]
    assert (found.version, found.variant) == (8, uuid.RFC_4122)
    assert arm_in(made) == name
    pattern = like(experiment).replace("_", "?").replace("%", "*")
    assert fnmatchcase(made, pattern)
    assert not fnmatchcase(new_recommendation_id(None), pattern)


def test_outside_of_experiments_an_id_is_a_random_uuid_and_says_none() -> None:
    made = new_recommendation_id(None)
    assert uuid.UUID(made.removeprefix("RID-")).version == 4
    assert arm_in(made) is None and arm_in("RID-1") is None


def test_all_other_digits_of_an_id_are_random() -> None:
    made = [uuid.UUID(new_recommendation_id(Arm(EXPERIMENT, CONTROL))[4:]).hex for _ in range(400)]
    different = [len(set(digits)) for digits in zip(*made, strict=True)]
    fixed = {8, 9, 10, 11, 12, 13}
    assert {place for place, count in enumerate(different) if count == 1} == fixed
    assert different[16] == 4 and all(count == 16 for place, count in enumerate(different) if place not in {*fixed, 16})
