"""A small random artefact in milliseconds, so that tests of serving need no training and no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.serving.parts import Catalogue, Encoding, Histories
from pipelines.serving.writing import write_artefact


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
    items: int = 40,
    users: int = 10,
    dimension: int = 8,
    events: int = 12,
    seed: int = 0,
    history_length: int = 20,
    item_prefix: str = "i",
    user_prefix: str = "u",
) -> Path:
    """Write an artefact with items `i0`, `i1`, ..., users `u0`, `u1`, ...; another `seed` gives other scores."""
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
        created=np.full(items, 1_600_000_000),
        interactions=np.bincount(histories.items, minlength=items),
        shown=np.zeros(items, np.int64),
        newest=int(histories.times.max(initial=0)),
        history_length=history_length,
    )
    write_artefact(
        directory,
        recipe=recipe,
        recipe_type=recipe_type,
        scores=True,
        explores=recipe_type == "USER_PERSONALIZATION",
        catalogue=catalogue,
        answers=Encoding(matrix, mean_encoder(dimension), history_length, -np.ones(history_length, np.float32)),
        described={"metrics": {"normalized_discounted_cumulative_gain_at_25": 0.1234}},
    )
    return directory
