"""What is said loudly of a version, and what is not."""

from __future__ import annotations

from typing import Any

from pipelines.evaluation.verdict import NDCG, warnings


def report(model: float = 0.3, time: float = 0.3, **changed: Any) -> dict[str, Any]:
    """Of a good version; `model` and `time` are its NDCG@25 on both splits."""
    baselines = {name: {NDCG: value} for name, value in (("popularity", 0.1), ("repeat", 0.15), ("markov", 0.2))}
    calibration = {"mean_score": 0.02, "hit_rate": 0.021, "ece": 0.004, "by_chance": 0.003}
    return {
        "test_users": 50,
        "metrics": {NDCG: model},
        "baselines": baselines,
        "temporal": {"metrics": {NDCG: time}, "baselines": baselines},
        "calibration": calibration,
        **changed,
    }


ALL = ("popularity", "repeat", "markov")


def codes(found: dict[str, Any], rivals: tuple[str, ...] = ALL) -> list[str]:
    return [warned["code"] for warned in warnings(found, rivals)]


def test_a_good_version_has_none() -> None:
    assert codes(report()) == []


def test_losing_to_popularity_is_said_with_both_numbers_and_what_to_do() -> None:
    found = warnings(report(0.05), ALL)
    assert [warned["code"] for warned in found] == ["loses-to-popularity", "loses-to-repeat", "loses-to-markov"]
    assert "LOSES to popularity" in found[0]["text"]
    assert "NDCG@25 0.0500, popularity 0.1000" in found[0]["text"]
    assert "Do not deploy it as it is" in found[0]["text"]


def test_later_users_count_too() -> None:
    assert codes(report(time=0.05)) == ["loses-to-popularity-in-time"]
    assert codes(report(temporal={"not_measurable": "all events have the same timestamp"})) == []


def test_only_what_the_recipe_is_to_beat_is_compared() -> None:
    assert codes(report(0.12), ("popularity", "markov")) == ["loses-to-markov"]
    assert codes(report(0.05, 0.05), ()) == []


def test_scores_are_called_wrong_when_neither_small_nor_chance() -> None:
    far = {"mean_score": 0.02, "hit_rate": 0.06, "ece": 0.04, "by_chance": 0.005}
    found = warnings(report(calibration=far), ALL)
    assert [warned["code"] for warned in found] == ["miscalibrated"]
    assert "6.00% were the next one, their mean score is 2.00%" in found[0]["text"]
    assert codes(report(calibration={**far, "by_chance": 0.021})) == []
    assert codes(report(calibration={**far, "mean_score": 0.09})) == []
    assert codes(report(calibration={"not_measurable": "answers of this recipe carry no scores"})) == []


def test_nothing_measured_is_said_instead_of_anything_else() -> None:
    assert codes(report(0.0, test_users=0)) == ["not-measured"]
