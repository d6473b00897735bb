"""Two snapshots held against each other, where the second has parts of several imports."""

from __future__ import annotations

from pathlib import Path

from pipelines.datasets.comparing import compare
from tests.support.imports import interactions, run, text


def test_rows_that_two_parts_hold_count_once(tmp_path: Path) -> None:
    old = run(tmp_path, "INTERACTIONS", text(interactions(600)), name="one").snapshot
    # A hundred of them came before.
    new = run(
        tmp_path,
        "INTERACTIONS",
        text(interactions(500, start=500)),
        name="two",
        previous=old,
        incremental=True,
    ).snapshot
    assert len(new.manifest.parts) == 2 and new.rows == 1100
    found = compare(old, new, ("a", "b"), tmp_path / "work")
    assert (found.before["rows"], found.after["rows"]) == (600, 1000)
    assert found.drift["rows"] == 1000 / 600
    assert found.drift["filled:EVENT_TYPE"] == 0 and found.drift["EVENT_TYPE"] < 0.01
    assert (found.drift["new_users"], found.drift["new_items"]) == (0, 0)
    assert found.examples["rows"] == ["600 in a, 1,000 now"]


def test_items_that_changed_are_compared_by_their_values(tmp_path: Path) -> None:
    header = "ITEM_ID,GENRES,PRICE,DESCRIPTION,CREATION_TIMESTAMP"

    def items(genre: str, count: int) -> bytes:
        return text([f"i{n},{genre if n % 2 else 'Drama'},{n},,{1_600_000_000 + n}" for n in range(count)], header)

    old = run(tmp_path, "ITEMS", items("Action", 300), name="one").snapshot
    new = run(tmp_path, "ITEMS", items("Comedy", 400), name="two", previous=old).snapshot
    found = compare(old, new, ("a", "b"), tmp_path / "work")
    assert found.drift["new_items"] == 0.25
    assert found.drift["GENRES"] > 0.25
    assert any("Action: 50 % in a, 0 % now" in line for line in found.examples["GENRES"])
    assert "popularity" not in found.drift and "volume" not in found.drift
