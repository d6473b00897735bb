"""Quality on MovieLens-100K: three seeds, one hold-out, all of AWS's metrics, three baselines, CPU seconds of each fit.

`python -m tests.bench.quality_bench`. The two fits of a version (evaluation and training) together may take 180 CPU
seconds; NDCG@25, mean of the seeds, must be at least 1.5 times popularity's and above repeat's and Markov's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, load
from pipelines.recipes.inputs import read_inputs
from pipelines.recipes.measuring import Evaluation, evaluate
from pipelines.recipes.preparing import Wanted, prepare
from pipelines.recipes.training_columns import DATASET_TYPES
from pipelines.recipes.training_data import TrainingData

SEEDS = (0, 1, 2)
THREADS = 2
NDCG = "normalized_discounted_cumulative_gain_at_25"


def movielens() -> TrainingData:
    """MovieLens-100K as the stages prepare it."""
    from pipelines.datasets import example, movielens, streamed
    from pipelines.datasets.schema import read_schema

    with tempfile.TemporaryDirectory() as folder:
        found = movielens.fetch(Path("var/data/movielens-100k"))
        for kind in DATASET_TYPES:
            csv = found.directory / movielens.FILES[kind]
            example.build_snapshot(csv, movielens.SCHEMAS[kind], kind, Path(folder) / kind.lower())
            schema = read_schema(movielens.SCHEMAS[kind], kind)
            streamed.write_empty(schema, Path(folder) / "streamed" / f"{kind.lower()}.parquet")
        return prepare(read_inputs(Path(folder)), Wanted(metadata=True, context=True))


def measure(data: TrainingData, seed: int) -> tuple[Evaluation, float, float]:
    """One seed: the evaluation, its CPU seconds, and those of the fit on everything."""
    recipe = recipe_by_name("aws-user-personalization")
    assert recipe is not None
    code = load(recipe, FitSettings(recipe.algorithm_values({}), recipe.featurization_values({}), seed, THREADS))
    started = time.process_time()
    found = evaluate(code, data)
    evaluated = time.process_time()
    code.fit(data, found.best_epoch)
    return found, evaluated - started, time.process_time() - evaluated


def run(console: Console) -> bool:
    """Print the tables; whether every bound holds."""
    data = movielens()
    results = [measure(data, seed) for seed in SEEDS]
    mean = {key: float(np.mean([found.metrics[key] for found, *_ in results])) for key in results[0][0].metrics}
    rows: dict[str, Mapping[str, float]] = {
        f"seed {seed}": r[0].metrics for seed, r in zip(SEEDS, results, strict=True)
    }
    rows |= {"mean": mean, **results[0][0].baselines}
    table = Table(title=f"MovieLens-100K, {results[0][0].test_users} test users")
    for column in ("", *sorted(mean)):
        table.add_column(
            column.replace("normalized_discounted_cumulative_gain", "ndcg").replace("mean_reciprocal_rank", "mrr")
        )
    for name, metrics in rows.items():
        table.add_row(name, *(f"{metrics[key]:.4f}" for key in sorted(mean)))
    console.print(table)
    costs = Table("seed", "best epoch", "evaluate, CPU s", "train, CPU s", "together", title=f"{THREADS} threads")
    for seed, (found, evaluating, training) in zip(SEEDS, results, strict=True):
        numbers = (f"{evaluating:.1f}", f"{training:.1f}", f"{evaluating + training:.1f}")
        costs.add_row(str(seed), str(found.best_epoch), *numbers)
    console.print(costs)
    baselines = {name: metrics[NDCG] for name, metrics in results[0][0].baselines.items()}
    good = mean[NDCG] >= 1.5 * baselines["popularity"] and mean[NDCG] > max(baselines["repeat"], baselines["markov"])
    return good and all(evaluating + training < 180 for _, evaluating, training in results)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise SystemExit(not run(Console(width=160)))
