"""The house's one-way rule: inside pipelines/, imports only go down, and nothing there knows Airflow."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# From the ground up; rooms of one line do not import each other.
LAYERS = (
    {"quotas"},
    {"settings", "disk", "progress"},
    {"aws"},
    {"registry"},
    {"repository"},
    {"datasets"},
    {"filters"},
    {"serving"},
    {"evaluation"},
    {"recipes"},
    {"code_digest", "stages_definition", "stages"},
    {"versions"},
    {"deletions", "batch"},
    {"control"},
    {"schedules"},
    {"declared"},
    {"platform"},
    {"dag_support", "dag_lineage"},
    {"dag_batch"},
)
HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def imported(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports, lazily or not."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            # `from pipelines import x` imports the room x.
            yield from (f"pipelines.{a.name}" for a in node.names) if node.module == "pipelines" else (node.module,)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def room(path: Path) -> str:
    return path.relative_to(ROOT / "pipelines").parts[0].removesuffix(".py")


FILES = [
    path
    for path in sorted((ROOT / "pipelines").rglob("*.py"))
    if path.parent != ROOT / "pipelines" or path.stem != "__init__"
]


def test_every_room_has_its_height() -> None:
    assert {room(path) for path in FILES} == set(HEIGHT)


@pytest.mark.parametrize("name", sorted(HEIGHT))
def test_a_room_imports_only_what_is_below_it(name: str) -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in FILES
        if room(path) == name
        for module in imported(path)
        if module.startswith("pipelines.") and (other := module.split(".")[1]) != name and HEIGHT[other] >= HEIGHT[name]
    ]

    assert upward == []


def test_pipelines_never_imports_airflow() -> None:
    assert [path for path in FILES if any(m.split(".")[0] == "airflow" for m in imported(path))] == []


@pytest.mark.parametrize("folder", ["bento", "pipelines/filters", "pipelines/serving"])
def test_what_serves_imports_neither_airflow_nor_torch(folder: str) -> None:
    forbidden = {"airflow", "torch", "dvc", "pandas", "great_expectations"}
    assert [p for p in (ROOT / folder).rglob("*.py") if any(m.split(".")[0] in forbidden for m in imported(p))] == []
