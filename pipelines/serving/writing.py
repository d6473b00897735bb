"""Writing an artefact (its format: artefact.py) from arrays: the last stage of a version, and tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import FORMAT, MANIFEST, sha256_of
from pipelines.serving.ids import write_ids


@dataclass(frozen=True)
class Histories:
    """What each user did, oldest first, one user after the other: user u's events are [offsets[u], offsets[u + 1])."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    times: NDArray[np.int64]

    def newest(self, length: int) -> Histories:
        """Only the newest `length` events of each user."""
        counts = np.diff(self.offsets)
        # How many newer events of the same user follow each event.
        following = np.repeat(self.offsets[1:], counts) - np.arange(1, len(self.items) + 1)
        kept = following < length
        offsets = np.zeros(len(self.offsets), np.int64)
        np.cumsum(np.minimum(counts, length), out=offsets[1:])
        return Histories(offsets, self.items[kept], self.times[kept])


def write_artefact(
    directory: Path,
    *,
    recipe: str,
    recipe_type: str,
    item_ids: Sequence[str],
    user_ids: Sequence[str],
    histories: Histories,
    item_matrix: NDArray[np.float32],
    popularity: NDArray[np.float32],
    encoder: bytes,
    history_length: int,
    encoder_length: int,
    repeat: NDArray[np.float32] | None = None,
    input_matrix: NDArray[np.float32] | None = None,
    described: Mapping[str, Any] | None = None,
) -> None:
    """Write a new artefact into `directory`, which is made and must be empty.

    `repeat` (history_length,), newest event first, None: no repeat term. `described` joins the manifest (metrics,
    hyperparameters, ...): JSON only, nothing that differs between two runs of the same training.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty; an artefact is never changed in place")
    kept = histories.newest(history_length)
    arrays: dict[str, NDArray[Any]] = {
        "item_matrix": np.ascontiguousarray(item_matrix, np.float32),
        "popularity": np.ascontiguousarray(popularity, np.float32),
        "repeat": np.zeros(history_length, np.float32) if repeat is None else np.ascontiguousarray(repeat, np.float32),
        "history_items": kept.items.astype(np.int32),
        "history_times": kept.times.astype(np.int64),
        "history_offsets": kept.offsets.astype(np.int64),
    }
    if input_matrix is not None:
        arrays["input_matrix"] = np.ascontiguousarray(input_matrix, np.float32)
    names = write_ids(directory, "item", item_ids) + write_ids(directory, "user", user_ids)
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array)
    (directory / "encoder.onnx").write_bytes(encoder)
    names += [f"{name}.npy" for name in arrays] + ["encoder.onnx"]
    manifest = {
        **(described or {}),
        "format": FORMAT,
        "recipe": recipe,
        "recipe_type": recipe_type,
        "items": len(item_ids),
        "users": len(user_ids),
        "dimension": item_matrix.shape[1],
        "history_length": history_length,
        "encoder_length": encoder_length,
        "files": {name: sha256_of(directory / name) for name in names},
    }
    (directory / MANIFEST).write_text(
        json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
    )
