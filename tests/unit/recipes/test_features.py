"""What training makes of a row and what a request makes of the same cells are the same values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.datasets.schema import Field
from pipelines.recipes.features import context, features

ROWS = 60
COLUMNS = {
    "RATING": (Field("RATING", "float", True), pa.float32(), [n % 47 / 10 for n in range(ROWS)]),
    "PRICE": (Field("PRICE", "double", True), pa.float64(), [n % 31 * 0.1 + 0.05 for n in range(ROWS)]),
    "HUGE": (Field("HUGE", "double", True), pa.float64(), [10.0 ** (n % 50 - 10) for n in range(ROWS)]),
    "VIEWS": (Field("VIEWS", "long", True), pa.int64(), [2**30 + n % 19 * 1000 for n in range(ROWS)]),
    "GENRES": (
        Field("GENRES", "string", True, categorical=True),
        pa.string(),
        [("Action", "Action|Comedy", "Ωμέγα|Action", None)[n % 4] for n in range(ROWS)],
    ),
    "TEXT": (
        Field("TEXT", "string", True, textual=True),
        pa.string(),
        [f"Der Film Nr. {n % 9}: Ärger, straße_{n % 4}" for n in range(ROWS)],
    ),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_cell_is_the_same_values_in_training_and_in_a_request(name: str) -> None:
    field, kind, cells = COLUMNS[name]
    ids = [f"i{n}" for n in range(ROWS)]
    found = features(pa.table({"ITEM_ID": ids, name: pa.array(cells, kind)}), "ITEM_ID", ids, [field])
    assert found.vocabulary.size > 1
    for row, cell in enumerate(cells):
        codes, weights = found.vocabulary.encode({name: None if cell is None else str(cell)})
        trained = found.bags.row(row)
        assert sorted(zip(*map(list, trained), strict=True)) == sorted(zip(codes, weights, strict=True)), cell


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "TEXT"])
def test_a_situation_is_the_same_value_in_training_and_in_a_request(name: str) -> None:
    field, kind, cells = COLUMNS[name]
    vocabulary, trained = context(pa.table({name: pa.array(cells, kind)}), [field])
    for code, cell in zip(trained[:, 0].tolist(), cells, strict=True):
        asked = vocabulary.situation({} if cell is None else {name: str(cell)})
        assert asked.tolist() == ([] if code < 0 else [code]), cell


def test_a_number_beyond_single_precision_is_no_value() -> None:
    field = Field("N", "double", True)
    table = pa.table({"ITEM_ID": ["a", "b", "c"], "N": pa.array([1.0, 1e300, 2.0])})
    found = features(table, "ITEM_ID", ["a", "b", "c"], [field])
    assert found.bags.row(1)[0].tolist() == [] == found.vocabulary.encode({"N": "1e300"})[0].tolist()
    assert np.isfinite(found.vocabulary.columns[0].edges).all()
