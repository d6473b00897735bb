"""Great Expectations says about a profile what the rules mean."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from data_checks.judge import judge, rules_for
from data_checks.rules import Rule
from pipelines.datasets.schema import Schema, read_schema
from tests.support.imports import SCHEMAS

KINDS = sorted(SCHEMAS)


def schema(kind: str) -> Schema:
    return read_schema(SCHEMAS[kind], kind)  # type: ignore[arg-type]


def alone(kind: str) -> list[Rule]:
    """The rules of a type, each about a number of its own, so that all can be broken at once."""
    return [dataclasses.replace(rule, number=rule.name) for rule in rules_for(schema(kind))]


def bound(rule: Rule) -> float:
    edge = rule.minimum if rule.minimum is not None else rule.maximum
    assert edge is not None, rule
    return edge


@pytest.mark.parametrize("kind", KINDS)
def test_the_bounds_themselves_are_allowed(kind: str) -> None:
    rules = alone(kind)
    verdict = judge({rule.number: bound(rule) for rule in rules}, rules)
    assert verdict.passed and not verdict.warnings
    assert len(verdict.outcomes) == len(rules) == len({rule.name for rule in rules})


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_can_be_broken_and_only_critical_ones_fail_the_import(kind: str) -> None:
    rules = alone(kind)
    row = {rule.number: bound(rule) + (-0.001 if rule.minimum is not None else 0.001) for rule in rules}
    verdict = judge(row, rules)
    assert {outcome.rule for outcome in verdict.failures} == {rule for rule in rules if rule.severity == "critical"}
    assert {outcome.rule for outcome in verdict.warnings} == {rule for rule in rules if rule.severity == "warning"}


def test_what_an_import_cannot_be_compared_with_is_not_judged() -> None:
    there, missing = (Rule(name, name, "critical", "", minimum=1) for name in ("there", "missing"))
    verdict = judge({"there": 1, "missing": None}, [there, missing])
    assert verdict.passed
    assert ([outcome.rule for outcome in verdict.outcomes], verdict.unjudged) == ([there], (missing,))


def test_an_override_makes_a_warning_fail_the_import() -> None:
    rules = rules_for(schema("ITEMS"), {"items": {"severity": "critical", "minimum": 10}})
    verdict = judge({"rows": 9}, rules)
    assert [str(failure) for failure in verdict.failures] == ["items: 9, but must be at least 10"]


def test_a_judgement_that_could_not_be_made_is_an_error_not_a_broken_rule() -> None:
    rule = Rule("odd", "number", "critical", "", minimum=1)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        judge({"number": "many"}, [rule])  # type: ignore[dict-item]


def test_great_expectations_tells_a_task_log_nothing_but_warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    judge({"number": 1}, [Rule("odd", "number", "critical", "", minimum=1)])
    assert not logging.getLogger("great_expectations.expectations.registry").isEnabledFor(logging.INFO)


def test_rules_follow_the_schema() -> None:
    names = {rule.name for rule in rules_for(schema("ITEMS"))}
    assert {"PRICE is filled", "DESCRIPTION is filled", "categories of GENRES"} <= names
    assert "ITEM_ID is filled" not in names


def test_an_outcome_reads_as_a_sentence() -> None:
    rules = [
        Rule("minimum rows", "rows", "critical", "", minimum=1000),
        Rule("rejects", "share", "critical", "", maximum=0.01, is_share=True),
    ]
    few, many = judge({"rows": 12, "share": 0.0345}, rules).outcomes
    assert str(few) == "minimum rows: 12, but must be at least 1,000"
    assert str(many) == "rejects: 3.45 %, but must be at most 1 %"


def test_nothing_is_sent_anywhere_and_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import socket
    import tempfile

    def connect(*args: object) -> None:
        raise AssertionError(f"something wants to talk to {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert judge({"rows": 1}, [Rule("rows", "rows", "critical", "", minimum=1)]).passed
    assert list(tmp_path.iterdir()) == []
