"""Every recipe that clients can name, by ARN, with what it is told and what it answers (spec/recipes.md 1, 9, 11).

Read by ListRecipes, DescribeRecipe, DescribeAlgorithm and CreateSolution's checks, so nothing heavy is imported
here: a recipe's code is named by `family` and loaded only where it trains (`pipelines.recipes.contract.load`).
A recipe that is listed without a family cannot be trained yet. Recipes of other packages join by installed.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pipelines.recipes.hyperparameters import Hyperparameter, Value, parse_all

USER_PERSONALIZATION = "USER_PERSONALIZATION"
PERSONALIZED_RANKING = "PERSONALIZED_RANKING"
RELATED_ITEMS = "RELATED_ITEMS"
POPULAR_ITEMS = "POPULAR_ITEMS"
USER_SEGMENTATION = "USER_SEGMENTATION"
PERSONALIZED_ACTIONS = "PERSONALIZED_ACTIONS"

VIDEO_ON_DEMAND = "VIDEO_ON_DEMAND"
ECOMMERCE = "ECOMMERCE"

SEQUENCE_FAMILY = "pipelines.recipes.sequence:SequenceRecipe"


@dataclass(frozen=True)
class Recipe:
    """One recipe as DescribeRecipe shows it, and how it is trained."""

    name: str
    recipe_type: str
    description: str
    hyperparameters: tuple[Hyperparameter, ...] = ()
    feature_transformation: str = "JSON-percentile-filtering"
    algorithm: str = ""
    """Name of the algorithm; empty: the recipe's own name."""
    domain: str | None = None
    """VIDEO_ON_DEMAND or ECOMMERCE for domain use cases, None for custom recipes."""
    family: str | None = None
    """`module:Class` of the code that fits it (pipelines/recipes/contract.py); None: cannot be trained yet."""
    metadata: bool = False
    """Whether it learns from columns of the Items and Users datasets, and knows their items and users without events."""
    context: bool = False
    """Whether it learns from the contextual columns of Interactions and reads `context` of requests."""
    scores: bool = False
    """Whether its answers carry scores (spec/recipes.md section 2)."""
    explores: bool = False
    """Whether campaigns or recommenders explore new items with it (spec/training.md section 8)."""

    @property
    def arn(self) -> str:
        return f"arn:aws:personalize:::recipe/{self.name}"

    @property
    def algorithm_arn(self) -> str:
        return f"arn:aws:personalize:::algorithm/{self.algorithm or self.name}"

    @property
    def feature_transformation_arn(self) -> str:
        return f"arn:aws:personalize:::feature-transformation/{self.feature_transformation}"

    @property
    def trainable(self) -> bool:
        return self.family is not None

    def algorithm_values(self, given: Mapping[str, str]) -> dict[str, Value]:
        """`algorithmHyperParameters` with defaults filled in; raises HyperparameterError."""
        return parse_all(self.hyperparameters, given, "algorithm")

    def featurization_values(self, given: Mapping[str, str]) -> dict[str, Value]:
        """`featureTransformationParameters` with defaults filled in; raises HyperparameterError."""
        return parse_all(self.hyperparameters, given, "featurization")


def _percentile(name: str, default: float) -> Hyperparameter:
    return Hyperparameter(name, "continuous", default, 0.0, 1.0, group="featurization")


def _history_percentiles(low: float = 0.0, high: float = 0.99) -> tuple[Hyperparameter, ...]:
    return (
        _percentile("min_user_history_length_percentile", low),
        _percentile("max_user_history_length_percentile", high),
    )


def _hidden_dimension(default: int, tunable: bool = True) -> Hyperparameter:
    return Hyperparameter("hidden_dimension", "integer", default, 32, 256, tunable=tunable)


def _sequence(hidden_dimension: int) -> tuple[Hyperparameter, ...]:
    return (
        _hidden_dimension(hidden_dimension),
        Hyperparameter("bptt", "integer", 32, 2, 32, tunable=True),
        Hyperparameter("recency_mask", "boolean", True, tunable=True),
        *_history_percentiles(),
    )


_RECENCY_BIAS = Hyperparameter("apply_recency_bias", "boolean", True)

_SIMS = (
    Hyperparameter("popularity_discount_factor", "continuous", 0.5, 0.0, 1.0, tunable=True),
    Hyperparameter("min_cointeraction_count", "integer", 3, 0, 10, tunable=True),
    *_history_percentiles(0.005, 0.995),
    _percentile("min_item_interaction_count_percentile", 0.01),
    _percentile("max_item_interaction_count_percentile", 0.9),
)

_SIMILAR_ITEMS = (
    Hyperparameter("item_id_hidden_dim", "integer", 100, 30, 200, tunable=True),
    Hyperparameter("item_metadata_hidden_dim", "integer", 100, 30, 200, tunable=True),
)

_COLD_START = (
    Hyperparameter("cold_start_max_interactions", "integer", 15, 1, group="featurization"),
    Hyperparameter("cold_start_max_duration", "continuous", 5.0, 1e-9, group="featurization"),
    Hyperparameter(
        "cold_start_relative_from",
        "categorical",
        "latestItem",
        values=("latestItem", "currentTime"),
        group="featurization",
    ),
)

_TREND_FREQUENCY = Hyperparameter(
    "trend_discovery_frequency",
    "categorical",
    "3 hours",
    values=("30 minutes", "1 hour", "3 hours", "1 day", "30 min", "1 h", "3 h", "1 d"),
    group="featurization",
)

_ACTION_PERIOD = Hyperparameter("action_optimization_period", "integer", 14, 1, 365, group="featurization")

_CUSTOM = (
    Recipe(
        "aws-user-personalization",
        USER_PERSONALIZATION,
        "Predicts a user's next items from the sequence of their interactions, and explores new items.",
        _sequence(149),
        family=SEQUENCE_FAMILY,
        metadata=True,
        context=True,
        scores=True,
        explores=True,
    ),
    Recipe(
        "aws-user-personalization-v2",
        USER_PERSONALIZATION,
        "Predicts the items a user will interact with next with a transformer over their interactions.",
        (_RECENCY_BIAS,),
    ),
    Recipe(
        "aws-personalized-ranking",
        PERSONALIZED_RANKING,
        "Orders a given list of items by the interest a user is predicted to have in them.",
        _sequence(149),
        family=SEQUENCE_FAMILY,
        metadata=True,
        context=True,
        scores=True,
    ),
    Recipe(
        "aws-personalized-ranking-v2",
        PERSONALIZED_RANKING,
        "Orders a given list of items by predicted interest with a transformer over the user's interactions.",
        (_RECENCY_BIAS,),
    ),
    Recipe(
        "aws-similar-items",
        RELATED_ITEMS,
        "Finds items that are alike in who interacts with them and in their metadata.",
        _SIMILAR_ITEMS,
    ),
    Recipe(
        "aws-sims",
        RELATED_ITEMS,
        "Finds items that the same users interact with (item-to-item collaborative filtering).",
        _SIMS,
        "sims",
        family="pipelines.recipes.sims:SimsRecipe",
    ),
    Recipe(
        "aws-semantic-similarity",
        RELATED_ITEMS,
        "Finds items whose title and text mean something close to a given item's.",
    ),
    Recipe(
        "aws-popularity-count",
        USER_PERSONALIZATION,
        "Orders items by the number of users who interacted with them; the same list for everybody.",
        (),
        "sims",
        family="pipelines.recipes.popularity:PopularityRecipe",
    ),
    Recipe(
        "aws-trending-now",
        POPULAR_ITEMS,
        "Orders items by how fast the number of their interactions rises.",
        (_TREND_FREQUENCY,),
        "trending-now",
        algorithm="aws-trending-now-custom",
    ),
    Recipe(
        "aws-item-affinity",
        USER_SEGMENTATION,
        "Makes a segment of users for each given item by how likely they are to interact with it.",
        (_hidden_dimension(149, tunable=False),),
        "item-affinity",
    ),
    Recipe(
        "aws-item-attribute-affinity",
        USER_SEGMENTATION,
        "Makes a segment of users for each given item attribute by how likely they are to interact with such items.",
        (_hidden_dimension(149, tunable=False),),
        "item-attribute-affinity",
    ),
    Recipe(
        "aws-next-best-action",
        PERSONALIZED_ACTIONS,
        "Predicts the actions a user is most likely to take within a period.",
        (_ACTION_PERIOD,),
        "next-best-action",
    ),
    Recipe(
        "aws-hrnn",
        USER_PERSONALIZATION,
        "Predicts a user's next items from the sequence of their interactions (legacy).",
        _sequence(43),
        family=SEQUENCE_FAMILY,
        scores=True,
    ),
    Recipe(
        "aws-hrnn-metadata",
        USER_PERSONALIZATION,
        "Predicts a user's next items from their interactions, with item, user and context metadata (legacy).",
        _sequence(43),
        "featurize_metadata",
        family=SEQUENCE_FAMILY,
        metadata=True,
        context=True,
        scores=True,
    ),
    Recipe(
        "aws-hrnn-coldstart",
        USER_PERSONALIZATION,
        "Predicts a user's next items, among them items that are new (legacy).",
        (*_sequence(149), *_COLD_START),
        "featurize_coldstart",
        family=SEQUENCE_FAMILY,
        metadata=True,
        context=True,
        scores=True,
    ),
)


def _use_case(name: str, recipe_type: str, description: str, explores: bool = False) -> Recipe:
    domain = VIDEO_ON_DEMAND if name.startswith("vod-") else ECOMMERCE
    return Recipe(f"aws-{name}", recipe_type, description, domain=domain, explores=explores)


_USE_CASES = (
    _use_case("vod-because-you-watched-x", RELATED_ITEMS, "Videos that others watched who watched a given video."),
    _use_case("vod-more-like-x", RELATED_ITEMS, "Videos that are similar to a given video."),
    _use_case("vod-most-popular", USER_PERSONALIZATION, "Videos that most users watched."),
    _use_case("vod-trending-now", USER_PERSONALIZATION, "Videos whose popularity rises fastest."),
    _use_case("vod-top-picks", USER_PERSONALIZATION, "Videos picked for one user.", explores=True),
    _use_case("ecomm-popular-items-by-views", USER_PERSONALIZATION, "Items that most users viewed."),
    _use_case("ecomm-popular-items-by-purchases", USER_PERSONALIZATION, "Items that most users purchased."),
    _use_case("ecomm-frequently-bought-together", RELATED_ITEMS, "Items that are often bought with a given item."),
    _use_case(
        "ecomm-customers-who-viewed-x-also-viewed", RELATED_ITEMS, "Items that others viewed who viewed a given item."
    ),
    _use_case("ecomm-recommended-for-you", USER_PERSONALIZATION, "Items picked for one user.", explores=True),
)


@cache
def recipes() -> Mapping[str, Recipe]:
    """Every recipe by ARN, in the order ListRecipes answers: by name. Those of other packages are looked for once."""
    from pipelines.recipes.installed import installed

    found = (*_CUSTOM, *_USE_CASES, *(own.recipe for own in installed()))
    return {recipe.arn: recipe for recipe in sorted(found, key=lambda recipe: recipe.name)}


def recipe_by_arn(arn: str) -> Recipe | None:
    """The recipe of that ARN, or None."""
    return recipes().get(arn)


def recipe_by_name(name: str) -> Recipe | None:
    """The recipe of that name (`aws-user-personalization`), or None."""
    return recipes().get(f"arn:aws:personalize:::recipe/{name}")
