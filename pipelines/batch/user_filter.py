"""A filter for users on a version: who may be in a segment (spec: filters.md sections 3 and 4).

It reads what the training knew of the Users dataset and of users' events, and what was streamed since. As with items, a
user whom the Users dataset does not have is in no set of it, and one without an event in none of Interactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import property_name
from pipelines.filters import tree
from pipelines.filters.tree import INTERACTIONS, AllOf, Condition, Expression, Filter, Where
from pipelines.filters.values import Values
from pipelines.serving.artefact import Artefact
from pipelines.serving.columns import Column, FilterData, Mask, Texts
from pipelines.serving.conditions import compared, event_types, one_cell, right_side

USER_ID = "USER_ID"


class UserFilter:
    """One filter on the users of a version."""

    def __init__(
        self,
        artefact: Artefact,
        filter: Filter,
        now: float,
        types: Mapping[str, Iterable[str]],
        records: Mapping[str, Mapping[str, str | None]],
    ) -> None:
        """`types` of events and `records` by user are what was streamed since the training; `now` in epoch seconds.

        Raises InvalidInput if the version cannot be filtered so.
        """
        if artefact.filter_data is None:
            raise InvalidInput("filterArn: the solution version is of before there were filters; train anew.")
        self._data: FilterData = artefact.filter_data
        self._filter, self._now = filter, now
        self._ids = Texts(
            artefact.users, np.arange(len(artefact.users) + 1), np.arange(len(artefact.users), dtype=np.int32)
        )
        self._types = self._by_type(artefact, types)
        codes = zip(artefact.users.codes(list(records)), records.values(), strict=True)
        self._records = {code: record for code, record in codes if code is not None}
        self._described = self._data.users.described.copy()
        self._described[list(self._records)] = True
        for expression in filter.expressions:
            for condition in tree.conditions(expression.where):
                if condition.field.dataset != INTERACTIONS:
                    self._column(condition)

    def _by_type(self, artefact: Artefact, streamed: Mapping[str, Iterable[str]]) -> dict[str, Mask]:
        """(users,) by event type whether a user has an event of it."""
        touched, users = self._data.touched, len(artefact.users)
        owners = np.repeat(np.arange(users), np.diff(touched.offsets))
        found = {name: np.zeros(users, np.bool_) for name in touched.types}
        for number, name in enumerate(touched.types):
            found[name][owners[touched.codes == number]] = True
        for code, types in zip(artefact.users.codes(list(streamed)), streamed.values(), strict=True):
            for name in types if code is not None else ():
                found.setdefault(name, np.zeros(users, np.bool_))[code] = True
        return found

    def allowed(self, values: Values) -> Mask:
        """(users,) who may be in a segment, with these filterValues; raises InvalidInput for one that does not fit."""
        included: Mask | None = None
        excluded = np.zeros(len(self._described), np.bool_)
        for expression in self._filter.expressions:
            if any(use.name not in values for use, _ in tree.placeholders(expression)):
                continue
            found = self._set(expression, values)
            if expression.action == "EXCLUDE":
                excluded |= found
            else:
                included = found if included is None else included | found
        return ~excluded if included is None else included & ~excluded

    def _set(self, expression: Expression, values: Values) -> Mask:
        if next(tree.conditions(expression.where)).field.dataset == INTERACTIONS:
            return self._any_event() & _satisfying(expression.where, lambda one: self._of_events(one, values))
        return self._described & _satisfying(expression.where, lambda one: self._of_users(one, values))

    def _any_event(self) -> Mask:
        found: Mask = np.logical_or.reduce(list(self._types.values()))
        return found

    def _of_events(self, condition: Condition, values: Values) -> Mask:
        wanted = event_types(condition, values)
        of_types = [mask for name, mask in self._types.items() if "*" in wanted or name in wanted]
        found: Mask = np.logical_or.reduce([np.zeros(len(self._described), np.bool_), *of_types])
        return ~found if condition.operator in ("NOT IN", "!=") else found

    def _of_users(self, condition: Condition, values: Values) -> Mask:
        column, wanted = self._column(condition), right_side(condition, values, self._now)
        found = compared(column, condition.operator, wanted)
        if condition.field.column != USER_ID:
            key = property_name(condition.field.column)
            for code, record in self._records.items():
                one = one_cell(condition.field, column, record.get(key))
                found[code] = compared(one, condition.operator, wanted)[0]
        return found

    def _column(self, condition: Condition) -> Column:
        name = condition.field.column
        column = self._ids if name == USER_ID else self._data.users.by_name.get(name)
        if column is None or isinstance(column, Texts) != (condition.field.type == "string"):
            raise InvalidInput(
                f"filterArn: the solution version was trained without the column {name} of the filter; train anew with the "
                "dataset that has it."
            )
        return column


def _satisfying(where: Where, true_of: Callable[[Condition], Mask]) -> Mask:
    if isinstance(where, Condition):
        return true_of(where)
    combine = np.logical_and if isinstance(where, AllOf) else np.logical_or
    found: Mask = combine.reduce([_satisfying(term, true_of) for term in where.terms])
    return found
