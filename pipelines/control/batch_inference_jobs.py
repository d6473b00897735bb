"""Batch inference jobs: recommendations for every line of a file; DAG `batch_inference` does the work."""

from __future__ import annotations

from pipelines.aws.errors import InvalidInput
from pipelines.aws.unavailable import refuse_unavailable
from pipelines.control import views
from pipelines.control.batch_jobs import check_asked, create_job, filter_of, version_of
from pipelines.control.by_hand import ROLE, in_run
from pipelines.control.context import Context, Given
from pipelines.control.creation import members
from pipelines.control.exploration import check_exploration
from pipelines.recipes.catalogue import PERSONALIZED_RANKING, RELATED_ITEMS, USER_PERSONALIZATION, Recipe
from pipelines.registry import wishes
from pipelines.registry.store import Resource
from pipelines.serving.calls import MOST_RESULTS

DAG_ID = "batch_inference"
BATCH_INFERENCE, THEMES, THEMES_RECIPE = "BATCH_INFERENCE", "THEME_GENERATION", "aws-similar-items"
OTHERS = "Trending-Now and Next-Best-Action have no batch jobs; CreateBatchSegmentJob is for USER_SEGMENTATION."

describe = views.describing("BatchInferenceJob")
list_all = views.listing("BatchInferenceJob", "batchInferenceJobs", within="SolutionVersion")


def create_batch_inference_job(context: Context, given: Given) -> Given:
    """Raises InvalidInput, ResourceNotFound, ResourceInUse unless version and filter are ACTIVE."""
    job = _create(context, given)
    wishes.wish(context.conn, job, DAG_ID)
    return {"batchInferenceJobArn": job.arn}


def _create(context: Context, given: Given) -> Resource:
    version, recipe = version_of(context, given)
    check(given, recipe)
    filter_of(context, given, version, "ITEMID")
    mode = given.get("batchInferenceJobMode", BATCH_INFERENCE)
    config = members(given, "batchInferenceJobConfig")
    return create_job(context, "BatchInferenceJob", given, version, batchInferenceJobMode=mode, **config)


def check(given: Given, recipe: Recipe) -> None:
    """Raise InvalidInput for what versions of the recipe cannot be asked for."""
    check_asked(given, recipe, (USER_PERSONALIZATION, PERSONALIZED_RANKING, RELATED_ITEMS), OTHERS, MOST_RESULTS)
    _check_mode(given.get("batchInferenceJobMode", BATCH_INFERENCE), "themeGenerationConfig" in given, recipe)
    config = given.get("batchInferenceJobConfig", {})
    check_exploration("batchInferenceJobConfig", config)
    refuse_unavailable("batchInferenceJobConfig.", rankingInfluence=config.get("rankingInfluence"))


create_in_run = in_run("CreateBatchInferenceJob", _create, DAG_ID, roleArn=ROLE)


def _check_mode(mode: str, has_config: bool, recipe: Recipe) -> None:
    if mode == THEMES and recipe.name != THEMES_RECIPE:
        raise InvalidInput(f"batchInferenceJobMode: {THEMES} is for {THEMES_RECIPE} only, not for {recipe.name}.")
    if has_config and mode != THEMES:
        raise InvalidInput(f"themeGenerationConfig: needs batchInferenceJobMode {THEMES}.")
    refuse_unavailable("batchInferenceJobMode ", THEME_GENERATION=mode == THEMES)
