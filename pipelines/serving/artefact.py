"""What training writes and the runtime reads: one directory per solution version, mapped rather than loaded.

    manifest.json           what it is, and the sha256 of every other file
    item_matrix.npy         float32 (items, dimension): w_i of spec/recipes.md section 2
    input_matrix.npy        float32 (items, input dimension): how an item enters the encoder; absent: item_matrix does
    encoder.onnx            `vectors` float32 (1, length, input dimension), oldest first, and, if it declares it,
                            `gaps` float32 (1, length) -> float32 (1, dimension): the user's w_u
    popularity.npy          float32 (items): logits of a user of whom nothing is known
    repeat.npy              float32 (history_length): what an item's logit gains if the user's newest event with it is
                            their newest, second newest, ... event: whether people come back to an item
    item_*, user_*          ids (pipelines/serving/ids.py)
    history_items.npy       int32: every user's newest `history_length` events, oldest first, one user after the other
    history_times.npy       int64, epoch seconds of the same
    history_offsets.npy     int64 (users + 1)

Byte-stable, no pickle. `write_artefact` (writing.py) makes one; numpy and onnxruntime are all that reading needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.encoder import Encoder
from pipelines.serving.ids import IdTable, read_ids

FORMAT = 1
MANIFEST = "manifest.json"


class ArtefactError(ValueError):
    """A directory is not an artefact that this version can serve; the message says which file and why."""


@dataclass(frozen=True)
class Artefact:
    """One solution version, ready to answer."""

    manifest: Mapping[str, Any]
    items: IdTable
    users: IdTable
    item_matrix: NDArray[np.float32]
    input_matrix: NDArray[np.float32]
    popularity: NDArray[np.float32]
    repeat: NDArray[np.float32]
    history_items: NDArray[np.int32]
    history_times: NDArray[np.int64]
    history_offsets: NDArray[np.int64]
    encoder: Encoder

    @classmethod
    def open(cls, path: Path | str) -> Artefact:
        """Check the manifest and every checksum, map the arrays, run the encoder once; raises ArtefactError."""
        directory = Path(path)
        manifest = read_manifest(directory)
        for name, digest in sorted(manifest["files"].items()):
            if sha256_of(directory / name) != digest:
                raise ArtefactError(f"{directory / name} does not have the checksum that {MANIFEST} gives")
        item_matrix = _array(directory, "item_matrix")
        artefact = cls(
            manifest=manifest,
            items=read_ids(directory, "item"),
            users=read_ids(directory, "user"),
            item_matrix=item_matrix,
            input_matrix=_array(directory, "input_matrix") if "input_matrix.npy" in manifest["files"] else item_matrix,
            popularity=_array(directory, "popularity"),
            repeat=_array(directory, "repeat"),
            history_items=_array(directory, "history_items"),
            history_times=_array(directory, "history_times"),
            history_offsets=_array(directory, "history_offsets"),
            encoder=Encoder((directory / "encoder.onnx").read_bytes()),
        )
        artefact.warm()
        return artefact

    @property
    def recipe_type(self) -> str:
        """USER_PERSONALIZATION or PERSONALIZED_RANKING."""
        return str(self.manifest["recipe_type"])

    @property
    def history_length(self) -> int:
        """How many of a user's newest events are looked at."""
        return int(self.manifest["history_length"])

    @property
    def encoder_length(self) -> int:
        """How many of those the encoder reads; the older ones count for `repeat` only."""
        return int(self.manifest["encoder_length"])

    def history(self, user_code: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Item codes and epoch seconds of one user's events at training time, oldest first."""
        start, end = self.history_offsets[user_code], self.history_offsets[user_code + 1]
        return self.history_items[start:end], self.history_times[start:end]

    def warm(self) -> None:
        """Touch what the first request would otherwise wait for; raises ArtefactError if shapes disagree."""
        state = self.encoder(self.input_matrix[:1], np.zeros(1))
        if state.shape != (self.item_matrix.shape[1],):
            raise ArtefactError(
                f"encoder.onnx answers shape {state.shape}, item_matrix.npy is {self.item_matrix.shape}"
            )
        if len(self.items) != len(self.item_matrix) or len(self.popularity) != len(self.item_matrix):
            raise ArtefactError(f"{len(self.items)} item ids for {len(self.item_matrix)} rows of item_matrix.npy")
        self.item_matrix @ state


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an artefact; raises ArtefactError."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{directory / MANIFEST} cannot be read: {error}") from error
    if manifest.get("format") != FORMAT:
        raise ArtefactError(f"{directory / MANIFEST} has format {manifest.get('format')!r}, this code reads {FORMAT}")
    return manifest


def sha256_of(path: Path) -> str:
    """Hex digest of a file; raises ArtefactError if it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error}") from error


def _array(directory: Path, name: str) -> NDArray[Any]:
    # asarray: still mapped, but a plain array. np.memmap runs Python code at every index and result.
    return np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False))
