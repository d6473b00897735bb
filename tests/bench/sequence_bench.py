"""aws-user-personalization against `implicit`'s ALS and a public GRU4Rec, on the same hold-out in one run.

`python -m tests.bench.sequence_bench [--data small,1m] [--models ours,als,bm25,gru4rec]`. Leave-one-out: each user's
last event is the test target, the one before it the validation target, the events before both train, and what a model
is asked with is all that was before the target. All items are ranked, those of the history are taken out; HR@10 and
NDCG@10 are means over users. No model is ever behind by more than noise: the 95 % interval of the mean difference of
the users' NDCG@10 (paired bootstrap) must not lie below 0.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipelines.datasets.sequences import Sequences
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, Model, Queries, load
from pipelines.recipes.training_data import Features, TrainingData
from tests.bench.rating_data import DATA, NAMES
from tests.bench.rivals import THREADS, Als, Gru4Rec, K, NotToBeHad, gains, places

PUBLISHED = {"1m": {"GRU4Rec": (0.2962, 0.1693), "SASRec, cross-entropy": (0.3181, 0.1902)}}
"""HR@10 and NDCG@10 by LRURec's authors on exactly these sequences."""
RESAMPLES = 2000
GRU4REC_EPOCHS = {"small": 200, "1m": 25}
"""At most; the table says when it was still getting better."""


class Competitor(Protocol):
    """Fits once, then answers each user."""

    name: str
    settings: str

    def fit(self, train: Sequences, items: int, targets: NDArray[np.int32]) -> None:
        """`targets`: each user's next event, to choose epochs or hyperparameters by."""

    def answer(self, given: Sequences, items: int) -> Iterator[NDArray[np.float32]]:
        """(items,) scores a user."""


class Ours:
    """The recipe with its defaults; it chooses its epoch itself, on users of `train`."""

    def __init__(self, data: TrainingData, described: bool) -> None:
        recipe = recipe_by_name("aws-user-personalization")
        assert recipe is not None
        self.name = recipe.name + (", genres" if described else "")
        self.settings = ""
        self._data = data
        self._features = data.item_features if described else Features.none(data.items)
        settings = FitSettings(recipe.algorithm_values({}), recipe.featurization_values({}), 0, THREADS)
        self._code = load(recipe, settings)
        self._model: Model | None = None

    def fit(self, train: Sequences, items: int, targets: NDArray[np.int32]) -> None:
        data = TrainingData.plain(train, self._data.item_ids, self._data.user_ids)
        fitted = self._code.fit(replace(data, item_features=self._features))
        self._model, self.settings = fitted.model, f"epoch {fitted.epochs} of {len(fitted.curve)}"

    def answer(self, given: Sequences, items: int) -> Iterator[NDArray[np.float32]]:
        assert self._model is not None
        return self._model.answer(Queries.plain(given))


@dataclass(frozen=True)
class Result:
    """One competitor's ranks."""

    name: str
    settings: str
    ranks: NDArray[np.int64]
    seconds: float
    """CPU seconds of fitting and answering."""

    @property
    def hit_rate(self) -> float:
        return float((self.ranks < K).mean())

    @property
    def ndcg(self) -> float:
        return float(gains(self.ranks).mean())


def measure(competitor: Competitor, data: TrainingData) -> Result:
    """Leave-one-out."""
    sequences, items = data.sequences, data.items
    train, given = (sequences.without_newest(np.full(sequences.users, dropped)) for dropped in (2, 1))
    targets = sequences.items[sequences.offsets[1:] - 1]
    started = time.process_time()
    competitor.fit(train, items, given.items[given.offsets[1:] - 1])
    answers = competitor.answer(given, items)
    ranks = [places(s, given.items_of(u), int(targets[u])) for u, s in enumerate(answers)]
    return Result(competitor.name, competitor.settings, np.array(ranks), time.process_time() - started)


def interval(ours: Result, other: Result) -> tuple[float, float]:
    """95 % interval of the mean paired difference of NDCG@10, over resampled users."""
    difference = gains(ours.ranks) - gains(other.ranks)
    random = np.random.default_rng(0)
    means = [difference[random.integers(0, len(difference), len(difference))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def run(console: Console, name: str, wanted: list[str]) -> bool:
    """Print the table of one data set; whether ours is behind nobody by more than noise."""
    data = DATA[name]()
    competitors: list[Competitor] = []
    if "ours" in wanted:
        competitors.append(Ours(data, described=False))
        if data.item_features.vocabulary.size:
            competitors.append(Ours(data, described=True))
    competitors += [Als(weighted) for key, weighted in (("als", False), ("bm25", True)) if key in wanted]
    try:
        competitors += [Gru4Rec(GRU4REC_EPOCHS[name])] if "gru4rec" in wanted else []
    except NotToBeHad as error:
        console.print(f"{error}; published numbers only")
    table = Table(title=f"{NAMES[name]}, {data.sequences.users} users, {data.items} items, {THREADS} threads")
    for column in ("model", "HR@10", "NDCG@10", "ours - it, 95 % of bootstraps", "CPU s", "chosen"):
        table.add_column(column)
    results: list[Result] = []
    good = True
    for competitor in competitors:
        result = measure(competitor, data)
        results.append(result)
        cells = [result.name, f"{result.hit_rate:.4f}", f"{result.ndcg:.4f}"]
        low, high = interval(results[0], result)
        good &= high >= 0 or competitor.name.startswith("aws-")
        cells += ["" if len(results) == 1 else f"{low:+.4f} to {high:+.4f}", f"{result.seconds:.0f}", result.settings]
        table.add_row(*cells)
        console.print("  ".join(cells), highlight=False)
    for published, (hit_rate, ndcg) in PUBLISHED.get(name, {}).items():
        table.add_row(f"{published}, published", f"{hit_rate:.4f}", f"{ndcg:.4f}", "", "", "")
    console.print(table)
    return good


def main() -> int:
    """0 if every bound holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="small,1m")
    parser.add_argument("--models", default="ours,als,bm25,gru4rec")
    given = parser.parse_args()
    console = Console(width=150)
    good = [run(console, name, given.models.split(",")) for name in given.data.split(",")]
    return int(not all(good))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    raise SystemExit(main())
