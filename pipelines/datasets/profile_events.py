"""Events (Interactions, Action_Interactions): when, by whom, with what, and what no person does.

The part is sorted by user and time, so the pace of a user is a comparison with the row n rows before: no sort, no
window in memory. All else is grouped by integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.datasets.profile_queries import DAY, EXAMPLES, Numbers, Part, Shape, ids, over_time, share
from pipelines.datasets.schema import ACTION_ID, EVENT_TYPE, ITEM_ID, TIMESTAMP, USER_ID
from pipelines.datasets.values import quoted, text

if TYPE_CHECKING:
    import pyarrow as pa

    from pipelines.datasets.profile import Surroundings
    from pipelines.datasets.snapshot import Snapshot

ANCIENT = 631_152_000
"""1990-01-01. Nobody clicked before it."""
RUSH, RUSH_SECONDS = 1_000, 3_600
BURST = 100
THINGS = {USER_ID: "user", ITEM_ID: "item", ACTION_ID: "action"}
SCORED_FROM = 50


def measure(part: Part, around: Surroundings) -> Numbers:
    """All numbers of an event log's part."""
    numbers = Numbers()
    _times(part, numbers, around.as_of)
    for column in part.schema.id_columns:
        _ids(part, numbers, column)
        if around.previous is not None:
            numbers.row[f"drift:new_{THINGS[column]}s"] = new_share(part, around.previous, column, _per(column))
        if column in around.known:
            _unknown(part, numbers, column, around.known[column], full=not around.incremental)
    _machines(part, numbers)
    if ACTION_ID in part.schema.id_columns:
        numbers.row["scored_actions"] = _scored(part)
    return numbers


# Time -----------------------------------------------------------------------------------------------


def _times(part: Part, numbers: Numbers, as_of: float | None) -> None:
    future = f"{TIMESTAMP} > {int(as_of) + DAY}" if as_of is not None else "false"
    ancient = f"{TIMESTAMP} < {ANCIENT}"
    first, last, late, early = part.one(
        f"SELECT min({TIMESTAMP}), max({TIMESTAMP}), count(*) FILTER ({future}), count(*) FILTER ({ancient}) FROM part"
    )
    covered = last - first if part.rows else 0
    numbers.row |= {
        "first_timestamp": first,
        "last_timestamp": last,
        "seconds_covered": covered,
        "future_share": share(late, part.rows),
        "ancient_share": share(early, part.rows),
        "longest_gap": 0,
    }
    if late:
        numbers.examples["future_share"] = part.cells(TIMESTAMP, future, "DESC")
    if early:
        numbers.examples["ancient_share"] = part.cells(TIMESTAMP, ancient, "ASC")
    if part.rows:
        step = 3_600 if covered > 4 * DAY else 60
        part.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE moments AS SELECT ({TIMESTAMP} // {step})::INTEGER AS moment, count(*) AS n "
            f"FROM part GROUP BY 1"
        )
        counts = part.select(f"SELECT moment::BIGINT * {step}, n FROM moments ORDER BY 1")
        numbers.shapes += over_time(counts, "time", "Rows over time", "rows")
        _holes(part, numbers, DAY // step)


def _holes(part: Part, numbers: Numbers, per_day: int) -> None:
    """Days without rows where at least five of the seven days before and after have some."""
    week = "count(*) OVER (ORDER BY day RANGE BETWEEN"
    found = part.select(
        f"WITH days AS (SELECT DISTINCT moment // {per_day} AS day FROM moments), "
        f"around AS (SELECT day, lead(day) OVER (ORDER BY day) AS next, {week} 6 PRECEDING AND CURRENT ROW) AS before, "
        f"{week} CURRENT ROW AND 6 FOLLOWING) AS after FROM days), "
        f"gaps AS (SELECT day, next, before, lead(after) OVER (ORDER BY day) AS after FROM around) "
        f"SELECT (make_date(day::INTEGER + 1))::VARCHAR, (make_date(next::INTEGER - 1))::VARCHAR, next - day - 1 AS length "
        f"FROM gaps WHERE next - day > 1 AND before >= 5 AND after >= 5 ORDER BY length DESC, day"
    )
    if found:
        numbers.row["longest_gap"] = found[0][2]
        numbers.examples["longest_gap"] = [
            f"no rows from {first} to {last} ({days} days)" if days > 1 else f"no rows on {first}"
            for first, last, days in found[:EXAMPLES]
        ]


# Users, items and actions ---------------------------------------------------------------------------


def _per(column: str) -> str:
    """The table of rows by code (code, n)."""
    return quoted(f"per {column}")


def _ids(part: Part, numbers: Numbers, column: str) -> None:
    thing, per = THINGS[column], _per(column)
    part.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {per} AS SELECT {quoted(column)} AS code, count(*) AS n FROM part GROUP BY 1"
    )
    different, several, most = part.one(f"SELECT count(*), count(*) FILTER (n >= 2), max(n) FROM {per}")
    numbers.row |= {f"{thing}s": different, f"top_{thing}_share": share(most or 0, part.rows)}
    if column == USER_ID:
        numbers.row |= {"returning_users": several, "returning_share": share(several, different)}
    numbers.examples[f"top_{thing}_share"] = [
        f"{id}: {n:,} rows ({100 * share(n, part.rows):.3g} %)"
        for id, n in part.select(
            f"SELECT id, n FROM (FROM {per} ORDER BY n DESC, code LIMIT {EXAMPLES}) JOIN {ids(column)} USING (code) "
            f"ORDER BY n DESC, code"
        )
    ]
    found = part.select(f"SELECT floor(log2(n))::INTEGER AS bin, count(*) FROM {per} GROUP BY 1 ORDER BY 1")
    bars = [("1" if b == 0 else f"{1 << b:,}-{(1 << (b + 1)) - 1:,}", int(n)) for b, n in found]
    if bars:
        numbers.shapes.append(Shape(f"per {column}", f"Rows per {thing}", f"{thing}s", bars))


def _unknown(part: Part, numbers: Numbers, column: str, known: pa.Array, *, full: bool) -> None:
    """Rows whose item (user, action) the group's dataset does not hold, and the other way round."""
    import pyarrow as pa

    thing = THINGS[column]
    part.connection.register("known", pa.table({"id": known}))
    strangers = f"(SELECT * FROM {_per(column)} JOIN {ids(column)} USING (code) ANTI JOIN known USING (id))"
    rows, different = part.one(f"SELECT COALESCE(sum(n), 0), count(*) FROM {strangers}")
    numbers.row[f"unknown_{thing}_share"] = share(int(rows), part.rows)
    if different:
        first = part.select(f"SELECT id, n FROM {strangers} ORDER BY n DESC, id LIMIT {EXAMPLES}")
        numbers.examples[f"unknown_{thing}_share"] = [
            f"{different:,} unknown {thing}{'s' if different > 1 else ''} in {int(rows):,} rows",
            *(f"{id}: {n:,} rows" for id, n in first),
        ]
    if full and column == ITEM_ID and len(known):
        seen = f"(SELECT id FROM {_per(column)} JOIN {ids(column)} USING (code))"
        [idle] = part.one(f"SELECT count(*) FROM known ANTI JOIN {seen} USING (id)")
        numbers.row["idle_item_share"] = share(idle, len(known))
        some = part.select(f"SELECT id FROM known ANTI JOIN {seen} USING (id) ORDER BY id LIMIT {EXAMPLES}")
        numbers.examples["idle_item_share"] = [str(id) for (id,) in some]
    part.connection.unregister("known")


def new_share(part: Part, previous: Snapshot, column: str, codes: str) -> float | None:
    """The share of the ids (`codes`: a relation with each code once) that the dataset never had; None if it had none at all."""
    paths = [previous.directory / segment.path for segment in previous.manifest.dictionaries.get(column, ())]
    if not paths:
        return None
    files = ", ".join(text(str(path)) for path in paths)
    used = f"(SELECT id FROM {codes} JOIN {ids(column)} USING (code))"
    whole, new = part.one(
        f"SELECT (SELECT count(*) FROM {used}), (SELECT count(*) FROM {used} ANTI JOIN read_parquet([{files}]) USING (id))"
    )
    return share(new, whole)


# Machines -------------------------------------------------------------------------------------------


def _machines(part: Part, numbers: Numbers) -> None:
    """Users with a thousand events in an hour, or a hundred in a second; full hours are dates, not seconds."""
    before = f"lag({TIMESTAMP}, {RUSH - 1}) OVER ()", f"lag({USER_ID}, {RUSH - 1}) OVER ()"
    at_once = f"lag({TIMESTAMP}, {BURST - 1}) OVER ()", f"lag({USER_ID}, {BURST - 1}) OVER ()"
    rush = f"rush_user = {USER_ID} AND {TIMESTAMP} - rush_time < {RUSH_SECONDS}"
    burst = f"burst_user = {USER_ID} AND {TIMESTAMP} = burst_time AND {TIMESTAMP} % 3600 <> 0"
    part.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE machines AS "
        f"SELECT {USER_ID} AS code, count(*) FILTER ({rush}) AS rush, count(*) FILTER ({burst}) AS burst FROM "
        f"(SELECT {USER_ID}, {TIMESTAMP}, {before[0]} AS rush_time, {before[1]} AS rush_user, "
        f"{at_once[0]} AS burst_time, {at_once[1]} AS burst_user FROM part) WHERE ({rush}) OR ({burst}) GROUP BY 1"
    )
    for number, found, words in (
        ("rushing_users", "rush", f"{RUSH:,} events within an hour"),
        ("bursting_users", "burst", f"{BURST:,} events in one second"),
    ):
        [numbers.row[number]] = part.one(f"SELECT count(*) FILTER ({found} > 0) FROM machines")
        worst = part.select(
            f"SELECT id, n FROM machines JOIN {_per(USER_ID)} USING (code) JOIN {ids(USER_ID)} USING (code) "
            f"WHERE {found} > 0 ORDER BY {found} DESC, code LIMIT {EXAMPLES}"
        )
        numbers.examples[number] = [f"{id}: {words} or more, {n:,} events in all" for id, n in worst]


def _scored(part: Part) -> int:
    """Actions of which a model can learn a score."""
    taken = f"count(*) FILTER ({EVENT_TYPE} = 'TAKEN') >= {SCORED_FROM}"
    other = f"count(*) FILTER ({EVENT_TYPE} IN ('NOT_TAKEN', 'VIEWED')) >= {SCORED_FROM}"
    query = f"SELECT count(*) FROM (SELECT {ACTION_ID} FROM part GROUP BY 1 HAVING {taken} AND {other})"
    return int(part.one(query)[0])
