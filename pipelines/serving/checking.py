"""Whether the parts of an artefact fit together: one that does not is refused when it is opened, not by a request.

Checksums say that the files are those that were written; this says that what was written can be read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.parts import Histories, Neighbours, Side
from pipelines.serving.vocabulary import Bags, Vocabulary


class ArtefactError(ValueError):
    """A directory is not an artefact that this version can serve; the message says which file and why."""


def check_rows(name: str, array: NDArray[np.generic], wanted: int, of: str) -> None:
    """Raise ArtefactError unless `name`.npy has a row for each."""
    if len(array) != wanted:
        raise ArtefactError(f"{name}.npy has {len(array)} rows for {wanted} {of}")


def check_codes(name: str, codes: NDArray[np.integer], size: int, of: str, lowest: int = 0) -> None:
    """Raise ArtefactError unless all codes are from `lowest` to below `size`."""
    for code in (codes.min(), codes.max()) if codes.size else ():
        if not lowest <= code < size:
            raise ArtefactError(f"{name}.npy holds {code}, which is none of {size} {of}")


def check_histories(histories: Histories, users: int, items: int) -> None:
    """Raise ArtefactError unless every user has a history of known items."""
    check_offsets("history_offsets", histories.offsets, users, "users", len(histories.items))
    check_rows("history_times", histories.times, len(histories.items), "events")
    check_codes("history_items", histories.items, items, "items")


def check_neighbours(neighbours: Neighbours, items: int) -> None:
    """Raise ArtefactError unless every item has a row of known items."""
    check_rows("neighbours", neighbours.items, items, "items")
    if neighbours.similarities.shape != neighbours.items.shape:
        raise ArtefactError(
            f"similarities.npy is {neighbours.similarities.shape}, neighbours.npy {neighbours.items.shape}"
        )
    check_codes("neighbours", neighbours.items, items, "items", lowest=-1)


def check_side(side: Side, users: int, items: int, dimension: int) -> None:
    """Raise ArtefactError unless every value has its vector, and every user and item its values."""
    check_rows("side_matrix", side.matrix, side.users.size + side.context.size, "values of users and context")
    check_rows("feature_matrix", side.item_matrix, side.items.size, "values of items")
    for name, matrix in (("side_matrix", side.matrix), ("feature_matrix", side.item_matrix)):
        if matrix.shape[1] != dimension:
            raise ArtefactError(f"{name}.npy has {matrix.shape[1]} columns, item_matrix.npy {dimension}")
    _check_bags("user", side.user_bags, users, side.users)
    _check_bags("item", side.item_bags, items, side.items)


def _check_bags(kind: str, bags: Bags, rows: int, vocabulary: Vocabulary) -> None:
    check_offsets(f"{kind}_feature_offsets", bags.offsets, rows, f"{kind}s", len(bags.codes))
    check_rows(f"{kind}_feature_weights", bags.weights, len(bags.codes), "values")
    check_codes(f"{kind}_feature_codes", bags.codes, vocabulary.size, f"values of {kind}s")


def check_offsets(name: str, offsets: NDArray[np.int64], rows: int, of: str, values: int) -> None:
    """Raise ArtefactError unless `name`.npy gives each row its part of the values."""
    check_rows(name, offsets[1:], rows, of)
    if offsets[0] != 0 or offsets[-1] != values or (np.diff(offsets) < 0).any():
        raise ArtefactError(f"{name}.npy does not rise from 0 to {values}")
