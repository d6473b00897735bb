"""encoder.onnx: from the vectors of a user's events to the user's vector, on one thread, without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Encoder:
    """Safe to call from several threads at once: an onnxruntime session keeps no state between runs."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One request is one thread's work; workers and threads of the runtime make use of the other cores.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._reads_gaps = "gaps" in {entry.name for entry in self._session.get_inputs()}

    def __call__(self, vectors: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float32]:
        """`vectors` (length, input dimension) and `times` (length), oldest first, length >= 1 -> (dimension,)."""
        fed = {"vectors": np.ascontiguousarray(vectors, np.float32)[None]}
        if self._reads_gaps:
            fed["gaps"] = time_gaps(times)[None]
        state: NDArray[np.float32] = self._session.run(None, fed)[0][0]
        return state


def time_gaps(times: NDArray[np.float64]) -> NDArray[np.float32]:
    """How long before each event its predecessor was: log(1 + seconds), (length,) float32, 0 for the first."""
    gaps = np.zeros(len(times), np.float32)
    gaps[1:] = np.log1p(np.maximum(times[1:] - times[:-1], 0))
    return gaps
