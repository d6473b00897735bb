"""`python tests/support/quick_fit.py` in a worktree: model, reports and artefact of a version, without training.

In the place of the stages from `tune` to `package`, where a test or a benchmark is about what happens to a version
afterwards: the model is what a fit starts from, of the real shapes, and its metrics are made up.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pipelines import stages
from pipelines.disk import replacing
from pipelines.evaluation.reports import write_json
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.contract import FitSettings, load
from pipelines.recipes.training_data import read_prepared

METRICS = {"metrics": {"coverage": 0.5}, "baselines": {"popularity": {}}, "best_epoch": 0, "warnings": []}


def main() -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    recipe = recipe_by_name(params["solution"]["recipe"])
    assert recipe is not None
    write_json(stages.HPO, {"best": {}, "trials": []})
    write_json(stages.METRICS, METRICS)
    threads = params["training"]["threads"]
    code = load(recipe, FitSettings(params["hyperparameters"], params["featurization"], threads=threads))
    with replacing(stages.MODEL) as directory:
        code.fit(read_prepared(stages.PREPARED), 0).model.save(directory)
    stages.package(params)


if __name__ == "__main__":
    main()
