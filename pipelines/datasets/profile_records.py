"""Records (Items, Users, Actions): one row an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.datasets.profile_events import THINGS, new_share
from pipelines.datasets.profile_queries import DAY, EXAMPLES, Numbers, Part, share
from pipelines.datasets.reading import STAGED
from pipelines.datasets.schema import CREATION_TIMESTAMP
from pipelines.datasets.values import quoted

if TYPE_CHECKING:
    from pipelines.datasets.profile import Surroundings

EXPIRATION = "ACTION_EXPIRATION_TIMESTAMP"


def measure(part: Part, around: Surroundings, duplicates: int) -> Numbers:
    """All numbers of a part of records; `duplicates`: rows whose id came again behind them."""
    numbers = Numbers()
    [key] = part.schema.id_columns
    if around.previous is not None and not around.incremental:
        codes = f"(SELECT {quoted(key)} AS code FROM part)"
        numbers.row[f"drift:new_{THINGS[key]}s"] = new_share(part, around.previous, key, codes)
    if duplicates:
        name = quoted(key)
        found = part.select(
            f"SELECT {name}, count(*) FROM {STAGED} GROUP BY 1 HAVING count(*) > 1 ORDER BY 2 DESC, 1 LIMIT {EXAMPLES}"
        )
        numbers.examples["duplicates"] = [f"{id}: {n:,} rows" for id, n in found]
    if around.as_of is not None:
        now = int(around.as_of)
        _moments(part, numbers, CREATION_TIMESTAMP, "future_share", f"> {now + DAY}", "DESC")
        _moments(part, numbers, EXPIRATION, "expired_share", f"<= {now}", "ASC")
    return numbers


def _moments(part: Part, numbers: Numbers, column: str, number: str, condition: str, order: str) -> None:
    """The share of rows whose time fulfils a condition, with the worst of them."""
    if column not in part.schema.names:
        return
    name = quoted(column)
    [found] = part.one(f"SELECT count(*) FILTER ({name} {condition}) FROM part")
    numbers.row[number] = share(found, part.rows)
    if found:
        numbers.examples[number] = part.cells(column, f"{name} {condition}", order)
