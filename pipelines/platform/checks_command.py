"""`openpersonalize checks`: the rules that a dataset group's imports must fulfil, and how the group sets them anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

from sqlalchemy import Connection

from data_checks import drift
from data_checks.judge import MODULES, rules_for
from data_checks.rules import OFF, Rule, overridden
from pipelines.datasets.schema import DatasetType, Schema, read_schema
from pipelines.platform.audit_command import note
from pipelines.platform.finding import find
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.settings import Settings

Override = dict[str, Any]
SEVERITIES = ("critical", "warning", OFF)
_BOUNDS = re.compile(r"(-?[0-9.]+%?)?\.\.(-?[0-9.]+%?)?")


class BadCheck(ValueError):
    """What was given is no rule, severity or bounds; the message says what would be."""


def change(settings: Settings, group: str, set_: Sequence[str], clear: Sequence[str]) -> list[str]:
    """Set and clear rules of a group, all or none, and show all its rules; raises BadCheck and finding.NotFound."""
    with transaction(settings) as conn:
        found = find(conn, "DatasetGroup", group, "dataset group")
        locked = store.get(conn, id=found.id, lock=True)
        assert locked is not None
        schemas = _schemas(conn, locked)
        overrides: dict[str, Override] = dict(locked.internal.get("checks", {}))
        if set_ or clear:
            known = {rule.name for _, rules in _sections(schemas, {}) for rule in rules}
            for name in clear:
                if overrides.pop(name, None) is None:
                    raise BadCheck(f"{name!r} is not set for {found.name}; {_list(overrides)}")
            for text in set_:
                name, override = parse(text)
                overrides[_known(name, known)] = override
            store.update(conn, locked.id, internal={"checks": overrides}, touch=False)
            note(conn, "checks", found.arn)
    return _shown(schemas, overrides)


def parse(text: str) -> tuple[str, Override]:
    """`rejected rows=critical,..5%` -> the rule's name and {"severity": "critical", "maximum": 0.05}; raises BadCheck."""
    name, equals, wanted = text.rpartition("=")
    severity, comma, bounds = wanted.partition(",")
    if not equals or severity not in SEVERITIES:
        raise BadCheck(f"{text!r} must be RULE=critical, RULE=warning or RULE=off, and may end in ,MIN..MAX")
    override: Override = {"severity": severity}
    if comma:
        found = _BOUNDS.fullmatch(bounds)
        if found is None or found.group(1) == found.group(2) is None or severity == OFF:
            raise BadCheck(
                f"{bounds!r} must be MIN..MAX, MIN.. or ..MAX, in numbers or per cent, and not of a rule that is off"
            )
        for end, given in zip(("minimum", "maximum"), found.groups(), strict=True):
            if given is not None:
                override[end] = _number(given)
        if override.get("minimum", 0) > override.get("maximum", float("inf")):
            raise BadCheck(f"{bounds!r}: the minimum is above the maximum, so nothing could fulfil it")
    return name, override


def _number(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise BadCheck(f"{text!r} is not a number") from None


def _known(name: str, known: set[str]) -> str:
    if name not in known:
        near = get_close_matches(name, sorted(known), 3, cutoff=0.4)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise BadCheck(f"no dataset of the group has a rule {name!r}{hint}")
    return name


def _list(overrides: Mapping[str, Override]) -> str:
    return f"set are: {', '.join(sorted(overrides))}" if overrides else "no rule is"


def _schemas(conn: Connection, group: store.Resource) -> list[Schema]:
    found = []
    for dataset in store.in_group(conn, group.id, "Dataset"):
        schema = store.get(conn, id=dataset.schema_id) if dataset.schema_id is not None else None
        if schema is not None:
            found.append(read_schema(schema.doc["schema"], cast(DatasetType, dataset.doc["datasetType"])))
    return sorted(found, key=lambda schema: list(MODULES).index(schema.dataset_type))


def _sections(schemas: Sequence[Schema], overrides: Mapping[str, Override]) -> list[tuple[str, list[Rule]]]:
    """The rules of each dataset, and those of interactions beside what deployed versions were trained on."""
    found: list[tuple[str, list[Rule]]] = [(schema.dataset_type, rules_for(schema, overrides)) for schema in schemas]
    if "INTERACTIONS" in dict(found):
        found.append(
            ("INTERACTIONS beside what is deployed (these fail no import)", overridden(drift.rules(), overrides))
        )
    return found


def _shown(schemas: Sequence[Schema], overrides: Mapping[str, Override]) -> list[str]:
    """A table a dataset; rules that are off last, what is set marked with a star and the rule's own value."""
    shown = []
    for (title, default), (_, set_) in zip(_sections(schemas, {}), _sections(schemas, overrides), strict=True):
        own, ours = ({rule.name: rule for rule in rules} for rules in (default, set_))
        width = max(map(len, own))
        shown += ["", title]
        for name in [*ours, *(name for name in own if name not in ours)]:
            shown.append(_line(own[name], ours.get(name), width))
    return shown[1:] or ["the group has no datasets, so there are no rules yet"]


def _line(own: Rule, ours: Rule | None, width: int) -> str:
    severity, bounds = (ours.severity, ours.bounds) if ours is not None else (OFF, "")
    mark = "*" if ours is None or ours.is_overridden else " "
    default = f"   (by default {own.severity}, {own.bounds})" if mark == "*" else ""
    return f"{mark} {own.name:<{width}}  {severity:<9} {bounds}{default}".rstrip()
