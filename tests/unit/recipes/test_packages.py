"""The lock that is kept with a version: what the stages import, and what that requires."""

from __future__ import annotations

import ast
import sys
from importlib.metadata import packages_distributions, version
from pathlib import Path

from packaging.utils import canonicalize_name

from pipelines import code_digest
from pipelines.recipes.catalogue import recipe_by_name
from pipelines.recipes.packages import digest, lock

PIPELINES = Path(code_digest.__file__).parent


def recipe():
    found = recipe_by_name("aws-popularity-count")
    assert found is not None
    return found


def imported_by_stages() -> set[str]:
    """Top-level modules of others that the sources of the stages import, lazily or not."""
    found = set()
    for name in code_digest.SOURCES:
        for file in [PIPELINES / name] if name.endswith(".py") else (PIPELINES / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"pipelines"}


def test_everything_that_stages_import_is_locked() -> None:
    of_module = packages_distributions()
    wanted = {canonicalize_name(name) for module in imported_by_stages() for name in of_module[module]}
    locked = {line.partition("==")[0] for line in lock(recipe()).splitlines()}
    assert wanted <= locked


def test_a_lock_is_sorted_and_installable_and_has_what_is_required_in_turn() -> None:
    first, *lines = lock(recipe()).splitlines()
    assert first.startswith("# Python 3.")
    assert lines == sorted(lines)
    assert f"torch=={version('torch')}" in lines
    assert f"sympy=={version('sympy')}" in lines  # torch requires it
    assert not any(line.startswith("pytest==") for line in lines)
    assert len(digest(lock(recipe()))) == 64
