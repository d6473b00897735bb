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
    # Each file has its DAG, but that of what `apply` declares: here nothing is.
    found = {Path(dag.fileloc).name for dag in dags.dags.values()}
    assert found == {file.name for file in FILES} - {"declared_schedules.py"}


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


KINDS = {"data", "training", "serving", "schedule"}


@pytest.fixture(params=sorted({file.stem for file in FILES} - {"declared_schedules"}))
def dag(request: pytest.FixtureRequest, dags: Any) -> Any:
    return dags.dags[request.param]


def test_it_can_be_serialised(dag: Any) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == dag.dag_id


def test_it_tells_a_person_what_it_is_and_what_each_task_does_when_it_fails(dag: Any) -> None:
    assert dag.description
    assert "openpersonalize" in dag.tags and dag.tags & KINDS
    assert "| task | what it does | when it fails |" in dag.doc_md
    rows = [line.split("|")[1] for line in dag.doc_md.splitlines() if line.startswith("| `")]
    named = {row.strip().strip("`").rpartition(".")[2] for row in rows}
    assert named == {task.label for task in dag.tasks}


def test_every_field_of_its_form_is_typed_and_described_and_its_default_is_good(dag: Any) -> None:
    for name in dag.params:
        field = dag.params.get_param(name)
        assert field.schema.get("type"), name
        assert field.schema.get("title") and field.description, name
        field.resolve()


def test_a_paused_week_makes_no_storm_and_no_run_lives_for_ever(dag: Any) -> None:
    assert not dag.catchup
    assert dag.max_active_runs <= (16 if dag.schedule else 100)
    assert dag.dagrun_timeout is not None
    assert dag.deadline or "schedule" in dag.tags, "what waits for others' runs needs none of its own"


def test_its_tasks_are_tried_again_ever_later_and_report_what_no_retry_mends(dag: Any) -> None:
    for task in dag.tasks:
        assert task.owner == "openpersonalize", task
        assert 1 <= task.retries <= 12, task
        assert task.retry_exponential_backoff and task.max_retry_delay, task
        assert task.on_failure_callback, task
        assert task.execution_timeout or task.response_timeout, task
