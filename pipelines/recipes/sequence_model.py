"""A trained model of the HRNN family as arrays: how it answers, is kept, and is made ready for new data."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.recipes.cold_items import log_shares
from pipelines.recipes.contract import Queries
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.vocabulary import Column, Vocabulary

if TYPE_CHECKING:
    from pipelines.recipes.gru import HrnnModel

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SequenceModel:
    """What answers take; all biases and `popularity` in logits."""

    item_matrix: Floats
    """(items, d + 1) w_i with its metadata in it, the bias last."""
    feature_matrix: Floats
    """(values of items, d + 1) what each value adds to the item_matrix row of an item that has it."""
    side_matrix: Floats
    """(values of users, then of context; d + 1) what each adds to a user's vector; the last column is 0."""
    context_starts: NDArray[np.int64]
    """(context columns,) the row of side_matrix at which each begins."""
    popularity: Floats
    """(items,) logits of a user of whom nothing is known."""
    average: Floats
    """(1,) the bias of an item without events that was created this moment, before its metadata speaks."""
    history: Mapping[str, Floats]
    """Weights of gru.HistoryEncoder by torch's names."""

    def answer(self, queries: Queries) -> Iterator[Floats]:
        """(items,) logits a query."""
        import torch

        from pipelines.recipes.gru import Answering, HistoryEncoder, SideVectors

        history = HistoryEncoder(self.item_matrix.shape[1] - 1)
        history.load_state_dict({name: torch.from_numpy(array) for name, array in self.history.items()})
        side = SideVectors(torch.from_numpy(self.side_matrix[:, :-1].copy()), torch.from_numpy(self.context_starts))
        answering = Answering(history, side, torch.from_numpy(self.item_matrix), torch.from_numpy(self.popularity))
        for logits in answering.answers(queries):
            yield logits.numpy()

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        for name, array in {**self._arrays(), **self.history}.items():
            np.save(directory / f"{name}.npy", array)
        names = {"arrays": sorted(self._arrays()), "history": sorted(self.history)}
        (directory / "model.json").write_text(json.dumps(names, indent=1) + "\n")

    @classmethod
    def load(cls, directory: Path) -> SequenceModel:
        """What `save` wrote."""
        names = json.loads((directory / "model.json").read_text())
        arrays, history = ({n: np.load(directory / f"{n}.npy") for n in names[kind]} for kind in ("arrays", "history"))
        return cls(**arrays, history=history)

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "history"}


def finished(model: HrnnModel, data: TrainingData, trained: NDArray[np.int64], rates: Floats) -> SequenceModel:
    """A model whose items are `trained` (codes, ascending) for the whole catalogue; `rates`: cold_items.log_rates."""
    import torch

    def array(tensor: torch.Tensor) -> NDArray[Any]:
        return np.array(tensor.detach().cpu())

    model.eval()
    average, features = array(model.items.average).reshape(1), array(model.items.values)
    matrix = _without_own_part(features, average, rates, data)
    matrix[trained] = array(model.items())
    return SequenceModel(
        matrix,
        features,
        np.pad(array(model.side.matrix), ((0, 0), (0, 1))),
        array(model.side.starts),
        log_shares(rates),
        average,
        {name: array(tensor) for name, tensor in model.history.state_dict().items()},
    )


def updated(model: SequenceModel, old: TrainingData, new: TrainingData, rates: Floats) -> SequenceModel:
    """The same model for the catalogue and values of `new`, without training.

    An item that `old` has keeps its vector, also if its metadata changed. One that it lacks enters by its metadata,
    and a bias by its `rates` (of `new`, cold_items.log_rates). Values that `old` lacks add nothing.
    """
    features = _rows(model.feature_matrix, old.item_features.vocabulary, new.item_features.vocabulary)
    matrix = _without_own_part(features, model.average, rates, new)
    codes = {identifier: code for code, identifier in enumerate(old.item_ids)}
    source = np.array([codes.get(identifier, -1) for identifier in new.item_ids], np.int64)
    matrix[source >= 0] = model.item_matrix[source[source >= 0]]
    of_users, of_context = np.split(model.side_matrix, [old.user_features.vocabulary.size])
    side = [
        _rows(of_users, old.user_features.vocabulary, new.user_features.vocabulary),
        _rows(of_context, old.context, new.context),
    ]
    return replace(
        model,
        item_matrix=matrix,
        feature_matrix=features,
        side_matrix=np.concatenate(side),
        context_starts=context_starts(new),
        popularity=log_shares(rates),
    )


def context_starts(data: TrainingData) -> NDArray[np.int64]:
    """(columns,) where each context column's values begin among the values of users, then of context."""
    return np.array(data.context.starts, np.int64) + data.user_features.vocabulary.size


def _without_own_part(features: Floats, average: Floats, rates: Floats, data: TrainingData) -> Floats:
    """(items, d + 1) what every item of `data` would be if it had no events."""
    matrix = data.item_features.bags.sums(features)
    matrix[:, -1] += average + rates
    return matrix


def _rows(matrix: Floats, old: Vocabulary, new: Vocabulary) -> Floats:
    """The rows of `matrix` for the values of `new`: a value's own, a number's by where its tenth begins, else zeros."""
    known = {column.name: (column, start) for column, start in zip(old.columns, old.starts, strict=True)}
    found = np.zeros((new.size, matrix.shape[1]), np.float32)
    for column, start in zip(new.columns, new.starts, strict=True):
        before, at = known.get(column.name, (None, 0))
        if before is not None and before.kind == column.kind:
            for code, source in enumerate(_sources(column, before)):
                if source is not None:
                    found[start + code] = matrix[at + source]
    return found


def _sources(column: Column, before: Column) -> list[int | None]:
    if column.kind == "number":
        return [bisect_right(before.edges, edge) for edge in (-np.inf, *column.edges)]
    return [before.codes.get(value) for value in column.values]
