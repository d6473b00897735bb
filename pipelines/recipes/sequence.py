"""The HRNN family: aws-user-personalization and aws-personalized-ranking share this model and differ in their reader.

Between the recipe contract and the GRU of gru.py: which users train, how long, and what is written for serving.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.sequences import Sequences
from pipelines.evaluation.baselines import BASELINES
from pipelines.evaluation.holdout import Holdout, split
from pipelines.evaluation.metrics import LIST_LENGTH, offline_metrics
from pipelines.recipes import batches
from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.contract import Evaluation, FitSettings
from pipelines.recipes.onnx_gru import gru_encoder
from pipelines.recipes.preparing import TrainingData
from pipelines.serving.writing import Histories, write_artefact

if TYPE_CHECKING:
    from pipelines.recipes.gru import FitOptions, GruModel

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


class SequenceRecipe:
    """The recipe contract (contract.py) for the HRNN family."""

    def __init__(self, recipe: Recipe, config: SequenceConfig) -> None:
        self.recipe = recipe
        self.config = config

    @classmethod
    def configure(cls, recipe: Recipe, settings: FitSettings) -> SequenceRecipe:
        values: dict[str, Any] = {**settings.algorithm, **settings.featurization}
        return cls(recipe, SequenceConfig(**values, seed=settings.seed, threads=settings.threads))

    def evaluate(self, data: TrainingData) -> Evaluation:
        """Metrics on the test users; the epoch is chosen on some of the training users, never on them."""
        from pipelines.recipes import gru

        holdout = split(data.sequences)
        validation = split(holdout.train, share=VALIDATION_SHARE, seed=VALIDATION_SEED)
        # Validation users train nothing, as test users do: of a user it has seen, a model remembers the items, and
        # the epoch with the best memory is not the best for new users.
        training = self._trainable(validation.train)
        search = _BestEpoch(validation, data.items)
        options = self._options(training)
        gru.fit(training, data.items, options, options.planned_epochs, search)
        model = search.best(data.items, options.hidden_dimension)
        ranked = _ranked(model, holdout, data.items)
        return Evaluation(
            offline_metrics(ranked, holdout.relevant, data.catalogue_size),
            {
                name: offline_metrics(
                    baseline(holdout.train, holdout.given, data.items), holdout.relevant, data.catalogue_size
                )
                for name, baseline in BASELINES.items()
            },
            search.best_epoch,
            holdout.given.users,
            search.curve,
        )

    def fit(self, data: TrainingData, epochs: int) -> SequenceModel:
        """Train on everybody for `epochs`."""
        from pipelines.recipes import gru

        training = self._trainable(data.sequences)
        model = gru.fit(training, data.items, self._options(training), epochs, lambda *_: True)
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
        sequences, weights = data.sequences, model.weights
        ages = batches.buckets(np.arange(1, batches.HISTORY_LENGTH + 1))
        write_artefact(
            directory,
            recipe=self.recipe.name,
            recipe_type=self.recipe.recipe_type,
            item_ids=data.item_ids,
            user_ids=data.user_ids,
            histories=Histories(sequences.offsets, sequences.items, sequences.times),
            item_matrix=np.concatenate([weights["embedding.weight"], weights["bias"][:, None]], axis=1),
            popularity=model.popularity,
            repeat=weights["repeat"][ages],
            encoder=gru_encoder(weights),
            history_length=batches.HISTORY_LENGTH,
            encoder_length=batches.HISTORY_LENGTH,
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
        self._weights: dict[str, Any] = {}

    def __call__(self, epoch: int, train_loss: float, model: GruModel) -> bool:
        loss, ndcg = _validate(model, self._validation, self._items)
        # Equal NDCG (a coarse number on tiny data): the lower loss. Without validation users: the training loss.
        judged = (ndcg, -train_loss if np.isnan(loss) else -loss)
        row = {"epoch": epoch, "train_loss": train_loss, "validation_loss": -judged[1], "validation_ndcg_at_25": ndcg}
        self.curve.append({key: round(value, 6) for key, value in row.items()})
        if judged > self._best:
            self._best, self.best_epoch = judged, epoch
            self._weights = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        return epoch - self.best_epoch < PATIENCE

    def best(self, items: int, dimension: int) -> GruModel:
        from pipelines.recipes.gru import GruModel

        model = GruModel(items, dimension)
        model.load_state_dict(self._weights)
        return model


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


def _ranked(model: GruModel, holdout: Holdout, items: int) -> NDArray[np.int64]:
    """(test users, 25) the model's answers, best first; equal logits in the order of the catalogue, as served."""
    ranked = np.zeros((holdout.given.users, min(LIST_LENGTH, items)), np.int64)
    for user, logits in enumerate(model.answer(holdout.given)):
        ranked[user] = np.argsort(-logits.numpy(), kind="stable")[: ranked.shape[1]]
    return ranked
