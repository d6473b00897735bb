"""Every DAG file: parses, is cheap to parse, can be shown and scheduled, keeps to the rules of the house."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DAGS = Path(__file__).resolve().parents[2] / "dags"
FILES = sorted(DAGS.glob("*.py"))
HEAVY = ("torch", "pandas", "numpy", "great_expectations", "dvc", "bentoml", "duckdb", "pyarrow", "onnxruntime")


def test_every_file_parses(dags: Any) -> None:
    assert dags.import_errors == {}
    assert {Path(dag.fileloc).name for dag in dags.dags.values()} == {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_dag_file_is_short_and_imports_nothing_heavy(file: Path) -> None:
    """Airflow parses it again every half minute."""
    code = (
        "import airflow.sdk, sys, time, runpy\n"
        "before, start = set(sys.modules), time.process_time()\n"
        f"runpy.run_path({str(file)!r})\n"
        "print(time.process_time() - start)\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=DAGS.parent)
    seconds, modules = done.stdout.strip().splitlines()[-2:]
    assert not {module.partition(".")[0] for module in modules.split()} & set(HEAVY)
    assert float(seconds) < 1.0
    assert len(file.read_text().splitlines()) < 180


def test_every_dag_can_be_serialised_and_tells_a_person_what_it_is(dags: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in dags.dags.values():
        assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == dag.dag_id
        assert dag.description and dag.doc_md and "openpersonalize" in dag.tags
        assert not dag.catchup


def test_every_task_is_retried_and_reports_its_failure(dags: Any) -> None:
    for dag in dags.dags.values():
        for task in dag.tasks:
            assert task.retries >= 1, task
            assert task.on_failure_callback, task
            assert task.execution_timeout is not None, task
