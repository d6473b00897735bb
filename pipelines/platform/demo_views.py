"""What the demo shows on the screen: metrics beside their baselines, lists side by side, where to go next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.datasets.movielens import MovieLens
from pipelines.platform.clients import endpoints
from pipelines.settings import Settings

SHOWN = {
    "NDCG@25": "normalized_discounted_cumulative_gain_at_25",
    "MRR@25": "mean_reciprocal_rank_at_25",
    "precision@25": "precision_at_25",
    "coverage": "coverage",
}


def metrics(
    console: Console, name: str, of_model: Mapping[str, float], baselines: Mapping[str, Mapping[str, float]]
) -> None:
    """AWS's metrics of one version beside popularity, repeat and Markov on the same hold-out."""
    table = Table(title=name, title_justify="left")
    table.add_column("metric")
    for column in ("model", *baselines):
        table.add_column(column, justify="right")
    for label, metric in SHOWN.items():
        rows = [of_model, *baselines.values()]
        table.add_row(label, *(f"{row[metric]:.4f}" for row in rows))
    console.print(table)


def side_by_side(
    console: Console,
    title: str,
    movielens: MovieLens,
    watched: Sequence[str],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> None:
    """Two lists of items with titles and scores, before and after the events."""
    films = ", ".join(movielens.titles[item] for item in watched)
    table = Table(title=title, title_justify="left", caption=f"between the two: watched {films}")
    for column in ("before", "score", f"after {len(watched)} events", "score"):
        table.add_column(column, justify="right" if column == "score" else "left")
    for old, new in zip(before, after, strict=True):
        table.add_row(*_cells(movielens, old), *_cells(movielens, new))
    console.print(table)


def closing(console: Console, settings: Settings, numbers: Path) -> None:
    """Where everything is, and how to stop it."""
    urls = endpoints(settings)
    console.print(f"\nNumbers, lists and ARNs: {numbers}", soft_wrap=True)
    console.print(
        f"Airflow: http://127.0.0.1:{settings.control_port} (user admin, password in {settings.secrets_dir})",
        soft_wrap=True,
    )
    console.print(
        f"Control plane: {urls['personalize']}   runtime and events: {urls['personalize-runtime']}", soft_wrap=True
    )
    console.print(
        "The platform keeps running: `openpersonalize status` shows it, `openpersonalize down` stops it.",
        soft_wrap=True,
    )


def _cells(movielens: MovieLens, item: Mapping[str, Any]) -> tuple[str, str]:
    score = f"{item['score']:.7f}" if "score" in item else ""
    return movielens.titles.get(item["itemId"], item["itemId"]), score
