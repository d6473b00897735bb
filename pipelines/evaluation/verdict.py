"""What a person must be told of a version before they deploy it: sentences, from its numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypedDict

from pipelines.evaluation.reports import NOT_MEASURABLE, Report

NDCG = "normalized_discounted_cumulative_gain_at_25"


class Warned(TypedDict):
    """One warning: `code` for labels and programs, `text` for people."""

    code: str
    text: str


def warnings(report: Report, rivals: Collection[str]) -> list[Warned]:
    """Of a report with the fields of `measuring.Measured` and, in `temporal`, the same of the split by time.

    `rivals`: the baselines that the recipe is to beat on the hold-out; popularity, if it is one, by time too. Scores
    are called wrong if their error is more than half of the mean score and more than twice what chance makes of right
    ones.
    """
    if not report["test_users"]:
        text = "Nothing was measured: no user could be held out. The numbers are zeros."
        return [{"code": "not-measured", "text": text}]
    found = _losses("hold-out", report["metrics"], report["baselines"], rivals)
    temporal = report["temporal"]
    if NOT_MEASURABLE not in temporal:
        in_time = [name for name in rivals if name == "popularity"]
        found += _losses("split by time", temporal["metrics"], temporal["baselines"], in_time)
    calibration = report["calibration"]
    if NOT_MEASURABLE not in calibration and calibration["ece"] > max(
        calibration["mean_score"] / 2, 2 * calibration["by_chance"]
    ):
        text = (
            f"Scores are not the probabilities they are meant to be: of the recommended items "
            f"{calibration['hit_rate']:.2%} were the next one, their mean score is {calibration['mean_score']:.2%} "
            f"(ECE {calibration['ece']:.4f}, {calibration['by_chance']:.4f} by chance). Use their order only."
        )
        found.append({"code": "miscalibrated", "text": text})
    return found


def _losses(
    split: str, metrics: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]], rivals: Collection[str]
) -> list[Warned]:
    found: list[Warned] = []
    for name in rivals:
        if metrics[NDCG] < baselines[name][NDCG]:
            text = (
                f"The model LOSES to {RULES[name]} on the {split}: NDCG@25 {metrics[NDCG]:.4f}, "
                f"{name} {baselines[name][NDCG]:.4f}. {ADVICE[name]}"
            )
            where = "" if split == "hold-out" else "-in-time"
            found.append({"code": f"loses-to-{name}{where}", "text": text})
    return found


RULES: Mapping[str, str] = {
    "popularity": "popularity, the same list for everybody,",
    "repeat": "repeating each user's last items",
    "markov": "what most often follows the user's last item,",
}
ADVICE: Mapping[str, str] = {
    "popularity": "Do not deploy it as it is: aws-popularity-count would serve these users better. More interactions, "
    "other hyperparameters or an eventType may help.",
    "repeat": "These users come back to what they had; check that the events are those that you want more of.",
    "markov": "A table of pairs knows more than the model; more interactions or tuning may help.",
}
