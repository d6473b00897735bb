"""`filterValues` of a request: what takes the place of placeholders (spec: filters.md section 5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pipelines.aws.errors import InvalidInput
from pipelines.filters import tree
from pipelines.filters.tree import Filter

Values: TypeAlias = Mapping[str, Sequence[str]]
"""By the placeholder's name the values as text, at least one."""

_VALUE = re.compile(r'\s*(?:"((?:\\.|[^"\\])*)"|([^",]*?))\s*(,|$)', re.DOTALL)


def read_values(filter: Filter, given: Mapping[str, str]) -> Values:
    """The values of a request with this filter; raises InvalidInput.

    What an INCLUDE expression needs must be there; an EXCLUDE expression whose values are not given is not applied.
    """
    used = {
        (placeholder.name, expression.action)
        for expression in filter.expressions
        for placeholder, _ in tree.placeholders(expression)
    }
    for name in given:
        if name not in {used_name for used_name, _ in used}:
            known = ", ".join(sorted({used_name for used_name, _ in used})) or "none"
            raise InvalidInput(f"filterValues: the filter has no placeholder ${name}; it has {known}.")
    for name, action in sorted(used):
        if action == "INCLUDE" and name not in given:
            raise InvalidInput(f"filterValues: a value for {name} is needed: an INCLUDE expression has ${name}.")
    return {name: _split(name, text) for name, text in given.items()}


def _split(name: str, text: str) -> list[str]:
    """Values between the commas outside of quotes; of numbers the quotes may be missing."""
    values, at = [], 0
    while True:
        found = _VALUE.match(text, at)
        if found is None:
            raise InvalidInput(
                f"filterValues: {name} is {text!r}; write each value in double quotes, with commas between them."
            )
        quoted, bare, end = found.groups()
        if quoted is None and not bare:
            raise InvalidInput(f'filterValues: {name} is {text!r}; a value is empty. Write "" for an empty text.')
        values.append(bare if quoted is None else re.sub(r'\\([\\"])', r"\1", quoted))
        if not end:
            return values
        at = found.end()
