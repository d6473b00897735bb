"""The stages of dvc.yaml: `python -m pipelines.stages prepare` reads params.yaml and data/, and writes new files.

One function a stage, run in the folder that holds dvc.yaml. Outputs are written beside their place and renamed, so a
killed stage leaves none behind; never in place, because what DVC has cached is a hard link into its cache.

What a person can act on (too little data, a hyperparameter out of range) ends a stage with exit code 2 and one line
`failureReason: ...` on standard error; anything else is a bug or the machine, with its stack trace.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.disk import replacing
from pipelines.evaluation.reports import write_csv, write_json
from pipelines.recipes.catalogue import Recipe, recipe_by_name
from pipelines.recipes.contract import CannotTrain, FitSettings, Model, RecipeCode
from pipelines.recipes.contract import load as load_recipe
from pipelines.recipes.hyperparameters import HyperparameterError

if TYPE_CHECKING:
    from pipelines.recipes.training_data import TrainingData

log = logging.getLogger(__name__)

REASON = "failureReason: "
INPUTS = Path("data/inputs")
IMPORTED = Path("data/imported")
VALIDATED = Path("data/validated")
PREPARED = Path("data/prepared")
REPORTS = Path("data/reports")
HPO = REPORTS / "hpo.json"
METRICS = REPORTS / "metrics.json"
UPDATE = REPORTS / "update.json"
LOSS = REPORTS / "loss.csv"
COMPARISON = REPORTS / "comparison.csv"
TEMPORAL = REPORTS / "temporal.csv"
RELIABILITY = REPORTS / "reliability.csv"
MODEL = Path("data/model")
ARTEFACT = Path("data/artefact")


class StageFailed(ValueError):
    """The data or the parameters are at fault; the message becomes the version's failureReason."""


def import_example(params: Mapping[str, Any]) -> None:
    """Root only: fetch the example data set and make the snapshots that an import would."""
    from pipelines.datasets import example, movielens
    from pipelines.settings import Settings

    wanted = params["dataset"]
    if wanted != {"uri": "movielens-100k", "digest": movielens.RATINGS_SHA256}:
        raise StageFailed(f"dataset {wanted} is unknown; params.yaml can name movielens-100k by its digest")
    given = os.environ.get("DATA")
    found = movielens.fetch(Settings.from_env().home / "data" / "movielens-100k", Path(given) if given else None)
    log.info("MovieLens-100K from %s", found.source)
    example.make_inputs(found.directory, INPUTS, IMPORTED)


def validate_example(_params: Mapping[str, Any]) -> None:
    """Root only: judge the import's profiles by the Great Expectations suites; a report a dataset."""
    from pipelines.datasets import example

    example.validate(IMPORTED, VALIDATED)


def prepare(params: Mapping[str, Any]) -> None:
    """Imported and streamed data -> sequences, with what is known of items, users and situations."""
    from pipelines.recipes.training_data import write_prepared

    data = _prepared(params)
    with replacing(PREPARED) as directory:
        write_prepared(data, directory)


def _prepared(params: Mapping[str, Any]) -> TrainingData:
    from pipelines.recipes import preparing
    from pipelines.recipes.inputs import read_inputs

    solution, recipe = params["solution"], _known_recipe(params)
    wanted = preparing.Wanted(
        preparing.EventFilter(solution["event_type"], solution["event_value_threshold"]),
        recipe.metadata,
        recipe.context,
        solution["columns"],
    )
    inputs = read_inputs(INPUTS)
    log.info(
        "%d different interactions, %d items, %d users described",
        *map(len, (inputs.interactions, inputs.items, inputs.users)),
    )
    try:
        data = preparing.prepare(inputs, wanted)
    except preparing.NotEnoughData as error:
        raise StageFailed(str(error)) from error
    log.info("%d interactions of %d users with %d items", len(data.sequences.items), len(data.user_ids), data.items)
    return data


def tune(params: Mapping[str, Any]) -> None:
    """Search the hyperparameters if the solution wants it; what is best there holds in the stages that follow."""
    found: Mapping[str, Any] = {"best": {}, "trials": []}
    if params["hpo"] is not None:
        from pipelines.recipes import tuning
        from pipelines.recipes.ranges import Search
        from pipelines.recipes.training_data import read_prepared

        recipe, started = _known_recipe(params), time.process_time()
        search = Search.from_params(recipe, params["hpo"])
        with _reasons():
            found = tuning.tune(recipe, _settings(recipe, params), search, read_prepared(PREPARED)).to_json()
        log.info("%d trials took %.1f CPU s; best: %s", search.trials, time.process_time() - started, found["best"])
    write_json(HPO, found)


def evaluate(params: Mapping[str, Any]) -> None:
    """Fit on the hold-out's training users, then on what came before a point in time; numbers, best epoch, warnings."""
    from pipelines.evaluation import plots, verdict
    from pipelines.recipes import measuring
    from pipelines.recipes.training_data import read_prepared

    recipe, code = _recipe(params)
    data, started = read_prepared(PREPARED), time.process_time()
    with _reasons():
        found = measuring.evaluate(code, data, scores=recipe.scores)
    log.info("evaluation fit took %.1f CPU s; best epoch %d", time.process_time() - started, found.best_epoch)
    started = time.process_time()
    temporal = measuring.evaluate_in_time(code, data, found.best_epoch, scores=recipe.scores)
    log.info("the split by time took %.1f CPU s", time.process_time() - started)
    report = {"recipe": recipe.name, "best_epoch": found.best_epoch, **asdict(found.measured), "temporal": temporal}
    warnings = verdict.warnings(report, measuring.rivals(recipe))
    for row in plots.comparison("model", report):
        log.info("NDCG@25 of %(model)s: %(ndcg_at_25).4f", row)
    for warned in warnings:
        log.warning("WARNING: %s", warned["text"])
    write_json(METRICS, {**report, "warnings": warnings})
    write_csv(LOSS, plots.LOSS, found.curve)
    write_csv(COMPARISON, plots.COMPARISON, plots.comparison(recipe.name, report))
    write_csv(TEMPORAL, plots.COMPARISON, plots.comparison(recipe.name, temporal))
    write_csv(RELIABILITY, plots.RELIABILITY, plots.reliability(report["calibration"]))


def train(params: Mapping[str, Any]) -> None:
    """Fit on everything for as many epochs as the evaluation found best."""
    from pipelines.recipes.training_data import read_prepared

    _, code = _recipe(params)
    epochs = json.loads(METRICS.read_text())["best_epoch"]
    started = time.process_time()
    with _reasons():
        model = code.fit(read_prepared(PREPARED), epochs).model
    log.info("fit on everything took %.1f CPU s, %d epochs", time.process_time() - started, epochs)
    with replacing(MODEL) as directory:
        model.save(directory)


def package(params: Mapping[str, Any]) -> None:
    """The artefact that the runtime serves, opened once as the runtime will."""
    from pipelines.recipes.training_data import read_prepared

    _, code = _recipe(params)
    _export(params, code, code.load(MODEL), read_prepared(PREPARED))


def update(params: Mapping[str, Any]) -> None:
    """Newer data beside what a version was fitted on -> its artefact with new items and newer counts; nothing is fitted.

    In the place of `prepare` to `package`; which weights and what they were fitted on: `data/model`, `data/prepared`.
    """
    from pipelines.recipes.training_data import read_prepared
    from pipelines.recipes.updating import carried_on

    _, code = _recipe(params)
    try:
        old, model = read_prepared(PREPARED), code.load(MODEL)
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise StageFailed(f"A version of older code cannot be updated, train FULL again: {error!r}") from error
    data = carried_on(old, _prepared(params))
    _export(params, code, code.update(model, old, data), data, params["update"])
    known = set(old.item_ids)
    found = {
        "interactions": len(data.sequences.items),
        "new_interactions": len(data.sequences.items) - len(old.sequences.items),
        "items": data.items,
        "new_items": sum(item not in known for item in data.item_ids),
    }
    log.info("%(new_interactions)d new interactions, %(new_items)d new items", found)
    write_json(UPDATE, found)


def _export(
    params: Mapping[str, Any], code: RecipeCode, model: Model, data: TrainingData, more: Mapping[str, Any] | None = None
) -> None:
    from pipelines.serving.artefact import Artefact

    report = json.loads(METRICS.read_text())
    described = {key: value for key, value in report.items() if key != "recipe"}
    with replacing(ARTEFACT) as directory:
        code.export(model, data, directory, {**described, "code": params["code"], **(more or {})})
        Artefact.open(directory)
    log.info("artefact of %.1f MB", sum(file.stat().st_size for file in ARTEFACT.iterdir()) / 1e6)


STAGES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "import": import_example,
    "validate": validate_example,
    "prepare": prepare,
    "tune": tune,
    "evaluate": evaluate,
    "train": train,
    "package": package,
    "update": update,
}


@contextmanager
def _reasons() -> Iterator[None]:
    """What the data does not allow becomes the version's failureReason."""
    try:
        yield
    except CannotTrain as error:
        raise StageFailed(str(error)) from error


def _known_recipe(params: Mapping[str, Any]) -> Recipe:
    name = params["solution"]["recipe"]
    recipe = recipe_by_name(name)
    if recipe is None:
        raise StageFailed(f"Recipe {name!r} does not exist; ListRecipes names those that do.")
    if not recipe.trainable:
        raise StageFailed(f"Recipe {name} cannot be trained by this version of OpenPersonalize.")
    return recipe


def _recipe(params: Mapping[str, Any]) -> tuple[Recipe, RecipeCode]:
    """The recipe as it is trained: with the hyperparameters that `tune` found best, if it searched."""
    recipe, best = _known_recipe(params), json.loads(HPO.read_text())["best"]
    return recipe, load_recipe(
        recipe, _settings(recipe, {**params, "hyperparameters": params["hyperparameters"] | best})
    )


def _settings(recipe: Recipe, params: Mapping[str, Any]) -> FitSettings:
    training = params["training"]
    try:
        algorithm = recipe.algorithm_values({k: str(v) for k, v in params["hyperparameters"].items()})
        featurization = recipe.featurization_values({k: str(v) for k, v in params["featurization"].items()})
    except HyperparameterError as error:
        raise StageFailed(str(error)) from error
    return FitSettings(algorithm, featurization, int(training["seed"]), int(training["threads"]))


def main(arguments: Sequence[str]) -> int:
    """Run one stage here; 0, or 2 after a `failureReason: ` line."""
    import yaml

    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m pipelines.stages {'|'.join(STAGES)}\n")
        return 64
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format=f"{arguments[0]}: %(message)s", force=True)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    try:
        STAGES[arguments[0]](params)
    except StageFailed as error:
        sys.stderr.write(f"{REASON}{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    # Threads that wait for work by spinning burn the cores of whatever else runs here; read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main(sys.argv[1:]))
