"""The BentoML service of one solution version: `bentoml serve solution-<solution id>:<version id>`.

The Bento's argument `model` names the version's model, so one file serves every version.
"""

from __future__ import annotations

from pathlib import Path

import bentoml
from bentoml.models import BentoModel

from bento.version_service.app import create_app

arguments = bentoml.use_arguments()
model = BentoModel(arguments.model)


def artefact() -> Path:
    """The folder of the version's artefact in the Bento store."""
    return Path(model.resolve().path)


@bentoml.service(
    # bentoml's own default is 0.0.0.0; `--host` changes it.
    http={"host": "127.0.0.1", "port": 3000},
    envs=[{"name": "OMP_NUM_THREADS", "value": "1"}, {"name": "OPENBLAS_NUM_THREADS", "value": "1"}],
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},
    metrics={"enabled": False},
)
@bentoml.asgi_app(create_app(artefact), path="/")
class SolutionVersion:
    """One version's answers on one port."""

    model = model
