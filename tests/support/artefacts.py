"""Small random artefacts in milliseconds, so that tests of serving need no training and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.serving.columns import FilterData
from pipelines.serving.parts import Catalogue, Encoding, Histories, Neighbours, Side
from pipelines.serving.vocabulary import Bags, Column, Vocabulary
from pipelines.serving.writing import write_artefact

NEIGHBOURS = 6
"""Of every item but the last, which has none, as far as there are so many."""


def mean_encoder(dimension: int) -> bytes:
    """An encoder.onnx whose state is the mean of the events' vectors."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["vectors"], ["state"], axes=[1], keepdims=0)],
        "mean",
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, "length", dimension])],
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, dimension])],
    )
    # Opset 17: axes of ReduceMean are still an attribute. IR 9 is read by every onnxruntime since 1.17.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def make_artefact(
    directory: Path,
    *,
    recipe: str = "aws-user-personalization",
    recipe_type: str = "USER_PERSONALIZATION",
    kind: Literal["encoder", "neighbours", "popular"] = "encoder",
    side: bool = False,
    items: int = 40,
    users: int = 10,
    dimension: int = 8,
    events: int = 12,
    seed: int = 0,
    history_length: int = 20,
    created: int | Sequence[int] = 1_500_000_000,
    item_prefix: str = "i",
    user_prefix: str = "u",
    filter_data: FilterData | None = None,
) -> Path:
    """Write an artefact with items `i0`, `i1`, ..., users `u0`, `u1`, ...; another `seed` gives other scores.

    Only kind `encoder` has scores. `created`: epoch seconds at which all items, or each, came to be; years before the
    events is too old to be explored. `side`: it knows of GENDER and AGE of users, DEVICE of situations, GENRES of items.
    """
    random = np.random.default_rng(seed)
    counts = np.full(users, events)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    histories = Histories(
        offsets,
        random.integers(0, items, offsets[-1]).astype(np.int32),
        np.tile(1_600_000_000 + 60 * np.arange(events), users).astype(np.int64),
    )
    matrix = random.normal(size=(items, dimension)).astype(np.float32)
    catalogue = Catalogue(
        [f"{item_prefix}{n}" for n in range(items)],
        [f"{user_prefix}{n}" for n in range(users)],
        histories,
        np.log(1 + np.arange(items, 0, -1)).astype(np.float32),
        created=np.full(items, created),
        interactions=np.bincount(histories.items, minlength=items),
        shown=np.zeros(items, np.int64),
        newest=int(histories.times.max(initial=0)),
        history_length=history_length,
        filter_data=filter_data,
    )
    answers: Encoding | Neighbours | None = None
    if kind == "encoder":
        answers = Encoding(
            matrix,
            mean_encoder(dimension),
            history_length,
            -np.ones(history_length, np.float32),
            side=_side(random, items, users, dimension) if side else None,
        )
    elif kind == "neighbours":
        answers = _neighbours(random, items)
    write_artefact(
        directory,
        recipe=recipe,
        recipe_type=recipe_type,
        scores=kind == "encoder",
        explores=kind == "encoder" and recipe_type == "USER_PERSONALIZATION",
        catalogue=catalogue,
        answers=answers,
        described={"metrics": {"normalized_discounted_cumulative_gain_at_25": 0.1234}},
    )
    return directory


def _side(random: np.random.Generator, items: int, users: int, dimension: int) -> Side:
    """Users are f, m, f, ... and of ages 10, 20, ..., 90, 10, ...; the third of every five is not described."""
    of_users = Vocabulary((Column("GENDER", "category", ("f", "m")), Column("AGE", "number", edges=(25.0, 45.0))))
    context = Vocabulary((Column("DEVICE", "category", ("phone", "tv", "phone|tv")),))
    of_items = Vocabulary((Column("GENRES", "category", ("drama", "comedy", "war")),))
    records = [{"GENDER": "fm"[n % 2], "AGE": 10 * (n % 9 + 1)} if n % 5 != 2 else {} for n in range(users)]
    matrix = random.normal(size=(of_users.size + context.size, dimension)).astype(np.float32)
    feature_matrix = random.normal(size=(of_items.size, dimension)).astype(np.float32)
    bags = [
        _bags([vocabulary.encode(record) for record in rows])
        for vocabulary, rows in (
            (of_users, records),
            (of_items, [{"GENRES": ("drama", "comedy|war")[n % 2]} for n in range(items)]),
        )
    ]
    return Side(of_users, context, matrix, bags[0], of_items, feature_matrix, bags[1])


def _bags(encoded: list[tuple[np.ndarray, np.ndarray]]) -> Bags:
    offsets = np.cumsum([0, *(len(codes) for codes, _ in encoded)]).astype(np.int64)
    codes = np.concatenate([np.zeros(0, np.int64), *(codes for codes, _ in encoded)])
    weights = np.concatenate([np.zeros(0, np.float32), *(weights for _, weights in encoded)])
    return Bags(offsets, codes.astype(np.int32), weights.astype(np.float32))


def _neighbours(random: np.random.Generator, items: int) -> Neighbours:
    rows = np.full((items, NEIGHBOURS), -1, np.int32)
    for item in range(items - 1):
        others = random.permutation(np.delete(np.arange(items), item))[: NEIGHBOURS - item % 3]
        rows[item, : len(others)] = others
    return Neighbours(rows, np.where(rows >= 0, 1 / (1 + np.arange(NEIGHBOURS)), 0).astype(np.float32))
