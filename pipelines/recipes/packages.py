"""Which installed packages decide a version's bytes: the lock that is kept with every version, as requirements.lock.

What is installed counts, not what a lock file once asked for. All that is installed would say "other packages" after an
upgrade of a test runner or of Airflow's mail provider; what the stages import, and what that requires, can change a
sum. The CPU is not part of it: on one with other instructions a training may round otherwise with the same packages.
"""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, distribution

from pipelines.recipes.catalogue import Recipe
from pipelines.recipes.installed import origin

LOCK = "requirements.lock"
"""Its file in a version's commit."""
ROOTS = ("duckdb", "numpy", "onnx", "onnxruntime", "optuna", "pyarrow", "PyYAML", "scipy", "torch")
"""What the sources of pipelines.code_digest.SOURCES import; a test compares."""


def lock(recipe: Recipe) -> str:
    """The interpreter in a comment, then `name==version` a line, sorted, as `pip install -r` takes it.

    With the package that brings the recipe, if it is not one of ours, and all that it requires.
    """
    own = origin(recipe).get("recipe", "").partition("==")[0]
    found = _required((*ROOTS, own) if own else ROOTS)
    lines = [f"{name}=={version}" for name, version in sorted(found.items())]
    return "\n".join([f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}", *lines, ""])


def digest(text: str) -> str:
    """sha256, hex, of a lock: `code.lock` of params.yaml."""
    return hashlib.sha256(text.encode()).hexdigest()


def _required(roots: tuple[str, ...]) -> dict[str, str]:
    """Names, canonical, and versions of installed packages: `roots` and what they require, with their extras."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, str] = {}
    done: set[tuple[str, str]] = set()
    todo = [(name, "") for name in roots]
    while todo:
        name, extra = todo.pop()
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # wanted on another system, or by nobody yet
        name = canonicalize_name(installed.name)
        if (name, extra) in done:
            continue
        done.add((name, extra))
        found[name] = installed.version
        for wanted in map(Requirement, installed.requires or ()):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                todo += [(wanted.name, each) for each in ("", *wanted.extras)]
    return found
