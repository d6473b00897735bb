"""Random sequences of operations against a model of the rules: no disagreement, no internal error.

The model is tests/support/control_model.py, the rules of the machine are in tests/support/control_machine.py. Calls go
to `ControlPlane.answer`, signed, over a real PostgreSQL (see tests/support/calling.py for why not through boto3).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from pipelines.quotas import Quotas
from pipelines.settings import Settings
from tests.support.calling import Caller
from tests.support.control_machine import ControlMachine
from tests.support.control_model import QUOTAS, UNFINISHED_QUOTAS
from tests.support.control_world import World

CI = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    print_blob=True,
    # Not explaining which lines only failures run: it takes as long as all the rest.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
SOAK_SECONDS = 600


@pytest.fixture
def world(settings: Settings, db: Engine) -> Iterator[World]:
    names = {
        "DatasetGroup": "dataset_groups",
        "Schema": "schemas",
        "Solution": "solutions_per_group",
        "Campaign": "campaigns_per_group",
        "Filter": "filters_per_group",
        "Recommender": "recommenders_per_group",
        "DatasetImportJob": "unfinished_import_jobs",
        "DatasetExportJob": "unfinished_export_jobs",
        "DataDeletionJob": "unfinished_deletion_jobs_per_group",
        "SolutionVersion": "unfinished_solution_versions",
        "BatchInferenceJob": "unfinished_batch_inference_jobs",
        "BatchSegmentJob": "unfinished_batch_segment_jobs",
    }
    quotas = {names[kind]: most for kind, most in {**QUOTAS, **UNFINISHED_QUOTAS}.items()}
    settings = replace(settings, quotas=Quotas(tuple(quotas.items())))
    call = Caller(settings)
    yield World(settings, call, db)
    call.close()


def test_random_operations_do_what_the_model_says(world: World) -> None:
    run_state_machine_as_test(lambda: ControlMachine(world), settings=CI)


@pytest.mark.soak
@pytest.mark.timeout(SOAK_SECONDS + 300)
def test_ten_minutes_of_random_operations_do_what_the_model_says(world: World) -> None:
    other_each_time = settings(CI, derandomize=False, max_examples=100, stateful_step_count=80)
    end = time.monotonic() + SOAK_SECONDS
    while time.monotonic() < end:
        run_state_machine_as_test(lambda: ControlMachine(world), settings=other_each_time)
