"""encoder.onnx of the GRU model, written from its weights node by node.

Not traced by torch: the same weights give the same bytes whatever exporter a torch release brings, and packaging
needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.recipes.batches import GRU_LENGTH

OPSET = 17
IR_VERSION = 9

Weights = Mapping[str, NDArray[np.float32]]


def gru_encoder(weights: Weights) -> bytes:
    """`vectors` float32 (1, length, d + 1), rows of item_matrix -> float32 (1, d + 1), the user's vector.

    `weights`: HistoryEncoder's state by torch's names. The last column of item_matrix is the item's bias: the GRU reads it
    with weight 0, and the user's vector ends with 1.
    """
    from onnx import TensorProto, helper, numpy_helper

    dimension = weights["projection.weight"].shape[0]
    input_weights = _gates(weights["gru.weight_ih_l0"])
    constants = {
        "W": np.pad(input_weights, ((0, 0), (0, 1)))[None],
        "R": _gates(weights["gru.weight_hh_l0"])[None],
        "B": np.concatenate([_gates(weights["gru.bias_ih_l0"]), _gates(weights["gru.bias_hh_l0"])])[None],
        # The projection reads [GRU state, sum of embeddings / root of their number]; the bias column counts for 0.
        "P": np.pad(weights["projection.weight"], ((0, 0), (0, 1))),
        "p": weights["projection.bias"],
        "one": np.ones((1, 1), np.float32),
        "first": np.zeros(1, np.int64),
        "second": np.ones(1, np.int64),
        "from": np.array([-GRU_LENGTH], np.int64),
        "to": np.array([np.iinfo(np.int64).max], np.int64),
    }
    nodes: list[Any] = [
        helper.make_node("Slice", ["vectors", "from", "to", "second"], ["newest"]),
        helper.make_node("Transpose", ["newest"], ["steps"], perm=[1, 0, 2]),
        # linear_before_reset: torch applies the reset gate after the recurrent product, ONNX's default before it.
        helper.make_node("GRU", ["steps", "W", "R", "B"], ["", "last"], hidden_size=dimension, linear_before_reset=1),
        helper.make_node("Squeeze", ["last", "first"], ["hidden"]),
        helper.make_node("ReduceSum", ["vectors", "second"], ["total"], keepdims=0),
        helper.make_node("Shape", ["vectors"], ["length"], start=1, end=2),
        helper.make_node("Cast", ["length"], ["events"], to=TensorProto.FLOAT),
        helper.make_node("Sqrt", ["events"], ["root"]),
        helper.make_node("Div", ["total", "root"], ["bag"]),
        helper.make_node("Concat", ["hidden", "bag"], ["both"], axis=1),
        helper.make_node("Gemm", ["both", "P", "p"], ["projected"], transB=1),
        helper.make_node("Concat", ["projected", "one"], ["state"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "gru",
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, "length", dimension + 1])],
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, dimension + 1])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString(deterministic=True))


def _gates(stacked: NDArray[np.float32]) -> NDArray[np.float32]:
    """torch stacks reset, update, new; ONNX update, reset, new."""
    reset, update, new = np.split(stacked, 3)
    return np.concatenate([update, reset, new])
