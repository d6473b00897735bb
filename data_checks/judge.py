"""Great Expectations judges a profile: one row, one expectation a rule.

GX is imported here and only here, inside the function: it costs five CPU seconds and 270 MB. Its Data Docs are not
used, because they load from five other hosts; data_checks.report draws the verdict.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from data_checks import action_interactions, actions, interactions, items, users
from data_checks.rules import Rule, overridden

if TYPE_CHECKING:
    from pipelines.datasets.schema import Schema

MODULES: Mapping[str, ModuleType] = {
    "INTERACTIONS": interactions,
    "ITEMS": items,
    "USERS": users,
    "ACTIONS": actions,
    "ACTION_INTERACTIONS": action_interactions,
}


@dataclass(frozen=True)
class Outcome:
    """A rule and what GX saw."""

    rule: Rule
    observed: float
    passed: bool

    @property
    def saw(self) -> str:
        """`12, but must be at least 1,000`."""
        return f"{self.rule.show(self.observed)}, {'and' if self.passed else 'but'} must be {self.rule.bounds}"

    def __str__(self) -> str:
        return f"{self.rule.name}: {self.saw}"


@dataclass(frozen=True)
class Verdict:
    """All outcomes of one import, in the order of the rules."""

    outcomes: tuple[Outcome, ...]
    unjudged: tuple[Rule, ...] = ()
    """Rules about numbers that this import has not: there is nothing to compare it with."""

    @property
    def failures(self) -> list[Outcome]:
        """Broken critical rules: the import fails."""
        return [o for o in self.outcomes if not o.passed and o.rule.severity == "critical"]

    @property
    def warnings(self) -> list[Outcome]:
        """Broken rules that only earn a note."""
        return [o for o in self.outcomes if not o.passed and o.rule.severity == "warning"]

    @property
    def passed(self) -> bool:
        return not self.failures


def rules_for(schema: Schema, overrides: Mapping[str, Mapping[str, Any]] | None = None) -> list[Rule]:
    """The rules of the schema's dataset type as a dataset group has set them (see rules.overridden), critical ones first."""
    rules: list[Rule] = MODULES[schema.dataset_type].rules(schema)
    return sorted(overridden(rules, overrides or {}), key=lambda rule: rule.severity != "critical")


def judge(row: Mapping[str, float | int | None], rules: Sequence[Rule]) -> Verdict:
    """Hold the rules against one profile's row; raises RuntimeError when GX itself stumbles.

    A number that the row does not have cannot be judged: no earlier import, no dataset of items to know ids from.
    """
    judged = [rule for rule in rules if row.get(rule.number) is not None]
    unjudged = tuple(rule for rule in rules if row.get(rule.number) is None)
    if not judged:
        return Verdict((), unjudged)
    from pipelines.settings import TELEMETRY_OFF

    os.environ.update(TELEMETRY_OFF)
    # At INFO it names every function that it registers: some hundred lines in the task's log.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    # Without defaults of ours GX leaves a temporary folder for its Data Docs behind.
    quiet = DataContextConfig(store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False))
    context = gx.get_context(mode="ephemeral", project_config=quiet)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("profile").add_dataframe_asset("row")
    batch = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(
        gx.ExpectationSuite(name="rules", expectations=[_expectation(gx, rule) for rule in judged])
    )
    validation = gx.ValidationDefinition(name="import", data=batch, suite=suite)
    frame = pd.DataFrame([{rule.number: row[rule.number] for rule in judged}]).astype("float64")
    result = context.validation_definitions.add(validation).run(
        batch_parameters={"dataframe": frame}, result_format="SUMMARY"
    )
    by_rule = {_rule_name(found): found for found in result.results}
    return Verdict(tuple(_outcome(rule, by_rule[rule.name]) for rule in judged), unjudged)


def _expectation(gx: Any, rule: Rule) -> Any:
    return gx.expectations.ExpectColumnMaxToBeBetween(
        column=rule.number,
        min_value=rule.minimum,
        max_value=rule.maximum,
        severity=rule.severity,
        meta={"rule": rule.name},
    )


def _rule_name(found: Any) -> str:
    return str(found.expectation_config.meta["rule"])


def _outcome(rule: Rule, found: Any) -> Outcome:
    # An expectation that raised has no result; taken for a broken rule, a bug of ours would read as bad data.
    if "observed_value" not in found.result:
        raise RuntimeError(f"rule {rule.name!r} could not be judged: {found.exception_info}")
    return Outcome(rule, float(found.result["observed_value"]), bool(found.success))
