"""An artefact without some of its users: what a deployed version goes on with after their data was deleted.

Their ids and histories leave it. So does an item that only they ever touched: its row of every matrix goes, so that it
is not recommended, while every other item keeps its vector and the order among the others stays as it was. What the
weights have learned is for the next training to unlearn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import read_manifest
from pipelines.serving.ids import IdTable, read_ids
from pipelines.serving.writing import Histories, write_artefact

EDITION = "edition"
"""Member of the manifest: how often the artefact was written anew, absent for never. Workers load the newest."""
_WRITTEN = {
    "format", "recipe", "recipe_type", "items", "users", "dimension", "history_length", "encoder_length", "files",
}  # fmt: skip
"""Members of the manifest that `write_artefact` derives itself."""


@dataclass(frozen=True)
class Scrubbed:
    """What `scrub` left out."""

    users: int
    events: int
    """Of histories."""
    items: int


def edition(directory: Path) -> int:
    """The edition of the artefact in a folder; raises ArtefactError."""
    return int(read_manifest(directory).get(EDITION, 0))


def only_theirs(source: Path, users: Collection[str]) -> list[str]:
    """Ids of the items that are in these users' histories and in nobody else's."""
    table, histories = read_ids(source, "user"), _histories(source)
    of_gone = np.repeat(~_kept(table, users), np.diff(histories.offsets))
    items = np.setdiff1d(histories.items[of_gone], histories.items[~of_gone])
    return read_ids(source, "item").ids(items.tolist())


def scrub(source: Path, target: Path, *, users: Collection[str], items: Collection[str], edition: int) -> Scrubbed:
    """Write the artefact in `source` into the missing `target` as this edition, without these users and items.

    `items` must be in nobody else's history. Should they be all that there are, they stay: a model without any item
    cannot be opened. Raises ArtefactError.
    """
    manifest = read_manifest(source)
    user_ids, item_ids, histories = read_ids(source, "user"), read_ids(source, "item"), _histories(source)
    kept, kept_items = _kept(user_ids, users), _kept(item_ids, items)
    if not kept_items.any():
        kept_items[:] = True
    stays = np.repeat(kept, np.diff(histories.offsets))
    offsets = np.concatenate([[0], np.cumsum(np.diff(histories.offsets)[kept])])
    # The new code of each item that stays.
    codes = np.cumsum(kept_items) - 1
    write_artefact(
        target,
        recipe=manifest["recipe"],
        recipe_type=manifest["recipe_type"],
        item_ids=item_ids.ids(np.flatnonzero(kept_items).tolist()),
        user_ids=user_ids.ids(np.flatnonzero(kept).tolist()),
        histories=Histories(offsets, codes[histories.items[stays]].astype(np.int32), histories.times[stays]),
        item_matrix=np.load(source / "item_matrix.npy")[kept_items],
        input_matrix=np.load(source / "input_matrix.npy")[kept_items]
        if "input_matrix.npy" in manifest["files"]
        else None,
        popularity=np.load(source / "popularity.npy")[kept_items],
        repeat=np.load(source / "repeat.npy"),
        encoder=(source / "encoder.onnx").read_bytes(),
        history_length=manifest["history_length"],
        encoder_length=manifest["encoder_length"],
        described={**{name: value for name, value in manifest.items() if name not in _WRITTEN}, EDITION: edition},
    )
    return Scrubbed(int((~kept).sum()), int((~stays).sum()), int((~kept_items).sum()))


def _kept(table: IdTable, gone: Collection[str]) -> NDArray[np.bool_]:
    kept = np.ones(len(table), np.bool_)
    kept[[code for code in table.codes(list(gone)) if code is not None]] = False
    return kept


def _histories(source: Path) -> Histories:
    names = ("history_offsets", "history_items", "history_times")
    return Histories(*(np.load(source / f"{name}.npy") for name in names))
