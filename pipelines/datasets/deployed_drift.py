"""New interactions beside those that a deployed version was trained on: is it still a model of what happens now?

    new_item_share, new_user_share   share of the new rows with an item, or a user, that the training had no row of
    popularity     Jensen-Shannon distance between how often items are chosen: 0 the same, 1 nothing in common
    event_types    population stability index of the event types' shares
    volume         rows a day, as a multiple of those in training

Compared are the last `RECENT` days of the training and the last `NEW` days of the new rows, both by TIMESTAMP: a model is
old when *now* differs from what was *lately*, and whole weeks on both sides keep a Saturday from being a drift. Only the
novelties look at all of the training, since what it ever saw it knows.

Why these indices. Items come and go, so most of them have rows on one side only, where the stability index, a sum of
logarithms of ratios, has no value of its own; the Jensen-Shannon divergence (Lin, "Divergence measures based on the
Shannon entropy", IEEE Trans. Inf. Theory 37, 1991) is defined there, is at most 1 in bits, and its root is a distance
(Endres and Schindelin, IEEE Trans. Inf. Theory 49, 2003). If a share x of all choices moves from old items to new ones,
it is about 0.23 for x = 10 %, 0.3 for 17 %, 0.41 for 30 % and 0.5 for 42 %. Event types are few and stay, and for
their index there are numbers that people know (0.1, 0.25).

Chance alone moves the distance too, the more the fewer rows: with `TOP` items of each side and ENOUGH_FOR_ITEMS rows
on both it is some 0.2 when nothing has changed, so with fewer it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2, sqrt
from typing import TYPE_CHECKING, Any

from pipelines.datasets.drift import stability_index
from pipelines.datasets.profile_queries import DAY, EXAMPLES, Numbers, share
from pipelines.datasets.schema import EVENT_TYPE, ITEM_ID, TIMESTAMP, USER_ID
from pipelines.datasets.snapshot import Snapshot
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

RECENT, NEW = 28, 7
"""Days."""
ENOUGH, ENOUGH_FOR_ITEMS = 200, 2_000
"""Rows on each side."""
TOP = 100
OTHER = ""


@dataclass(frozen=True)
class Origin:
    """Interactions in files: a snapshot's parts, whose ids are codes, or what was streamed, with ids."""

    files: tuple[Path, ...]
    columns: tuple[str, ...]
    snapshot: Snapshot | None = None
    """Whose dictionaries the codes are of; None: ids."""
    after: float = float("-inf")
    """Only rows with a later TIMESTAMP."""

    @classmethod
    def of(cls, snapshot: Snapshot, parts: Sequence[str] | None = None, after: float = float("-inf")) -> Origin:
        """A snapshot, or some of its parts."""
        names = [part.path for part in snapshot.manifest.parts] if parts is None else parts
        return cls(tuple(snapshot.directory / name for name in names), snapshot.schema.names, snapshot, after)

    def counted(self, column: str, first: float, last: float) -> str:
        """SQL: `id` of the column and its rows `n` in a time."""
        name = quoted(column)
        counts = f"SELECT {name} AS code, count(*) AS n FROM ({self.rows(first, last)}) GROUP BY 1"
        if self.snapshot is None or column not in self.snapshot.schema.id_columns:
            return f"SELECT code AS id, n FROM ({counts})"
        return f"SELECT id, n FROM ({counts}) JOIN ({self.snapshot.dictionary(column)}) USING (code)"

    def rows(self, first: float, last: float) -> str:
        """SQL: rows with `first` <= TIMESTAMP <= `last` that count."""
        paths = ", ".join(text(str(path)) for path in self.files)
        bounds = [f"{TIMESTAMP} <= {last:.0f}"]
        bounds += [f"{TIMESTAMP} >= {first:.0f}"] * (first > float("-inf"))
        bounds += [f"{TIMESTAMP} > {self.after:.0f}"] * (self.after > float("-inf"))
        return f"SELECT * FROM read_parquet([{paths}], union_by_name = true) WHERE {' AND '.join(bounds)}"


@dataclass(frozen=True)
class Side:
    """All rows of one side up to a moment (epoch seconds), behind which TIMESTAMPs are mistakes."""

    connection: DuckDBPyConnection
    origins: tuple[Origin, ...]
    until: float

    def counts(self, column: str, first: float) -> str:
        """SQL: `id`, `n`."""
        each = " UNION ALL ".join(origin.counted(column, first, self.until) for origin in self.origins if origin.files)
        return f"SELECT id, sum(n)::BIGINT AS n FROM ({each or 'SELECT NULL::VARCHAR AS id, 0 AS n WHERE false'}) GROUP BY 1"

    def span(self, first: float = float("-inf")) -> tuple[int, int, int]:
        """Rows, and their first and last TIMESTAMP; 0, 0, 0 of none."""
        each = " UNION ALL ".join(
            f"SELECT count(*) AS n, min({TIMESTAMP}) AS a, max({TIMESTAMP}) AS b FROM ({origin.rows(first, self.until)})"
            for origin in self.origins
            if origin.files
        )
        if not each:
            return 0, 0, 0
        [found] = self.connection.execute(f"SELECT sum(n), min(a), max(b) FROM ({each})").fetchall()
        return int(found[0]), int(found[1] or 0), int(found[2] or 0)

    @property
    def has_types(self) -> bool:
        return all(EVENT_TYPE in origin.columns for origin in self.origins if origin.files)

    def select(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of an answer: only for queries with few."""
        return self.connection.execute(query).fetchall()


def compare(trained: Side, new: Side) -> Numbers:
    """Numbers `deployed:…`; None of what cannot be said from so few rows."""
    found = Numbers()
    lately, now = trained.span()[2] - RECENT * DAY, new.span()[2] - NEW * DAY
    old_rows, new_rows = trained.span(lately), new.span(now)
    found.row["deployed:rows"] = new_rows[0]
    if min(old_rows[0], new_rows[0]) < ENOUGH:
        return found
    for column, thing in ((ITEM_ID, "item"), (USER_ID, "user")):
        _novelty(found, thing, trained, new.counts(column, now), column, new_rows[0])
    if min(old_rows[0], new_rows[0]) >= ENOUGH_FOR_ITEMS:
        _popularity(found, trained, lately, new, now)
    if trained.has_types and new.has_types:
        _types(found, trained, lately, new, now)
    days = [(last - first) / DAY for _, first, last in (old_rows, new_rows)]
    if min(days) >= 1:
        per_day = [rows[0] / length for rows, length in zip((old_rows, new_rows), days, strict=True)]
        found.row["deployed:volume"] = per_day[1] / per_day[0]
        found.examples["deployed:volume"] = [f"{per_day[0]:,.0f} rows a day in training, {per_day[1]:,.0f} now"]
    return found


def _novelty(found: Numbers, thing: str, trained: Side, counts: str, column: str, rows: int) -> None:
    unknown = f"SELECT id, n FROM ({counts}) ANTI JOIN ({trained.counts(column, float('-inf'))}) USING (id)"
    name = f"deployed:new_{thing}_share"
    [(different, new)] = trained.select(f"SELECT count(*), coalesce(sum(n), 0)::BIGINT FROM ({unknown})")
    found.row[name] = share(new, rows)
    if different:
        first = trained.select(f"SELECT id, n FROM ({unknown}) ORDER BY n DESC, id LIMIT {EXAMPLES}")
        found.examples[name] = [
            f"{different:,} new {thing}{'s' if different > 1 else ''} in {new:,} of {rows:,} rows",
            *(f"{id}: {n:,} rows" for id, n in first),
        ]


def _popularity(found: Numbers, trained: Side, lately: float, new: Side, now: float) -> None:
    sides = [trained.counts(ITEM_ID, lately), new.counts(ITEM_ID, now)]
    both = f"SELECT id, coalesce(o.n, 0) AS old, coalesce(n.n, 0) AS new FROM ({sides[0]}) o FULL JOIN ({sides[1]}) n USING (id)"
    top = (
        f"SELECT *, row_number() OVER (ORDER BY old DESC, id) <= {TOP} OR row_number() OVER (ORDER BY new DESC, id) <= {TOP} "
        f"AS named FROM ({both})"
    )
    rows = trained.select(
        f"SELECT CASE WHEN named THEN id ELSE '{OTHER}' END, sum(old)::BIGINT, sum(new)::BIGINT FROM ({top}) GROUP BY 1 ORDER BY 1"
    )
    old, now_ = ({row[0]: row[place] for row in rows} for place in (1, 2))
    found.row["deployed:popularity"] = distance(list(old.values()), list(now_.values()))
    _most_moved(found, "deployed:popularity", old, now_)


def _types(found: Numbers, trained: Side, lately: float, new: Side, now: float) -> None:
    old, now_ = (
        {id or "(none)": n for id, n in side.select(side.counts(EVENT_TYPE, first))}
        for side, first in ((trained, lately), (new, now))
    )
    found.row["deployed:event_types"] = stability_index(old, sum(old.values()), now_, sum(now_.values()))
    _most_moved(found, "deployed:event_types", old, now_)


def _most_moved(found: Numbers, name: str, old: dict[str, int], new: dict[str, int]) -> None:
    shares = {
        id: (share(old.get(id, 0), sum(old.values())), share(new.get(id, 0), sum(new.values())))
        for id in {**old, **new}
        if id != OTHER
    }
    most = sorted(shares, key=lambda id: (-abs(shares[id][1] - shares[id][0]), id))[:EXAMPLES]
    found.examples[name] = [
        f"{id}: {100 * shares[id][0]:.3g} % in training, {100 * shares[id][1]:.3g} % now" for id in most
    ]


def distance(old: Sequence[int], new: Sequence[int]) -> float:
    """Jensen-Shannon distance of two distributions given as counts of the same things, from 0 to 1."""
    divergence = 0.0
    for a, b in zip(old, new, strict=True):
        p, q = a / sum(old), b / sum(new)
        middle = (p + q) / 2
        divergence += sum(0.5 * one * log2(one / middle) for one in (p, q) if one)
    return sqrt(max(divergence, 0.0))
