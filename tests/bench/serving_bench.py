"""Serving cost of one request, one thread, as CPU milliseconds and as a multiple of its floor.

`OMP_NUM_THREADS=1 python -m tests.bench.serving_bench`. The floor is one numpy matrix-vector product over the same
item matrix, measured in the same rounds; medians, so that a busy machine moves both alike.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.recipes.onnx_gru import gru_encoder
from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.parts import HISTORY_LENGTH, Catalogue, Encoding, Histories, Side
from pipelines.serving.recommender import Recommender
from pipelines.serving.vocabulary import Bags, Column, Vocabulary
from pipelines.serving.writing import write_artefact

DIMENSION = 149
ROUNDS = 300
ITEMS = (1_682, 20_000, 100_000)
DESCRIBED = 50
SITUATION = {f"CONTEXT_{n}": f"v{n}" for n in range(3)}
RECORD = {f"USER_{n}": f"v{n}" for n in range(5)}


def artefact(directory: Path, items: int, length: int) -> Recommender:
    """A random GRU of the default size; each user has `length` events, and users from DESCRIBED on have metadata."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return (random.normal(size=shape) / 12).astype(np.float32)

    weights = {
        "gru.weight_ih_l0": normal(3 * DIMENSION, DIMENSION),
        "gru.weight_hh_l0": normal(3 * DIMENSION, DIMENSION),
        "gru.bias_ih_l0": normal(3 * DIMENSION),
        "gru.bias_hh_l0": normal(3 * DIMENSION),
        "projection.weight": normal(DIMENSION, 2 * DIMENSION),
        "projection.bias": normal(DIMENSION),
    }
    users = 100
    catalogue = Catalogue(
        [f"i{n}" for n in range(items)],
        [f"u{n}" for n in range(users)],
        Histories(
            np.arange(users + 1) * length,
            random.integers(0, items, users * length).astype(np.int32),
            np.tile(np.arange(length), users),
        ),
        normal(items),
        created=np.zeros(items, np.int64),
        interactions=np.zeros(items, np.int64),
        shown=np.zeros(items, np.int64),
        newest=length,
    )
    write_artefact(
        directory,
        recipe="aws-user-personalization",
        recipe_type="USER_PERSONALIZATION",
        scores=True,
        explores=True,
        catalogue=catalogue,
        answers=Encoding(
            normal(items, DIMENSION + 1), gru_encoder(weights), HISTORY_LENGTH, side=side(normal, items, users)
        ),
    )
    return Recommender(Artefact.open(directory))


def side(normal: Callable[..., np.ndarray], items: int, users: int) -> Side:
    """Five columns of users and three of the situation, twenty values each."""
    values = tuple(f"v{n}" for n in range(20))
    of_users = Vocabulary(tuple(Column(f"USER_{n}", "category", values) for n in range(5)))
    context = Vocabulary(tuple(Column(f"CONTEXT_{n}", "category", values) for n in range(3)))
    described = [(n * 20 + user % 20) for user in range(DESCRIBED, users) for n in range(5)]
    offsets = np.maximum(np.arange(users + 1) - DESCRIBED, 0) * 5
    bags = Bags(offsets, np.array(described, np.int32), np.ones(len(described), np.float32))
    matrix = normal(of_users.size + context.size, DIMENSION + 1)
    return Side(of_users, context, matrix, bags, Vocabulary(), normal(0, DIMENSION + 1), Bags.empty(items))


def cpu_ms(call: Callable[[], object]) -> float:
    started = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - started) / 1e6


def measure(recommender: Recommender) -> dict[str, float]:
    """Median CPU ms of each operation and of the floor, in interleaved rounds."""
    matrix = np.array(recommender.artefact.answers.item_matrix)
    state = np.ones(matrix.shape[1], np.float32)
    listed = [f"i{n}" for n in range(500)]
    calls: dict[str, Callable[[], object]] = {
        "floor (matrix @ state)": lambda: matrix @ state,
        "recommend 25": lambda: recommender.recommend(Asked("u7", [("i3", 1e9)]), 25),
        "recommend 500": lambda: recommender.recommend(Asked("u7", [("i3", 1e9)]), 500),
        "rank 25": lambda: recommender.rank(Asked("u7"), listed[:25]),
        "rank 500": lambda: recommender.rank(Asked("u7"), listed),
        "session, 3 events": lambda: recommender.recommend(Asked("s", [("i3", 3e9), ("i2", 2e9), ("i1", 1e9)]), 25),
        "unknown user": lambda: recommender.recommend(Asked("nobody"), 25),
        "metadata and context": lambda: recommender.recommend(Asked("u77", [("i3", 1e9)], context=SITUATION), 25),
        "the same, streamed record": lambda: recommender.recommend(
            Asked("u77", [("i3", 1e9)], context=SITUATION, user_record=RECORD), 25
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            times[name].append(cpu_ms(call))
    return {name: float(np.median(values)) for name, values in times.items()}


def run(console: Console) -> bool:
    """Print the table; whether 25 recommendations over 1,682 items take less than a millisecond after a few events."""
    table = Table("operation", *(f"{items:,} items, {length} events" for items in ITEMS for length in (10, 100)))
    results = []
    for items in ITEMS:
        for length in (10, 100):
            with tempfile.TemporaryDirectory() as folder:
                results.append(measure(artefact(Path(folder) / "artefact", items, length)))
    floor = next(iter(results[0]))
    for name in results[0]:
        table.add_row(name, *(f"{found[name]:.3f} ms ({found[name] / found[floor]:.1f}x)" for found in results))
    console.print(table)
    return results[0]["recommend 25"] < 1.0


if __name__ == "__main__":
    raise SystemExit(not run(Console(width=160)))
