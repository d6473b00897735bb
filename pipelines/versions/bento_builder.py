"""`python -m pipelines.versions.bento_builder SPEC`: model and Bento into the store that BENTOML_HOME names.

Nothing is resolved or downloaded: the Bento lists its packages without versions of their dependencies, refers to
the model instead of holding it, and has our own sources in it, so that `bentoml serve <tag>` needs nothing of us.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("bentoml", "botocore", "numpy", "onnxruntime", "orjson", "starlette")
"""All that answering needs; no torch."""

SOURCES = (
    "bento/__init__.py",
    "bento/version_service/*.py",
    "pipelines/__init__.py",
    "pipelines/quotas.py",
    "pipelines/settings.py",
    "pipelines/aws/*.py",
    "pipelines/datasets/__init__.py",
    "pipelines/datasets/schema.py",
    "pipelines/filters/__init__.py",
    "pipelines/filters/literals.py",
    "pipelines/filters/tree.py",
    "pipelines/filters/values.py",
    "pipelines/serving/*.py",
)
SERVICE = "bento.version_service.service:SolutionVersion"


def create(spec: Mapping[str, Any]) -> None:
    """Create the model and the Bento that `spec` (see pipelines.versions.bentos.Spec) describes."""
    import bentoml

    name, version_id = f"solution-{spec['solution_id']}", spec["version_id"]
    tag = f"{name}:{version_id}"
    with bentoml.models.create(tag, labels=dict(spec["labels"]), metadata=dict(spec["metadata"])):
        # Its files come afterwards as links: BentoML would copy them twice.
        pass
    model = Path(os.environ["BENTOML_HOME"]) / "models" / name / version_id
    shutil.copytree(spec["artefact"], model, copy_function=link, dirs_exist_ok=True)
    context = Path(os.environ["TMPDIR"]) / "context"
    copy_sources(context)
    bentoml.build(
        SERVICE,
        name=name,
        version=version_id,
        labels=dict(spec["labels"]),
        description=_description(spec, tag),
        include=list(SOURCES),
        python={"packages": [f"{name}=={version(name)}" for name in PACKAGES], "lock_packages": False},
        models=[tag],
        args={"model": tag},
        build_ctx=str(context),
    )


def link(source: str, destination: str) -> str:
    """A hard link, or a copy where another disk makes that impossible."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copyfile(source, destination)
    return destination


def copy_sources(context: Path) -> None:
    """Our own modules that the service imports, in a folder of their own."""
    root = Path(__file__).resolve().parents[2]
    for pattern in SOURCES:
        for source in root.glob(pattern):
            target = context / source.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _description(spec: Mapping[str, Any], tag: str) -> str:
    metrics = "\n".join(f"| {name} | {value} |" for name, value in spec["metadata"]["metrics"].items())
    warnings = "".join(f"**WARNING**: {warning}\n\n" for warning in spec["metadata"]["warnings"])
    return (
        f"# {spec['labels']['solution']}\n\n"
        f"{warnings}"
        f"Solution version `{spec['metadata']['solution_version_arn']}`, recipe {spec['labels']['recipe']}.\n\n"
        f"    bentoml serve {tag}\n\n"
        f"answers /recommendations and /personalize-ranking on 127.0.0.1:3000.\n\n"
        f"| metric | value |\n|---|---|\n{metrics}\n"
    )


if __name__ == "__main__":
    create(json.loads(sys.argv[1]))
