"""The HRNN family: aws-user-personalization and aws-personalized-ranking share this model and differ in their reader.

Between the recipe contract and the GRU of gru.py: which users train, how long, and what is written for serving.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.holdout import Holdout, split
from pipelines.evaluation.metrics import LIST_LENGTH, offline_metrics
from pipelines.recipes import batches
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.contract import FitSettings, Fitted, Queries
from pipelines.recipes.onnx_gru import gru_encoder
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.parts import HISTORY_LENGTH, Encoding
from pipelines.serving.writing import write_artefact

if TYPE_CHECKING:
    from pipelines.recipes.gru import AfterEpoch, FitOptions, GruModel

MIN_EPOCHS, MAX_EPOCHS, MIN_STEPS = 6, 30, 400
"""A fit plans enough epochs for MIN_STEPS steps, within these bounds: small data needs more rounds to learn anything."""
PATIENCE = 3
"""Epochs without a better validation NDCG after which a fit stops."""
VALIDATION_SHARE = 0.05
VALIDATION_SEED = 1


@dataclass(frozen=True)
class SequenceConfig:
    """Hyperparameters of spec/recipes.md section 4, and how the fit runs."""

    hidden_dimension: int = 149
    bptt: int = 32
    recency_mask: bool = True
    min_user_history_length_percentile: float = 0.0
    max_user_history_length_percentile: float = 0.99
    seed: int = 0
    threads: int = 2


@dataclass(frozen=True)
class SequenceModel:
    """Weights by torch's names, and the recency mask's popularity, as numpy arrays."""

    weights: Mapping[str, NDArray[np.float32]]
    popularity: NDArray[np.float32]
    """(items,) logits of a user of whom nothing is known."""

    def save(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        np.save(directory / "popularity.npy", self.popularity)
        for name, array in self.weights.items():
            np.save(directory / f"{name}.npy", array)
        (directory / "model.json").write_text(json.dumps({"weights": sorted(self.weights)}, indent=1) + "\n")

    def answer(self, queries: Queries) -> Iterator[NDArray[np.float32]]:
        import torch

        from pipelines.recipes.gru import GruModel

        model = GruModel(*self.weights["embedding.weight"].shape)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in self.weights.items()})
        for logits in model.answer(queries.given):
            yield logits.numpy()


class SequenceRecipe:
    """The recipe contract (contract.py) for the HRNN family."""

    def __init__(self, recipe: Recipe, config: SequenceConfig) -> None:
        self.recipe = recipe
        self.config = config

    @classmethod
    def configure(cls, recipe: Recipe, settings: FitSettings) -> SequenceRecipe:
        values: dict[str, Any] = {**settings.algorithm, **settings.featurization}
        return cls(recipe, SequenceConfig(**values, seed=settings.seed, threads=settings.threads))

    def fit(self, data: TrainingData, epochs: int | None = None) -> Fitted:
        """With `epochs` on everybody; without, the epoch is chosen on some of the users, who do not train."""
        if epochs is not None:
            training = self._trainable(data.sequences)
            return Fitted(self._fit(data, training, epochs, lambda *_: True), epochs)
        # Validation users train nothing: of a user it has seen, a model remembers the items, and the epoch with the
        # best memory is not the best for new users.
        validation = split(data.sequences, share=VALIDATION_SHARE, seed=VALIDATION_SEED)
        search = _BestEpoch(validation, data.items)
        training = self._trainable(validation.train)
        planned = self._options(training).planned_epochs
        model = self._fit(data, training, planned, search)
        weights = {name: tensor.numpy() for name, tensor in search.weights.items()}
        return Fitted(replace(model, weights=weights), search.best_epoch, search.curve)

    def _fit(self, data: TrainingData, training: Sequences, epochs: int, after: AfterEpoch) -> SequenceModel:
        from pipelines.recipes import gru

        model = gru.fit(training, data.items, self._options(training), epochs, after)
        weights = {name: tensor.detach().numpy().copy() for name, tensor in model.state_dict().items()}
        return SequenceModel(weights, self._popularity(data))

    def update(self, model: SequenceModel, old: TrainingData, new: TrainingData) -> SequenceModel:
        """The same weights for `new`'s catalogue: an item that `old` lacks enters by its popularity alone."""
        popularity = self._popularity(new)
        codes = {identifier: code for code, identifier in enumerate(old.item_ids)}
        source = np.array([codes.get(identifier, -1) for identifier in new.item_ids], np.int64)
        known = source >= 0
        weights = dict(model.weights)
        weights["embedding.weight"] = np.where(known[:, None], model.weights["embedding.weight"][source], np.float32(0))
        weights["bias"] = np.where(known, model.weights["bias"][source], popularity)
        return SequenceModel(weights, popularity)

    def load(self, directory: Path) -> SequenceModel:
        names = json.loads((directory / "model.json").read_text())["weights"]
        weights = {name: np.load(directory / f"{name}.npy") for name in names}
        return SequenceModel(weights, np.load(directory / "popularity.npy"))

    def export(self, model: SequenceModel, data: TrainingData, directory: Path, described: Mapping[str, Any]) -> None:
        weights = model.weights
        ages = batches.buckets(np.arange(1, HISTORY_LENGTH + 1))
        write_artefact(
            directory,
            recipe=self.recipe.name,
            recipe_type=self.recipe.recipe_type,
            scores=self.recipe.scores,
            explores=self.recipe.explores,
            catalogue=data.catalogue(model.popularity),
            answers=Encoding(
                np.concatenate([weights["embedding.weight"], weights["bias"][:, None]], axis=1),
                gru_encoder(weights),
                HISTORY_LENGTH,
                weights["repeat"][ages],
            ),
            described={**described, "hyperparameters": asdict(self.config)},
        )

    def _options(self, training: Sequences) -> FitOptions:
        from pipelines.recipes.gru import USERS_PER_BATCH, FitOptions

        config = self.config
        steps = max(1, batches.chunk_count(training, USERS_PER_BATCH, config.bptt))
        return FitOptions(
            config.hidden_dimension,
            config.bptt,
            config.recency_mask,
            config.seed,
            config.threads,
            min(MAX_EPOCHS, max(MIN_EPOCHS, MIN_STEPS // steps)),
        )

    def _trainable(self, sequences: Sequences) -> Sequences:
        """Users whose history length lies within the percentiles; all, if that would leave nobody."""
        counts = np.diff(sequences.offsets)
        config = self.config
        bounds = [config.min_user_history_length_percentile, config.max_user_history_length_percentile]
        low, high = np.quantile(counts, bounds) if len(counts) else (0, 0)
        inside = np.flatnonzero((counts >= low) & (counts <= high) & (counts >= 2))
        return sequences.of_users(inside) if len(inside) else sequences

    def _popularity(self, data: TrainingData) -> NDArray[np.float32]:
        from pipelines.recipes.gru import log_popularity

        weights = batches.recency_weights(data.sequences.times, self.config.recency_mask)
        return log_popularity(data.sequences.items, weights, data.items)


class _BestEpoch:
    """Called after each epoch: keeps the weights of the epoch with the highest NDCG@25 of the validation users."""

    def __init__(self, validation: Holdout, items: int) -> None:
        self.curve: list[dict[str, float]] = []
        self.best_epoch = 0
        self._validation = validation
        self._items = items
        self._best = (-1.0, -np.inf)
        self.weights: dict[str, Any] = {}

    def __call__(self, epoch: int, train_loss: float, model: GruModel) -> bool:
        loss, ndcg = _validate(model, self._validation, self._items)
        # Equal NDCG (a coarse number on tiny data): the lower loss. Without validation users: the training loss.
        judged = (ndcg, -train_loss if np.isnan(loss) else -loss)
        row = {"epoch": epoch, "train_loss": train_loss, "validation_loss": -judged[1], "validation_ndcg_at_25": ndcg}
        self.curve.append({key: round(value, 6) for key, value in row.items()})
        if judged > self._best:
            self._best, self.best_epoch = judged, epoch
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        return epoch - self.best_epoch < PATIENCE


def _validate(model: GruModel, validation: Holdout, items: int) -> tuple[float, float]:
    """Mean negative log probability of what the validation users did next, and NDCG@25."""
    losses, ranked = [], np.zeros((validation.given.users, min(LIST_LENGTH, items)), np.int64)
    answers = model.answer(validation.given)
    for user, (logits, relevant) in enumerate(zip(answers, validation.relevant, strict=True)):
        scores = logits.double().log_softmax(0).numpy()
        losses.append(-scores[relevant].mean())
        ranked[user] = np.argsort(-scores, kind="stable")[: ranked.shape[1]]
    ndcg = offline_metrics(ranked, validation.relevant, items)["normalized_discounted_cumulative_gain_at_25"]
    return (float(np.mean(losses)) if losses else float("nan")), ndcg
