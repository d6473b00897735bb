"""The HRNN family: aws-user-personalization, aws-personalized-ranking and the aws-hrnn recipes share this model.

They differ in what they read (the catalogue's `metadata` and `context`), in which items they take for new
(cold_items.py) and in their reader. Between the recipe contract and the model of gru.py: which users train, how
long, and what is written for serving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from pipelines.recipes.cold_items import ColdStart, log_rates, log_shares
from pipelines.recipes.contract import FitSettings, Fitted, Queries
from pipelines.recipes.onnx_gru import gru_encoder
from pipelines.recipes.sequence_model import SequenceModel, context_starts, finished, updated
from pipelines.recipes.training_data import TrainingData
from pipelines.serving.ordering import softmax, top
from pipelines.serving.parts import HISTORY_LENGTH, Encoding, Side
from pipelines.serving.writing import write_artefact

if TYPE_CHECKING:
    from pipelines.recipes.fitting import FitOptions, Lessons
    from pipelines.recipes.gru import HrnnModel

MIN_EPOCHS, MAX_EPOCHS, MIN_STEPS = 6, 30, 400
"""A fit plans enough epochs for MIN_STEPS steps, within these bounds: small data needs more rounds to learn anything."""
PATIENCE = 3
"""Epochs without a better validation NDCG after which a fit stops."""
VALIDATION_SHARE, VALIDATION_USERS = 0.05, 60
"""Users who choose the epoch: that share, but so many if there are, at most a tenth; of 30 chance chooses."""
VALIDATION_SEED = 1


@dataclass(frozen=True)
class SequenceConfig:
    """Hyperparameters of spec/recipes.md sections 4 and 9, and how the fit runs."""

    hidden_dimension: int = 149
    bptt: int = 32
    recency_mask: bool = True
    min_user_history_length_percentile: float = 0.0
    max_user_history_length_percentile: float = 0.99
    cold_start_max_interactions: int | None = None
    """This and the next two: of aws-hrnn-coldstart only."""
    cold_start_max_duration: float | None = None
    cold_start_relative_from: str | None = None
    seed: int = 0
    threads: int = 2

    @property
    def cold_start(self) -> ColdStart | None:
        """Which items are cold by definition; None for recipes that know no such."""
        if self.cold_start_max_interactions is None:
            return None
        assert self.cold_start_max_duration is not None
        assert self.cold_start_relative_from is not None
        return ColdStart(self.cold_start_max_interactions, self.cold_start_max_duration, self.cold_start_relative_from)


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
        cold_start = self.config.cold_start
        if cold_start is not None:
            cold_start.check(cold_start.cold(data))

        from pipelines.recipes import fitting

        if epochs is not None:
            lessons = self._lessons(data)
            model = fitting.fit(lessons, self._options(lessons), epochs, lambda *_: True)
            return Fitted(finished(model, data, lessons.codes, self._rates(data)), epochs)
        # Validation users train nothing: of a user it has seen, a model remembers the items, and the epoch with the
        # best memory is not the best for new users.
        share = min(0.1, max(VALIDATION_SHARE, VALIDATION_USERS / max(1, data.sequences.users)))
        validation = split(data.sequences, share=share, seed=VALIDATION_SEED)
        training = data.of_users(validation.train_users, validation.train)
        lessons, rates = self._lessons(training), self._rates(training)
        search = _BestEpoch(data, validation, lambda model: finished(model, training, lessons.codes, rates))
        options = self._options(lessons)
        fitting.fit(lessons, options, options.planned_epochs, search)
        return Fitted(search.model, search.best_epoch, search.curve)

    def update(self, model: SequenceModel, old: TrainingData, new: TrainingData) -> SequenceModel:
        """The same weights for `new`'s catalogue, see sequence_model.updated."""
        return updated(model, old, new, self._rates(new))

    def load(self, directory: Path) -> SequenceModel:
        return SequenceModel.load(directory)

    def export(self, model: SequenceModel, data: TrainingData, directory: Path, described: Mapping[str, Any]) -> None:
        ages = batches.buckets(np.arange(1, HISTORY_LENGTH + 1))
        config = {name: value for name, value in asdict(self.config).items() if value is not None}
        write_artefact(
            directory,
            recipe=self.recipe.name,
            recipe_type=self.recipe.recipe_type,
            scores=self.recipe.scores,
            explores=self.recipe.explores,
            catalogue=data.catalogue(model.popularity),
            answers=Encoding(
                model.item_matrix,
                gru_encoder(model.history),
                HISTORY_LENGTH,
                model.history["repeat"][ages],
                side=_side(model, data),
            ),
            described={**described, "hyperparameters": config},
        )

    def _options(self, lessons: Lessons) -> FitOptions:
        from pipelines.recipes.fitting import USERS_PER_BATCH, FitOptions

        config = self.config
        steps = max(1, batches.chunk_count(lessons.sequences, USERS_PER_BATCH, config.bptt))
        planned = min(MAX_EPOCHS, max(MIN_EPOCHS, MIN_STEPS // steps))
        return FitOptions(config.hidden_dimension, config.bptt, config.seed, config.threads, planned)

    def _lessons(self, data: TrainingData) -> Lessons:
        """What trains: users within the percentiles, and the items that they have events with.

        Items that nobody has events with stay outside: as wrong answers at every step they would learn, and teach
        their metadata, that nobody wants what nobody was offered.
        """
        from pipelines.recipes.fitting import Lessons

        users = self._trainable(data.sequences)
        sequences = data.sequences.of_users(users)
        codes = np.unique(sequences.items).astype(np.int64)
        places = np.zeros(data.items, np.int32)
        places[codes] = np.arange(len(codes))
        cold_start = self.config.cold_start
        return Lessons(
            replace(sequences, items=places[sequences.items]),
            codes,
            batches.recency_weights(sequences.times, self.config.recency_mask),
            log_shares(self._rates(data)[codes]),
            data.item_features.bags.of(codes),
            data.item_features.vocabulary.size,
            np.zeros(len(codes), np.bool_) if cold_start is None else cold_start.cold(data)[codes],
            data.user_features.bags.of(users),
            data.user_features.vocabulary.size + data.context.size,
            context_starts(data),
        )

    def _trainable(self, sequences: Sequences) -> NDArray[np.int64]:
        """Users whose history length lies within the percentiles; all, if that would leave nobody."""
        counts = np.diff(sequences.offsets)
        config = self.config
        bounds = [config.min_user_history_length_percentile, config.max_user_history_length_percentile]
        low, high = np.quantile(counts[counts > 0], bounds) if counts.any() else (0, 0)
        inside = np.flatnonzero((counts >= low) & (counts <= high) & (counts >= 2))
        return inside if len(inside) else np.arange(sequences.users)

    def _rates(self, data: TrainingData) -> NDArray[np.float32]:
        cold_start = self.config.cold_start
        weights = batches.recency_weights(data.sequences.times, self.config.recency_mask)
        return log_rates(data, weights, None if cold_start is None else cold_start.cold(data))


def _side(model: SequenceModel, data: TrainingData) -> Side | None:
    """What metadata and context add; None where neither is known of anything."""
    if not len(model.side_matrix) and not len(model.feature_matrix):
        return None
    return Side(
        data.user_features.vocabulary,
        data.context,
        model.side_matrix,
        data.user_features.bags,
        data.item_features.vocabulary,
        model.feature_matrix,
        data.item_features.bags,
    )


class _BestEpoch:
    """Called after each epoch: keeps the model of the epoch with the highest NDCG@25 of the validation users."""

    def __init__(self, data: TrainingData, validation: Holdout, finish: Callable[[HrnnModel], SequenceModel]) -> None:
        self.curve: list[dict[str, float]] = []
        self.best_epoch = 0
        bags = data.user_features.bags.of(validation.test_users)
        self._queries = Queries(validation.given, bags, validation.context)
        self._relevant = validation.relevant
        self._finish = finish
        self._best = (-1.0, -np.inf)
        self.model: SequenceModel

    def __call__(self, epoch: int, train_loss: float, trained: HrnnModel) -> bool:
        model = self._finish(trained)
        loss, ndcg = _validate(model, self._queries, self._relevant)
        # Equal NDCG (a coarse number on tiny data): the lower loss. Without validation users: the training loss.
        judged = (ndcg, -train_loss if np.isnan(loss) else -loss)
        row = {"epoch": epoch, "train_loss": train_loss, "validation_loss": -judged[1], "validation_ndcg_at_25": ndcg}
        self.curve.append({key: round(value, 6) for key, value in row.items()})
        if judged > self._best:
            self._best, self.best_epoch, self.model = judged, epoch, model
        return epoch - self.best_epoch < PATIENCE


def _validate(model: SequenceModel, queries: Queries, relevant: Sequence[NDArray[np.int32]]) -> tuple[float, float]:
    """Mean negative log probability of what the validation users did next, and NDCG@25."""
    items = len(model.popularity)
    losses, ranked = [], np.zeros((len(relevant), min(LIST_LENGTH, items)), np.int64)
    for user, (logits, taken) in enumerate(zip(model.answer(queries), relevant, strict=True)):
        probabilities = softmax(logits)
        losses.append(-np.log(probabilities[taken]).mean())
        ranked[user] = top(logits, LIST_LENGTH)
    ndcg = offline_metrics(ranked, relevant, items)["normalized_discounted_cumulative_gain_at_25"]
    return (float(np.mean(losses)) if losses else float("nan")), ndcg
