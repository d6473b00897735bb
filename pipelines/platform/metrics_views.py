"""The tables of `openpersonalize metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from pipelines.evaluation.reports import NOT_MEASURABLE, Report
from pipelines.platform.metrics_command import Measurements

METRICS = {
    **{f"NDCG@{k}": f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)},
    "MRR@25": "mean_reciprocal_rank_at_25",
    **{f"precision@{k}": f"precision_at_{k}" for k in (5, 10, 25)},
    "coverage": "coverage",
}
GROUPS = {"no_events": "without events", "few_events": "with 1 or 2 events", "more_events": "with 3 or more"}


def warnings(console: Console, found: Sequence[Mapping[str, str]]) -> None:
    """What a person must know before they deploy the version."""
    for warned in found:
        console.print("[bold white on red] WARNING [/] ", end="")
        console.print(warned["text"], style="bold red", markup=False)


def show(console: Console, found: Measurements) -> None:
    """Everything that was measured of a version, the warnings first."""
    report, temporal = found.report, found.report["temporal"]
    console.print(f"[bold]{found.solution}[/], {report['recipe']}", highlight=False)
    console.print(found.arn, soft_wrap=True, markup=False, highlight=False)
    if found.measured:
        console.print(f"Nothing was fitted: these are the numbers of {found.measured}.", soft_wrap=True, markup=False)
    if found.rollout:
        console.print(found.rollout, style="bold yellow", soft_wrap=True, markup=False, highlight=False)
    warnings(console, report["warnings"])
    splits = {"hold-out": report, "by time": temporal}
    for title, shown, note in (
        (f"Hold-out: {report['test_users']:,} users who did not train", _compared(report), ""),
        (_by_time(temporal), _compared(temporal), ""),
        ("Scores: of the recommended items, how many came next", *_reliability(report["calibration"])),
        ("NDCG@25 by what is known of the user", _cold_users(splits), ""),
        ("Items without events in the training part", _cold_items(splits), ""),
    ):
        console.print(f"\n[bold]{title}[/]", highlight=False)
        console.print(shown)
        if note:
            console.print(note, highlight=False)


def _compared(measured: Report) -> Table | str:
    """AWS's metrics and the novelty of the model beside the baselines."""
    if NOT_MEASURABLE in measured:
        return _missing(measured)
    models = {"model": measured["metrics"], **measured["baselines"]}
    table = _table("metric", *models)
    for label, key in METRICS.items():
        table.add_row(label, *(f"{metrics[key]:.4f}" for metrics in models.values()))
    table.add_row("novelty, bits", *(f"{measured['novelty'][model]:.2f}" for model in models))
    return table


def _by_time(measured: Report) -> str:
    if NOT_MEASURABLE in measured:
        return "Split by time"
    since = f"{datetime.fromtimestamp(measured['since'], UTC):%Y-%m-%d %H:%M}"
    return f"Split by time: {measured['test_users']:,} users asked for what they did since {since} UTC"


def _reliability(calibration: Report) -> tuple[Table | str, str]:
    if NOT_MEASURABLE in calibration:
        return _missing(calibration), ""
    table, bins = _table("score up to", "items", "mean score", "came next"), calibration["bins"]
    for found in bins:
        table.add_row(
            f"{found['up_to']:.4g}", f"{found['pairs']:,}", f"{found['score']:.5f}", f"{found['came_true']:.5f}"
        )
    pairs = sum(found["pairs"] for found in bins)
    table.add_section()
    table.add_row("all", f"{pairs:,}", f"{calibration['mean_score']:.5f}", f"{calibration['hit_rate']:.5f}")
    error, by_chance = calibration["ece"], calibration["by_chance"]
    return table, f"expected calibration error {error:.5f}; true scores would have about {by_chance:.5f} by chance"


def _cold_users(splits: Mapping[str, Report]) -> Table | str:
    rows = [
        (split, GROUPS[group], found)
        for split, measured in splits.items()
        for group, found in measured.get("cold_users", {}).items()
        if NOT_MEASURABLE not in found
    ]
    if not rows:
        return "not measurable: there are no test users"
    table = _table("split", "users", *rows[0][2]["ndcg_at_25"])
    for split, group, found in rows:
        numbers = (f"{value:.4f}" for value in found["ndcg_at_25"].values())
        table.add_row(split, f"{found['users']:,} {group}", *numbers)
    return table


def _cold_items(splits: Mapping[str, Report]) -> Table | str:
    reports = {split: measured.get("cold_items", measured) for split, measured in splits.items()}
    if all(NOT_MEASURABLE in found for found in reports.values()):
        return _missing(reports["hold-out"])
    table = _table("split", "items", "share of top 25", "taken by users", "of these in top 25", "order (AUC)")
    for split, found in reports.items():
        if NOT_MEASURABLE in found:
            table.add_row(split, "none")
            continue
        share, in_list = f"{found['share_of_top_25']:.2%}", f"{found['found']:.2%}" if "found" in found else ""
        auc = f"{found['auc']:.3f}" if "auc" in found else ""
        table.add_row(split, f"{found['items']:,}", share, f"{found['queries']:,}", in_list, auc)
    return table


def _missing(report: Report) -> str:
    return f"not measurable: {report[NOT_MEASURABLE]}"


def _table(first: str, *columns: str) -> Table:
    table = Table(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table
