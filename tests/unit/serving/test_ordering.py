"""What the order of a list is made with."""

from __future__ import annotations

import numpy as np

from pipelines.serving.ordering import only


def test_only_what_is_allowed_is_left_bit_for_bit() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 30, 10_000).astype(np.float32)
    logits[:6] = [-np.inf, 0.0, -0.0, np.finfo(np.float32).max, np.finfo(np.float32).min, np.float32(1e-45)]
    for share in (0.0, 0.3, 1.0):
        allowed = random.random(len(logits)) < share
        expected = np.where(allowed, logits, np.float32(-np.inf))
        found = only(allowed, logits)
        assert found.dtype == np.float32
        assert found.tobytes() == expected.tobytes()
