"""`openpersonalize metrics` against a real registry and a report that measuring made."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from pipelines.platform.cli import app
from pipelines.platform.finding import NotFound
from pipelines.platform.metrics_command import as_json, collect
from pipelines.platform.metrics_views import show
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from tests.support.command import free_port
from tests.support.measured import report, walking
from tests.support.registry import add_group, add_solution, add_version


@pytest.fixture
def solution(settings: Settings) -> Resource:
    with transaction(settings) as conn:
        return add_solution(conn, add_group(conn), "taste")


def version(settings: Settings, solution: Resource, suffix: str, status: str, **internal: Any) -> Resource:
    with transaction(settings) as conn:
        made = add_version(conn, solution, suffix, status=status)
        store.update(conn, made.id, internal=internal)
    return made


def shown(settings: Settings, given: str) -> str:
    console = Console(width=100, file=io.StringIO())
    show(console, collect(settings, given))
    return console.file.getvalue()


def test_a_solution_is_shown_by_its_newest_active_version(settings: Settings, solution: Resource) -> None:
    version(settings, solution, "00000001", store.ACTIVE, report=report(8.0))
    second = version(settings, solution, "00000002", store.ACTIVE, report=report(9.0))
    version(settings, solution, "00000003", store.CREATE_IN_PROGRESS)
    for given in (solution.arn, solution.name, solution.id, second.arn):
        assert collect(settings, given).arn == second.arn


def test_metrics_baselines_time_scores_and_cold_items_are_in_tables(settings: Settings, solution: Resource) -> None:
    version(settings, solution, "00000001", store.ACTIVE, report=report())
    text = shown(settings, solution.arn)
    for words in (
        "taste, aws-hrnn",
        "Hold-out: 6 users who did not train",
        "Split by time: 6 users asked for what they did since 1970-02-15 00:00 UTC",
        "novelty, bits",
        "expected calibration error",
        "6 without events",
        "6 with 3 or more",
        "Items without events in the training part",
    ):
        assert words in text
    row = next(line for line in text.splitlines() if line.startswith("│ NDCG@25"))
    assert row.split()[3] == "0.6131"


def test_a_version_that_loses_says_so_before_anything_else(settings: Settings, solution: Resource) -> None:
    text = "The model LOSES to popularity, the same list for everybody, on the hold-out"
    version(settings, solution, "00000001", store.ACTIVE, report=report(warnings=[{"code": "x", "text": text}]))
    lines = shown(settings, "taste").splitlines()
    assert lines[2].startswith(f" WARNING  {text}")


def test_a_version_that_was_only_updated_says_whose_numbers_it_has(settings: Settings, solution: Resource) -> None:
    base = version(settings, solution, "00000001", store.ACTIVE, report=report())
    made = version(settings, solution, "00000002", store.ACTIVE, report=report(), base=base.id)
    assert f"Nothing was fitted: these are the numbers of {base.arn}." in shown(settings, made.arn)
    assert "Nothing was fitted" not in shown(settings, base.arn)


def test_a_version_that_waited_for_a_person_says_what_became_of_it(settings: Settings, solution: Resource) -> None:
    held = {
        "reason": "NDCG@25 fell by 50.0%, more than the 10.0% that are allowed",
        "against": "arn:older",
        "metrics": {"new": 0.1, "deployed": 0.2},
        "since": "2026-01-01T00:00:00+00:00",
        "decision": None,
    }
    made = version(settings, solution, "00000001", store.ACTIVE, report=report(), held=held)
    told = "NDCG@25 fell by 50.0%, more than the 10.0% that are allowed (0.1000 against 0.2000 of arn:older)."
    assert f"Waits for a person (Required Actions in the Airflow UI): {told}" in shown(settings, made.arn)
    decision = {"choice": "rejected", "by": "ada", "at": "2026-01-02T00:00:00+00:00"}
    with transaction(settings) as conn:
        store.update(conn, made.id, internal={"held": {**held, "decision": decision}})
    assert f"Roll-out rejected by ada: {told}" in shown(settings, made.arn)


def test_what_is_not_measurable_is_said_instead_of_a_table(settings: Settings, solution: Resource) -> None:
    data = walking()
    flat = replace(data, sequences=replace(data.sequences, times=np.full(1200, 7)))
    made = report(data=flat, calibration={"not_measurable": "answers of this recipe carry no scores"})
    version(settings, solution, "00000001", store.ACTIVE, report=made)
    text = shown(settings, "taste")
    assert "not measurable: all events have the same timestamp" in text
    assert "not measurable: answers of this recipe carry no scores" in text


def test_json_is_the_whole_report(settings: Settings, solution: Resource) -> None:
    made = version(settings, solution, "00000001", store.ACTIVE, report=report())
    found = json.loads(as_json(collect(settings, made.id)))
    assert (found["solution"], found["arn"]) == ("taste", made.arn)
    assert found["report"] == json.loads(json.dumps(report()))


def test_a_version_without_numbers_says_why(settings: Settings, solution: Resource) -> None:
    with pytest.raises(NotFound, match="solution taste has no version that is ACTIVE"):
        collect(settings, "taste")
    made = version(settings, solution, "00000001", store.CREATE_FAILED)
    with transaction(settings) as conn:
        store.update(conn, made.id, failure_reason="Too few.")
    for given in (made.arn, "taste"):
        with pytest.raises(NotFound, match=rf"{made.arn} is CREATE FAILED \(Too few\.\)"):
            collect(settings, given)
    with pytest.raises(NotFound, match="no solution or solution version 'nix'"):
        collect(settings, "nix")


def test_a_platform_that_does_not_run_is_one_line(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Settings(home=settings.home / "idle", control_port=free_port(), runtime_port=free_port())
    for name, value in idle.to_env().items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["metrics", "taste"])
    assert result.exit_code == 1
    assert "the platform is not running" in result.output
