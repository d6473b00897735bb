"""What a filter adds to a request: CPU milliseconds on one thread, and as a share of the same request without it.

`OMP_NUM_THREADS=1 python -m tests.bench.filter_bench`. 100,000 items, a GRU of the default size, 10 events in a user's
history and 100 streamed ones; medians of interleaved rounds, so that a busy machine moves all alike. The bound: no
filter adds more than a fifth, also when a thousand items were put since the training.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from pipelines.filters.values import read_values
from pipelines.serving.asked import Asked
from pipelines.serving.columns import Columns, FilterData, Numbers, Texts, Touched
from pipelines.serving.exploration import Exploration
from pipelines.serving.filtering import FilterAsked, Filtered, Filtering
from pipelines.serving.newer import KnownItems
from pipelines.serving.recommender import Recommender
from tests.bench.serving_bench import artefact, cpu_ms
from tests.support.filters import checked

ITEMS, USERS, ROUNDS, MOST = 100_000, 100, 60, 0.20
NOW = 1_700_000_000.0
STREAMED = [(f"i{17 * number}", ("view", "cart", "purchase")[number % 3]) for number in range(100)]
FILTERS: dict[str, tuple[str, dict[str, str]]] = {
    "fixed": ('INCLUDE ItemID WHERE Items.GENRES IN ("g1","g2") AND Items.PRICE < 50', {}),
    "not bought": ('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("purchase")', {}),
    "never touched": ('EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("*")', {}),
    "genres of the request": ("INCLUDE ItemID WHERE Items.GENRES IN ($G)", {"G": '"g1","g2","g3"'}),
    "price of the request": (
        "INCLUDE ItemID WHERE Items.PRICE >= $LOW AND Items.PRICE < $HIGH",
        {"LOW": "10", "HIGH": "20"},
    ),
    "new of the month": ("INCLUDE ItemID WHERE Items.CREATION_TIMESTAMP > NOW() - 30 DAYS", {}),
    "if gold": ('EXCLUDE ItemID WHERE Items.BRAND IN ("b7") IF CurrentUser.TIER IN ("gold")', {}),
    "three together": (
        "INCLUDE ItemID WHERE Items.GENRES IN ($G) AND Items.PRICE < 50 | "
        'EXCLUDE ItemID WHERE Items.STOCK IN ("no") | '
        'EXCLUDE ItemID WHERE Interactions.EVENT_TYPE IN ("view","purchase")',
        {"G": '"g1","g2","g3"'},
    ),
}


def filter_data() -> FilterData:
    """20 genres of which an item has one to three, 1,000 brands, prices; each user has a hundred events of three types."""
    random = np.random.default_rng(0)

    def texts(count: int, most: int, prefix: str, rows: int) -> Texts:
        counts = random.integers(1, most + 1, rows)
        cells = Texts.of_cells(f"{prefix}{n}" for n in range(count))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Texts(cells.values, offsets, random.integers(0, count, offsets[-1]).astype(np.int32))

    known = np.ones(ITEMS, np.bool_)
    items = {
        "GENRES": texts(20, 3, "g", ITEMS),
        "BRAND": texts(1000, 1, "b", ITEMS),
        "STOCK": Texts.of_cells(("yes", "no")[n % 5 == 0] for n in range(ITEMS)),
        "PRICE": Numbers(random.uniform(1, 200, ITEMS).astype(np.float32), known),
        "CREATION_TIMESTAMP": Numbers((NOW - random.integers(0, 3e7, ITEMS)).astype(np.int64), known),
    }
    tiers = Texts.of_cells(("gold", "none")[n % 2] for n in range(USERS))
    events = 300
    touched = Touched(
        ("", "cart", "purchase", "view"),
        np.arange(USERS + 1) * events,
        random.integers(0, ITEMS, USERS * events).astype(np.int32),
        np.tile(np.repeat(np.arange(1, 4, dtype=np.uint8), events // 3), USERS),
    )
    return FilterData(Columns(known, items), Columns(known[:USERS], {"TIER": tiers}), touched)


def newer(recommender: Recommender, count: int) -> KnownItems:
    """Records of so many items, every hundredth."""
    record = {"genres": "g1|g4", "brand": "b7", "stock": "yes", "price": "12.5", "creationTimestamp": str(int(NOW))}
    data = recommender.artefact.filter_data
    assert data is not None
    return KnownItems.of(data.items, recommender.artefact.items, {f"i{100 * n}": record for n in range(count)})


def measure(recommender: Recommender, exploration: Exploration | None, records: int) -> dict[str, float]:
    """Median CPU ms of a request without a filter and with each."""
    known = newer(recommender, records)
    plain = Asked("u8", [(item, NOW) for item, _ in STREAMED], exploration=exploration, seed="RID-1", now=NOW)

    def call(name: str) -> Callable[[], object]:
        filter = checked(FILTERS[name][0])
        filtering = Filtering(recommender.artefact, filter, known)

        def asked() -> object:
            values = read_values(filter, FILTERS[name][1])
            brought = FilterAsked(values, "u8", None, NOW, STREAMED if filtering.reads_events else ())
            return recommender.recommend(replace(plain, filtered=Filtered(filtering, brought)), 25)

        return asked

    calls = {"without": lambda: recommender.recommend(plain, 25), **{name: call(name) for name in FILTERS}}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, one in calls.items():
            times[name].append(cpu_ms(one))
    return {name: float(np.median(found)) for name, found in times.items()}


def run(console: Console) -> bool:
    """Print the table; whether every filter adds at most MOST."""
    with tempfile.TemporaryDirectory() as folder:
        made = artefact(Path(folder) / "artefact", ITEMS, 10).artefact
        recommender = Recommender(replace(made, filter_data=filter_data()))
        cases = ((None, 0), (Exploration(), 0), (None, 1000))
        results = [measure(recommender, exploration, records) for exploration, records in cases]
    table = Table("filter", "pure ranking", "exploring", "pure, 1,000 items put since")
    for name in results[0]:
        table.add_row(name, *(f"{found[name]:.2f} ms, {found[name] / found['without'] - 1:+.0%}" for found in results))
    console.print(table)
    return all(value <= (1 + MOST) * found["without"] for found in results for value in found.values())


if __name__ == "__main__":
    raise SystemExit(not run(Console(width=120)))
