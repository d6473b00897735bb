"""A small shop with something to learn: four tastes, users who mostly stay with theirs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

INTERACTIONS: dict[str, Any] = {
    "type": "record",
    "name": "Interactions",
    "namespace": "com.amazonaws.personalize.schema",
    "version": "1.0",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "ITEM_ID", "type": "string"},
        {"name": "EVENT_TYPE", "type": "string"},
        {"name": "TIMESTAMP", "type": "long"},
    ],
}
ITEMS: dict[str, Any] = {
    **INTERACTIONS,
    "name": "Items",
    "fields": [
        {"name": "ITEM_ID", "type": "string"},
        {"name": "GENRES", "type": ["null", "string"], "categorical": True},
    ],
}
USERS: dict[str, Any] = {
    **INTERACTIONS,
    "name": "Users",
    "fields": [
        {"name": "USER_ID", "type": "string"},
        {"name": "GENDER", "type": ["null", "string"], "categorical": True},
    ],
}
SCHEMAS = {"INTERACTIONS": INTERACTIONS, "ITEMS": ITEMS, "USERS": USERS}


def write(folder: Path, *, users: int = 120, items: int = 100, events: int = 30, seed: int = 5) -> dict[str, Path]:
    """CSV files of the three dataset types under `folder`; `users * events` interactions."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    taste = items // 4
    rows = ["USER_ID,ITEM_ID,EVENT_TYPE,TIMESTAMP"]
    for user in range(users):
        for n in range(events):
            near = (user % 4) * taste + min(int(rng.expovariate(8 / taste)), taste - 1)
            item = near if rng.random() < 0.85 else rng.randrange(items)
            rows.append(f"u{user},i{item},watch,{1_600_000_000 + user * 1000 + n * 3600}")
    genres = ("Action", "Comedy|Drama", "Drama", "Action|Horror")
    files = {
        "INTERACTIONS": rows,
        "ITEMS": ["ITEM_ID,GENRES", *(f"i{i},{genres[i // taste % 4]}" for i in range(items))],
        "USERS": ["USER_ID,GENDER", *(f"u{u},{'MF'[u % 2]}" for u in range(users))],
    }
    paths = {kind: folder / f"{kind.lower()}.csv" for kind in files}
    for kind, lines in files.items():
        paths[kind].write_text("\n".join(lines) + "\n")
    return paths
