"""The two MovieLens sets that others publish numbers on, as training data: ml-latest-small and ml-1m.

They are not part of the repository: BENCH_DATA names the folder with `ml-latest-small.zip`, as GroupLens distributes
it, and `ml-1m.npz` (`items`, 1-based, all users one after the other, oldest first; `offsets`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from pipelines.datasets.sequences import Sequences, make_sequences
from pipelines.recipes.training_data import TrainingData

FOLDER = Path(os.environ.get("BENCH_DATA", "../shared/bench/data"))


def latest_small() -> TrainingData:
    """610 users, 9,724 films with their genres, 100,836 ratings in the order of their timestamps."""
    import pandas as pd
    import pyarrow as pa

    from pipelines.datasets.schema import Field
    from pipelines.recipes.features import features

    with ZipFile(FOLDER / "ml-latest-small.zip") as archive:
        ratings, films = (
            pd.read_csv(archive.open(f"ml-latest-small/{name}.csv"), dtype={"movieId": str})
            for name in ("ratings", "movies")
        )
    items, item_ids = pd.factorize(ratings["movieId"])
    users, user_ids = pd.factorize(ratings["userId"])
    no_arrival = np.zeros(len(ratings), np.int64)
    sequences = make_sequences(users, items, ratings["timestamp"].to_numpy(), no_arrival, len(user_ids))
    data = TrainingData.plain(sequences, list(item_ids), [str(user) for user in user_ids])
    table = pa.table({"ITEM_ID": films["movieId"].tolist(), "GENRES": films["genres"].tolist()})
    genres = Field("GENRES", "string", categorical=True)
    return replace(data, item_features=features(table, "ITEM_ID", data.item_ids, [genres]))


def one_million() -> TrainingData:
    """6,040 users, 3,416 films, 999,611 ratings; of the times only the order is known."""
    with np.load(FOLDER / "ml-1m.npz") as file:
        items, offsets = file["items"].astype(np.int32) - 1, file["offsets"].astype(np.int64)
    sequences = Sequences(offsets, items, np.zeros(len(items), np.int64))
    ids = [[str(code) for code in range(count)] for count in (int(items.max()) + 1, len(offsets) - 1)]
    return TrainingData.plain(sequences, *ids)


DATA = {"small": latest_small, "1m": one_million}
NAMES: Mapping[str, str] = {"small": "ml-latest-small", "1m": "ml-1m"}
