"""What training writes and the runtime reads: one directory per solution version, mapped rather than loaded.

    manifest.json           what it is and how it answers (`kind`), and the sha256 of every other file
    item_*, user_*          ids (pipelines/serving/ids.py)
    popularity.npy, created.npy, interactions.npy, shown.npy
    history_*.npy           every user's newest `history_length` events, oldest first, one user after the other

of kind `popular` that is all. Of kind `encoder`:

    item_matrix.npy, input_matrix.npy (absent: item_matrix), repeat.npy, encoder.onnx
    vocabularies.json, side_matrix.npy, user_feature_*.npy, feature_matrix.npy, item_feature_*.npy   if it has a side

and of kind `neighbours`: neighbours.npy, similarities.npy. What each holds: parts.py. What filters read of items and users
lies beside them (column_files.py). Byte-stable, no pickle.
`write_artefact` (writing.py) makes one; numpy and onnxruntime are all that reading needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.checking import (
    ArtefactError,
    check_histories,
    check_neighbours,
    check_rows,
    check_side,
)
from pipelines.serving.column_files import FILTERS, check_filter_data, read_filter_data
from pipelines.serving.columns import FilterData
from pipelines.serving.encoder import Encoder
from pipelines.serving.ids import IdTable, read_ids
from pipelines.serving.parts import Histories, Neighbours, Side
from pipelines.serving.vocabulary import Bags, Vocabulary

FORMAT = 2
MANIFEST = "manifest.json"
OF_FORMAT_1: Mapping[str, Any] = {"kind": "encoder", "scores": True, "explores": False, "newest": 0}
"""What the manifest of a version of format 1 does not say: there was one kind, and nothing explored. It has no counts
of items either (created, interactions, shown), which only exploration reads."""


@dataclass(frozen=True)
class LoadedEncoding:
    """What an `Encoding` (parts.py) is in memory."""

    item_matrix: NDArray[np.float32]
    input_matrix: NDArray[np.float32]
    repeat: NDArray[np.float32]
    encoder: Encoder
    encoder_length: int
    side: Side | None

    @classmethod
    def open(cls, directory: Path, manifest: Mapping[str, Any]) -> LoadedEncoding:
        item_matrix, files = _array(directory, "item_matrix"), manifest["files"]
        return cls(
            item_matrix,
            _array(directory, "input_matrix") if "input_matrix.npy" in files else item_matrix,
            _array(directory, "repeat"),
            Encoder((directory / "encoder.onnx").read_bytes()),
            int(manifest["encoder_length"]),
            _side(directory) if "side_matrix.npy" in files else None,
        )

    def check(self, items: int, users: int, history_length: int) -> None:
        """Touch what the first requests would otherwise wait for; raises ArtefactError if parts do not fit together."""
        check_rows("item_matrix", self.item_matrix, items, "items")
        check_rows("input_matrix", self.input_matrix, items, "items")
        check_rows("repeat", self.repeat, history_length, "events of a history")
        dimension = self.item_matrix.shape[1]
        try:
            state = self.encoder(self.input_matrix[:1], np.zeros(1))
        except Exception as failure:  # onnxruntime has a class for each code, and nothing above them
            raise ArtefactError(f"encoder.onnx does not read the rows of input_matrix.npy: {failure}") from failure
        if state.shape != (dimension,):
            raise ArtefactError(
                f"encoder.onnx answers shape {state.shape}, item_matrix.npy is {self.item_matrix.shape}"
            )
        if self.side is not None:
            check_side(self.side, users, items, dimension)
            self.side.matrix.max(initial=0)
        self.input_matrix.max(initial=0)
        self.item_matrix @ state


@dataclass(frozen=True)
class Artefact:
    """One solution version, ready to answer."""

    manifest: Mapping[str, Any]
    items: IdTable
    users: IdTable
    popularity: NDArray[np.float32]
    created: NDArray[np.int64]
    interactions: NDArray[np.int64]
    shown: NDArray[np.int64]
    histories: Histories
    answers: LoadedEncoding | Neighbours | None
    filter_data: FilterData | None = None
    """None: it was made before there were filters."""

    @classmethod
    def open(cls, path: Path | str) -> Artefact:
        """Check the manifest and every checksum, map the arrays, run the encoder once; raises ArtefactError."""
        directory = Path(path)
        manifest = read_manifest(directory)
        for name, digest in sorted(manifest["files"].items()):
            if sha256_of(directory / name) != digest:
                raise ArtefactError(f"{directory / name} does not have the checksum that {MANIFEST} gives")
        artefact = cls(
            manifest,
            read_ids(directory, "item"),
            read_ids(directory, "user"),
            popularity=_array(directory, "popularity"),
            **{name: _counts(directory, name, manifest) for name in ("created", "interactions", "shown")},
            histories=Histories(*(_array(directory, f"history_{name}") for name in ("offsets", "items", "times"))),
            answers=_answers(directory, manifest),
            filter_data=_filter_data(directory, manifest),
        )
        artefact.check()
        return artefact

    @property
    def recipe_type(self) -> str:
        """USER_PERSONALIZATION, PERSONALIZED_RANKING, RELATED_ITEMS or POPULAR_ITEMS: which requests it answers."""
        return str(self.manifest["recipe_type"])

    @property
    def is_personal(self) -> bool:
        """Whether answers depend on the user."""
        return isinstance(self.answers, LoadedEncoding)

    @property
    def side(self) -> Side | None:
        """What it knows of users, situations and items beside interactions."""
        return self.answers.side if isinstance(self.answers, LoadedEncoding) else None

    @cached_property
    def user_columns(self) -> tuple[str, ...]:
        """Columns of the Users dataset that answers depend on."""
        columns = () if self.side is None else self.side.users.columns
        return tuple(column.name for column in columns if column.size)

    @property
    def history_length(self) -> int:
        """How many of a user's newest events are looked at."""
        return int(self.manifest["history_length"])

    @property
    def newest(self) -> int:
        """Epoch seconds of the newest interaction of the training."""
        return int(self.manifest["newest"])

    @property
    def cutoffs(self) -> Mapping[str, int]:
        """Numbers of the newest streamed rows that it knows of users: `events`, `users`; empty: those of its training."""
        found: Mapping[str, int] = self.manifest.get("cutoffs", {})
        return found

    @property
    def has_scores(self) -> bool:
        """Whether answers carry scores."""
        return bool(self.manifest["scores"])

    @property
    def explores(self) -> bool:
        """Whether campaigns explore new items with it."""
        return bool(self.manifest["explores"])

    def history(self, user_code: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Item codes and epoch seconds of one user's events at training time, oldest first."""
        start, end = self.histories.offsets[user_code], self.histories.offsets[user_code + 1]
        return self.histories.items[start:end], self.histories.times[start:end]

    def check(self) -> None:
        """Touch all of it, which is then in memory; raises ArtefactError if its parts do not fit together."""
        items, users = len(self.items), len(self.users)
        for name in ("popularity", "created", "interactions", "shown"):
            check_rows(name, getattr(self, name), items, "items")
            getattr(self, name).max(initial=0)
        check_histories(self.histories, users, items)
        if self.filter_data is not None:
            check_filter_data(self.filter_data, self.items, self.users)
        if isinstance(self.answers, LoadedEncoding):
            self.answers.check(items, users, self.history_length)
        elif self.answers is not None:
            check_neighbours(self.answers, items)


def _answers(directory: Path, manifest: Mapping[str, Any]) -> LoadedEncoding | Neighbours | None:
    match manifest["kind"]:
        case "encoder":
            return LoadedEncoding.open(directory, manifest)
        case "neighbours":
            return Neighbours(_array(directory, "neighbours"), _array(directory, "similarities"))
        case "popular":
            return None
        case kind:
            raise ArtefactError(f"{directory / MANIFEST} has kind {kind!r}, which this code does not know")


def _filter_data(directory: Path, manifest: Mapping[str, Any]) -> FilterData | None:
    described = manifest.get(FILTERS)
    return None if described is None else read_filter_data(directory, described, partial(_array, directory))


def _side(directory: Path) -> Side:
    vocabularies = json.loads((directory / "vocabularies.json").read_text("utf-8"))
    users, context, items = (Vocabulary.from_json(vocabularies[name]) for name in ("users", "context", "items"))
    return Side(
        users,
        context,
        _array(directory, "side_matrix"),
        _bags(directory, "user"),
        items,
        _array(directory, "feature_matrix"),
        _bags(directory, "item"),
    )


def _bags(directory: Path, name: str) -> Bags:
    return Bags(*(_array(directory, f"{name}_feature_{part}") for part in ("offsets", "codes", "weights")))


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of an artefact; raises ArtefactError."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{directory / MANIFEST} cannot be read: {error}") from error
    if manifest.get("format") == 1:
        return {**OF_FORMAT_1, **manifest}
    if manifest.get("format") != FORMAT:
        raise ArtefactError(
            f"{directory / MANIFEST} has format {manifest.get('format')!r}, this code reads 1 and {FORMAT}: was it made by a newer version?"
        )
    return manifest


def sha256_of(path: Path) -> str:
    """Hex digest of a file; raises ArtefactError if it is missing."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error}") from error


def _counts(directory: Path, name: str, manifest: Mapping[str, Any]) -> NDArray[np.int64]:
    return np.zeros(manifest["items"], np.int64) if manifest["format"] == 1 else _array(directory, name)


def _array(directory: Path, name: str) -> NDArray[Any]:
    # asarray: still mapped, but a plain array. np.memmap runs Python code at every index and result.
    return np.asarray(np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False))
