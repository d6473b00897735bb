"""A DagBag of dags/ without a database, in an Airflow home of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

# Before the first import of airflow, which reads them.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="op-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

DAGS = Path(__file__).resolve().parents[2] / "dags"


@pytest.fixture(scope="session")
def dags() -> DagBag:
    """Every DAG file of the project, parsed as Airflow's dag-processor does."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(DAGS))
