"""The rows of the CSV files that `dvc plots` draws, from a version's report."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.evaluation.reports import NOT_MEASURABLE, Report
from pipelines.evaluation.verdict import NDCG

Row = dict[str, object]

LOSS = ("epoch", "train_loss", "validation_loss", "validation_ndcg_at_25")
COMPARISON = ("model", "ndcg_at_25")
RELIABILITY = ("up_to", "pairs", "score", "came_true")


def comparison(name: str, measured: Report) -> Sequence[Row]:
    """NDCG@25 of the recipe `name` beside the baselines, on the split that was `measured`; COMPARISON's columns."""
    if NOT_MEASURABLE in measured:
        return []
    scores = {name: measured["metrics"], **measured["baselines"]}
    return [{"model": model, "ndcg_at_25": metrics[NDCG]} for model, metrics in scores.items()]


def reliability(calibration: Report) -> Sequence[Row]:
    """One row a bin of the reliability table; RELIABILITY's columns."""
    bins: Sequence[Row] = calibration.get("bins", [])
    return bins
