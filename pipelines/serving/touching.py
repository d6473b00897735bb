"""Which items a user has events with, of which types: what filters say of Interactions (spec/filters.md section 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pipelines.filters.tree import AllOf, Condition, Where
from pipelines.filters.values import Values
from pipelines.serving.columns import MOST_EVENTS, Touched
from pipelines.serving.conditions import event_types
from pipelines.serving.ids import IdTable

TypedEvents = Sequence[tuple[str, str]]
"""(item id, event type) of a user's events since the version's cut-off, newest first."""
Codes = NDArray[np.int64]


class UserEvents:
    """The newest MOST_EVENTS events of each type of one user; items are looked up for the types that are asked for."""

    def __init__(self, touched: Touched, items: IdTable, user: int | None, streamed: TypedEvents) -> None:
        self._touched, self._items = touched, items
        start, end = (0, 0) if user is None else touched.offsets[user : user + 2].tolist()
        self._older, self._kinds = touched.items[start:end], touched.codes[start:end]
        self._newer: dict[str, list[str]] = {}
        for item, kind in streamed:
            self._newer.setdefault(kind.casefold(), []).append(item)

    def items(self, where: Where, values: Values) -> Codes:
        """Codes of the items, maybe more than once, with events of types that satisfy the conditions."""
        if isinstance(where, Condition):
            wanted = event_types(where, values)
            found = self._of(self._all_kinds() if "*" in wanted else wanted)
            return np.setdiff1d(self._of(self._all_kinds()), found) if where.operator in ("NOT IN", "!=") else found
        terms = [self.items(term, values) for term in where.terms]
        return reduce(np.intersect1d, terms) if isinstance(where, AllOf) else np.concatenate(terms)

    def _all_kinds(self) -> set[str]:
        return {*self._newer, *self._touched.types}

    def _of(self, kinds: set[str] | frozenset[str]) -> Codes:
        return np.concatenate([np.zeros(0, np.int64), *(part for kind in kinds for part in self._of_kind(kind))])

    def _of_kind(self, kind: str) -> Iterator[Codes]:
        newer = self._newer.get(kind, ())
        if newer:
            codes = self._items.codes(newer[:MOST_EVENTS])
            yield np.array([code for code in codes if code is not None], np.int64)
        left = MOST_EVENTS - len(newer)
        if left > 0 and kind in self._touched.types:
            # They lie by type, of each the newest last.
            number = self._touched.types.index(kind)
            start, end = np.searchsorted(self._kinds, (number, number + 1)).tolist()
            yield self._older[max(start, end - left) : end].astype(np.int64)
