"""An artefact without some of its users: what a deployed version goes on with after their data was deleted.

Their ids and histories leave it. So does an item that only they ever touched: its row of every matrix goes, so that it
is not recommended, while every other item keeps its vector and the order among the others stays as it was. What the
weights have learned is for the next training to unlearn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.artefact import Artefact, LoadedEncoding, read_manifest
from pipelines.serving.column_files import FILTERS
from pipelines.serving.ids import IdTable, read_ids
from pipelines.serving.parts import Catalogue, Encoding, Histories, Neighbours
from pipelines.serving.writing import write_artefact

EDITION = "edition"
"""Member of the manifest: how often the artefact was written anew, absent for never. Workers load the newest."""
_WRITTEN = {
    "format", "kind", "recipe", "recipe_type", "scores", "explores", "items", "users", "newest", "dimension",
    "history_length", "encoder_length", "files", FILTERS,
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
    artefact = Artefact.open(source)
    histories = artefact.histories
    kept, kept_items = _kept(artefact.users, users), _kept(artefact.items, items)
    if not kept_items.any():
        kept_items[:] = True
    stays = np.repeat(kept, np.diff(histories.offsets))
    offsets = np.concatenate([[0], np.cumsum(np.diff(histories.offsets)[kept])])
    # The new code of each item that stays.
    codes, data = np.cumsum(kept_items) - 1, artefact.filter_data
    write_artefact(
        target,
        recipe=artefact.manifest["recipe"],
        recipe_type=artefact.recipe_type,
        scores=artefact.has_scores,
        explores=artefact.explores,
        catalogue=Catalogue(
            artefact.items.ids(np.flatnonzero(kept_items).tolist()),
            artefact.users.ids(np.flatnonzero(kept).tolist()),
            Histories(offsets, codes[histories.items[stays]].astype(np.int32), histories.times[stays]),
            artefact.popularity[kept_items],
            artefact.created[kept_items],
            artefact.interactions[kept_items],
            artefact.shown[kept_items],
            artefact.newest,
            artefact.history_length,
            None if data is None else data.of(np.flatnonzero(kept), np.flatnonzero(kept_items)),
        ),
        answers=_without(artefact.answers, source, kept, kept_items),
        described={**{n: value for n, value in artefact.manifest.items() if n not in _WRITTEN}, EDITION: edition},
    )
    return Scrubbed(int((~kept).sum()), int((~stays).sum()), int((~kept_items).sum()))


def _without(
    answers: LoadedEncoding | Neighbours | None, source: Path, users: NDArray[np.bool_], items: NDArray[np.bool_]
) -> Encoding | Neighbours | None:
    """How the artefact answers, for the users and items that stay."""
    if isinstance(answers, Neighbours):
        return _without_neighbours(answers, items)
    if answers is None:
        return None
    side = answers.side
    if side is not None:
        bags = side.user_bags.of(np.flatnonzero(users)), side.item_bags.of(np.flatnonzero(items))
        side = replace(side, user_bags=bags[0], item_bags=bags[1])
    return Encoding(
        answers.item_matrix[items],
        (source / "encoder.onnx").read_bytes(),
        answers.encoder_length,
        answers.repeat,
        None if answers.input_matrix is answers.item_matrix else answers.input_matrix[items],
        side,
    )


def _without_neighbours(answers: Neighbours, items: NDArray[np.bool_]) -> Neighbours:
    """Rows and entries of the items that stay, each row's entries moved up."""
    codes = np.where(items, np.cumsum(items) - 1, -1)
    rows, similarities = answers.items[items], answers.similarities[items]
    new = np.where(rows >= 0, codes[rows], -1).astype(np.int32)
    order = np.argsort(new < 0, axis=1, kind="stable")
    moved = np.take_along_axis(new, order, 1), np.take_along_axis(similarities, order, 1)
    return Neighbours(moved[0], np.where(moved[0] >= 0, moved[1], 0).astype(np.float32))


def _kept(table: IdTable, gone: Collection[str]) -> NDArray[np.bool_]:
    kept = np.ones(len(table), np.bool_)
    kept[[code for code in table.codes(list(gone)) if code is not None]] = False
    return kept


def _histories(source: Path) -> Histories:
    names = ("history_offsets", "history_items", "history_times")
    return Histories(*(np.load(source / f"{name}.npy") for name in names))
