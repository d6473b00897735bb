"""A filter for users on a version: who may be in a segment (spec: filters.md sections 3 and 4).

It reads what the training knew of the Users dataset and of users' events, and what was streamed since. As with items, a
user whom the Users dataset does not have is in no set of it, and one without an event in none of Interactions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from pipelines.aws.errors import InvalidInput
from pipelines.datasets.schema import USER_ID
from pipelines.filters import tree
from pipelines.filters.tree import INTERACTIONS, Expression, Field, Filter
from pipelines.filters.values import Values
from pipelines.serving.artefact import Artefact
from pipelines.serving.columns import Columns, FilterData, Mask, Texts, Touched
from pipelines.serving.ids import IdTable
from pipelines.serving.item_rows import Brought, ItemRows, column_of, ids_column
from pipelines.serving.newer import of_records

ANY = "*"


class UserFilter:
    """One filter on the users of a version: their rows are looked at as items' are."""

    def __init__(
        self,
        artefact: Artefact,
        filter: Filter,
        now: float,
        types: Mapping[str, Collection[str]],
        records: Mapping[str, Mapping[str, str | None]],
    ) -> None:
        """`types` of events and `records` by user are what was streamed since the training; `now` in epoch seconds.

        Raises InvalidInput if the version cannot be filtered so.
        """
        if artefact.filter_data is None:
            raise InvalidInput("filterArn: the solution version is of before there were filters; train anew.")
        data: FilterData = artefact.filter_data
        self._filter, self._now = filter, now
        fields = [one.field for expression in filter.expressions for one in tree.conditions(expression.where)]
        of_users = [field for field in fields if field.dataset != INTERACTIONS]
        codes = artefact.users.codes(list(records))
        known = [(code, user) for code, user in zip(codes, records, strict=True) if code is not None]
        self._users = _rows(of_users, data.users, artefact.users)
        self._newer = np.array([code for code, _ in known], np.int64)
        ids = IdTable.of([user for _, user in known])
        self._over = _rows(of_users, of_records([records[user] for _, user in known], data.users), ids)
        events = _event_types(artefact.users, data.touched, types)
        of_events = [field for field in fields if field.dataset == INTERACTIONS]
        self._events = ItemRows(np.diff(events.offsets) > 0, dict.fromkeys(of_events, events))

    def allowed(self, values: Values) -> Mask:
        """(users,) who may be in a segment, with these filterValues; raises InvalidInput for one that does not fit."""
        included: Mask | None = None
        excluded = np.zeros(len(self._users.described), np.bool_)
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
        brought = Brought(values, self._now, {})
        if next(tree.conditions(expression.where)).field.dataset == INTERACTIONS:
            return self._events.where(expression.where, brought)
        found = self._users.where(expression.where, brought)
        found[self._newer] = self._over.where(expression.where, brought)
        return found


def _rows(fields: list[Field], columns: Columns, ids: IdTable) -> ItemRows:
    found = {field: ids_column(ids) if field.column == USER_ID else column_of(field, columns) for field in fields}
    return ItemRows(columns.described, found)


def _event_types(users: IdTable, touched: Touched, streamed: Mapping[str, Collection[str]]) -> Texts:
    """(users,) the types of all events of each, and ANY for whoever has one."""
    names = sorted({*touched.types, *(name for types in streamed.values() for name in types)} - {""})
    places = {name: place for place, name in enumerate([*names, ANY])}
    has = np.zeros((len(users), len(places)), np.bool_)
    owners = np.repeat(np.arange(len(users)), np.diff(touched.offsets))
    # An event without a type is one of any.
    has[owners, np.array([places.get(name, places[ANY]) for name in touched.types])[touched.codes]] = True
    for code, types in zip(users.codes(list(streamed)), streamed.values(), strict=True):
        if code is not None:
            has[code, [places[name] for name in types]] = True
    has[:, places[ANY]] = has.any(axis=1)
    offsets = np.cumsum([0, *has.sum(axis=1)]).astype(np.int64)
    return Texts(IdTable.of([*names, ANY]), offsets, np.nonzero(has)[1].astype(np.int32))
