"""A small shop with what filters read, as records and as an artefact, and a slow and obvious evaluator of filters."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets.schema import Field as Schema
from pipelines.datasets.schema import property_name
from pipelines.filters import tree
from pipelines.filters.tree import AllOf, Anything, Condition, Expression, Filter, Listed, Moment, Placeholder, Where
from pipelines.serving.artefact import Artefact
from pipelines.serving.columns import DTYPES, Column, Columns, FilterData, Numbers, Texts, Touched
from tests.support.artefacts import make_artefact
from tests.support.filters import DATASETS

Record = Mapping[str, Any]


@dataclass(frozen=True)
class ShopData:
    """Items `i0`, `i1`, ... and users `u0`, `u1`, ...; None where a dataset has no row."""

    items: Sequence[Record | None]
    users: Sequence[Record | None] = ()
    events: Mapping[str, Sequence[tuple[str, str | None]]] = field(default_factory=dict)
    """By user (item id, event type) of interactions that were imported, oldest first."""
    streamed: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """The same of those since the training, newest first."""

    def filter_data(self) -> FilterData:
        """What an artefact has of it."""
        return FilterData(columns("ITEMS", self.items), columns("USERS", self.users), self._touched())

    def _touched(self) -> Touched:
        kinds = sorted({(kind or "").casefold() for events in self.events.values() for _, kind in events} - {""})
        types = ("", *kinds)
        rows = [
            [(types.index((kind or "").casefold()), int(item[1:])) for item, kind in self.events.get(f"u{user}", ())]
            for user in range(len(self.users))
        ]
        ordered = [sorted(of_user, key=lambda event: event[0]) for of_user in rows]
        flat = [event for of_user in ordered for event in of_user]
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return Touched(
            types, offsets, np.array([i for _, i in flat], np.int32), np.array([t for t, _ in flat], np.uint8)
        )

    def artefact(self, directory: Path, **more: Any) -> Artefact:
        """As a version."""
        made = make_artefact(
            directory, items=len(self.items), users=len(self.users), filter_data=self.filter_data(), **more
        )
        return Artefact.open(made)


def columns(dataset: str, records: Sequence[Record | None]) -> Columns:
    """Records as columns."""
    described = np.array([record is not None for record in records], np.bool_)
    fields = [one for one in DATASETS[dataset] if not one.textual and one.name not in ("ITEM_ID", "USER_ID")]
    return Columns(described, {one.name: _column(one, [record or {} for record in records]) for one in fields})


def _column(of: Schema, records: Sequence[Record]) -> Column:
    cells = [record.get(of.name) for record in records]
    if of.avro == "string":
        return Texts.of_cells(cells)
    known = np.array([cell is not None for cell in cells], np.bool_)
    return Numbers(np.array([cell or 0 for cell in cells], DTYPES[of.avro]), known)


def streamed(record: Record) -> dict[str, str]:
    """A record as PutItems leaves it and requests read it."""
    return {
        property_name(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in record.items()
    }


def newest_hundred(events: Sequence[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    """Of each type the newest hundred, as a version keeps them."""
    left: list[tuple[str, str | None]] = []
    for item, kind in reversed(events):
        same = [one for _, one in left if (one or "").casefold() == (kind or "").casefold()]
        if len(same) < 100:
            left.append((item, kind))
    return left[::-1]


# The slow evaluator ---------------------------------------------------------------------------------------

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Asked:
    """One request."""

    user: str = "u0"
    item: str | None = None
    now: float = 0.0
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


def allowed(shop: ShopData, filter: Filter, asked: Asked) -> set[str]:
    """Ids of the items that may be answered, item by item as spec/filters.md section 4 says it."""
    everything = {f"i{number}" for number in range(len(shop.items))}
    applied = [one for one in filter.expressions if _applies(shop, one, asked)]
    sets = {
        action: [
            {item for item in everything if _in_set(shop, item, one, asked)} for one in applied if one.action == action
        ]
        for action in ("INCLUDE", "EXCLUDE")
    }
    included = set.union(*sets["INCLUDE"]) if sets["INCLUDE"] else everything
    return included.difference(*sets["EXCLUDE"])


def _applies(shop: ShopData, expression: Expression, asked: Asked) -> bool:
    if any(use.name not in asked.values for use, _ in tree.placeholders(expression)):
        return False
    number = int(asked.user[1:])
    user = shop.users[number] if number < len(shop.users) else None
    for condition in tree.conditions(expression.user):
        if user is None:
            return False
        cell = asked.user if condition.field.column == "USER_ID" else user.get(condition.field.column)
        if cell is None or not _true(condition, _parts(cell), shop, asked):
            return False
    return True


def _in_set(shop: ShopData, item: str, expression: Expression, asked: Asked) -> bool:
    first = next(tree.conditions(expression.where))
    if first.field.dataset == "INTERACTIONS":
        types = _types_of(shop, item, asked.user)
        return bool(types) and _holds(expression.where, shop, asked, {"EVENT_TYPE": types})
    record = shop.items[int(item[1:])]
    return record is not None and _holds(expression.where, shop, asked, {**record, "ITEM_ID": item})


def _types_of(shop: ShopData, item: str, user: str) -> list[str]:
    """Types of the newest hundred of each type that are with the item."""
    newest = [(i, (k or "").casefold()) for i, k in shop.streamed.get(user, ())]
    newest += [(i, (k or "").casefold()) for i, k in reversed(shop.events.get(user, ()))]
    kinds = {kind for _, kind in newest}
    return [kind for kind in kinds if item in [i for i, k in newest if k == kind][:100]]


def _holds(where: Where, shop: ShopData, asked: Asked, record: Record) -> bool:
    if isinstance(where, Condition):
        return _true(where, _parts(record.get(where.field.column)), shop, asked)
    found = [_holds(term, shop, asked, record) for term in where.terms]
    return all(found) if isinstance(where, AllOf) else any(found)


def _parts(cell: Any) -> list[Any]:
    if cell is None or isinstance(cell, list):
        return cell or []
    return cell.split("|") if isinstance(cell, str) else [cell]


def _true(condition: Condition, parts: list[Any], shop: ShopData, asked: Asked) -> bool:
    wanted = _right_side(condition, shop, asked)
    if condition.field.type == "float":
        wanted, parts = _single(wanted), _single(parts)
    match condition.operator:
        case "NOT IN":
            return not any(part in wanted for part in parts)
        case "!=":
            return bool(parts) and bool(wanted) and not any(part in wanted for part in parts)
        case "IN" | "=" | "IS":
            return any(part in wanted for part in parts) or (
                "*" in wanted and condition.field.dataset == "INTERACTIONS"
            )
        case comparison:
            return any(_COMPARE[comparison](part, one) for part in parts for one in wanted)


def _right_side(condition: Condition, shop: ShopData, asked: Asked) -> list[Any]:
    found: list[Any] = []
    operand = condition.operand
    for one in operand.values if isinstance(operand, Listed) else (operand,):
        if isinstance(one, Placeholder):
            kind = condition.field.type
            given = asked.values[one.name]
            of_events = condition.field.dataset == "INTERACTIONS"
            found += [v.casefold() if of_events else v if kind == "string" else float(v) for v in given]
        elif isinstance(one, Moment):
            found.append(asked.now + one.offset)
        elif isinstance(one, Anything):
            found.append("*")
        elif isinstance(one, tree.Field):
            number = -1 if asked.item is None else int(asked.item[1:])
            record = shop.items[number] if 0 <= number < len(shop.items) else None
            cell = _parts(None if record is None else {**record, "ITEM_ID": asked.item}.get(one.column))
            found += _single(cell) if one.type == "float" else cell
        else:
            found.append(one.value)  # type: ignore[union-attr]
    return found


def _single(numbers: Sequence[Any]) -> list[float]:
    """What a column of single precision holds of them."""
    return [float(np.float32(one)) for one in numbers]
