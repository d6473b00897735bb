"""Related items against the item-item models of `implicit`: one hold-out, one run, on two sets of MovieLens.

`python -m tests.bench.related_bench`, on the sets of rating_data.py. Everybody's newest tenth of events is held out; all
models see the rest. The query is a user's last item before the cut, and what counts are the items held out (NDCG@25,
hit rate) and the very next one. aws-sims runs as it comes, with items left out by its percentiles, and with every item.
In each measure both must be no more than noise behind the best other model: two standard errors of the users'
differences.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, ItemItemRecommender, TFIDFRecommender
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.metrics import LIST_LENGTH, hit_matrix, ndcg
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, load
from pipelines.recipes.tables import TableModel, distinct_users
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import Neighbours
from tests.bench.rating_data import DATA, NAMES

RIVALS = (ItemItemRecommender, CosineRecommender, TFIDFRecommender, BM25Recommender)
EVERY_ITEM = {"min_item_interaction_count_percentile": "0", "max_item_interaction_count_percentile": "1"}
MEASURES = ("NDCG@25", "hit rate", "next: NDCG@25", "next: hit rate")


@dataclass(frozen=True)
class Split:
    """What models see, and what came after."""

    train: Sequences
    items: int
    relevant: list[NDArray[np.int32]]
    following: list[NDArray[np.int32]]

    @property
    def queries(self) -> NDArray[np.int32]:
        """(users,) the last item before the cut."""
        found: NDArray[np.int32] = self.train.items[self.train.offsets[1:] - 1]
        return found


def split(data: TrainingData) -> Split:
    sequences = data.sequences
    counts = np.diff(sequences.offsets)
    held_out = np.maximum(1, (counts + 5) // 10)
    ends, starts = sequences.offsets[1:], sequences.offsets[1:] - held_out
    relevant = [np.unique(sequences.items[start:end]) for start, end in zip(starts, ends, strict=True)]
    following = [sequences.items[start : start + 1] for start in starts]
    return Split(sequences.without_newest(held_out), data.items, relevant, following)


def sims(data: Split, changed: dict[str, str]) -> TableModel:
    recipe = recipe_by_name("aws-sims")
    assert recipe is not None
    settings = FitSettings(recipe.algorithm_values({}), recipe.featurization_values(changed), 0, 1)
    ids = [str(item) for item in range(data.items)], [str(user) for user in range(data.train.users)]
    model = load(recipe, settings).fit(TrainingData.plain(data.train, *ids)).model
    assert isinstance(model, TableModel)
    return model


def rival(data: Split, kind: type[ItemItemRecommender]) -> TableModel:
    """A model of implicit with the rule for short rows that ours has: what is popular follows."""
    train = data.train
    events = sp.csr_matrix((np.ones(len(train.items)), train.items, train.offsets), (train.users, data.items))
    model = kind(K=LIST_LENGTH + 1, num_threads=1)
    model.fit(events, show_progress=False)
    table = np.full((data.items, LIST_LENGTH), -1, np.int32)
    for item in range(data.items):
        found, similarities = model.similar_items(item, N=LIST_LENGTH + 1)
        found = found[(found != item) & (similarities > 0)][:LIST_LENGTH]
        table[item, : len(found)] = found
    return TableModel(distinct_users(train, data.items), Neighbours(table, np.zeros(table.shape, np.float32)))


def judged(model: TableModel, data: Split) -> NDArray[np.float64]:
    """(measures, users)."""
    assert model.neighbours is not None
    queries, place = np.unique(data.queries, return_inverse=True)
    lists = np.zeros((len(queries), LIST_LENGTH), np.int64)
    for at, item in enumerate(queries.tolist()):
        lists[at] = np.argsort(-model.neighbours.logits(item, model.popularity), kind="stable")[:LIST_LENGTH]
    rows = []
    for wanted in (data.relevant, data.following):
        hits = hit_matrix(lists[place], wanted)
        rows += [ndcg(hits, np.array([len(items) for items in wanted]), LIST_LENGTH), hits.any(axis=1).astype(float)]
    return np.array(rows)


def compare(name: str, data: Split, console: Console) -> bool:
    """Print one set's table; whether the bound holds."""
    makers: dict[str, Callable[[], TableModel]] = {
        "aws-sims": lambda: sims(data, {}),
        "aws-sims, every item": lambda: sims(data, EVERY_ITEM),
        **{kind.__name__: lambda kind=kind: rival(data, kind) for kind in RIVALS},
        "popular": lambda: TableModel(popular, Neighbours(np.full((data.items, 1), -1, np.int32), np.zeros((0, 1)))),
    }
    popular = distinct_users(data.train, data.items)
    table = Table("", *MEASURES, "CPU s", title=f"{name}: {data.train.users} queries, {len(data.train.items)} events")
    found = {}
    for model, make in makers.items():
        started = time.process_time()
        made = make()
        seconds = time.process_time() - started
        found[model] = judged(made, data)
        table.add_row(model, *(f"{value:.4f}" for value in found[model].mean(axis=1)), f"{seconds:.1f}")
    console.print(table)
    good = True
    for ours in ("aws-sims", "aws-sims, every item"):
        for at, measure in enumerate(MEASURES):
            best = max((kind.__name__ for kind in RIVALS), key=lambda other: found[other][at].mean())
            ahead = found[ours][at] - found[best][at]
            error = ahead.std() / np.sqrt(len(ahead))
            good &= bool(ahead.mean() >= -2 * error)
            console.print(f"{ours}: {measure} {ahead.mean():+.4f} ± {2 * error:.4f} against {best}")
    return good


def run(console: Console) -> bool:
    """Print every table; whether the bound holds on all."""
    # implicit warns of its own conversions.
    warnings.filterwarnings("ignore", module="implicit")
    return all([compare(NAMES[key], split(read()), console) for key, read in DATA.items()])  # noqa: C419  # all tables


if __name__ == "__main__":
    raise SystemExit(not run(Console(width=120)))
