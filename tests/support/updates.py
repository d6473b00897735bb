"""What tests of updates share: versions and updates that are made without training, new items and events."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from sqlalchemy import Connection, text

from pipelines import stages_definition

_TINY = """
import json, pathlib, shutil, sys, yaml
if {fails!r}:
    sys.exit("failureReason: " + {fails!r})
shutil.copytree({artefact!r}, "data/artefact")
manifest = pathlib.Path("data/artefact/manifest.json")
update = yaml.safe_load(pathlib.Path("params.yaml").read_text())["update"]
manifest.write_text(json.dumps({{**json.loads(manifest.read_text()), **update}}))
pathlib.Path("data/reports/update.json").write_text(json.dumps({{"interactions": 7, "items": 40}}))
"""
_EVENTS = text(
    """
    INSERT INTO openpersonalize.events
        (group_id, user_key, user_id, session_id, event_id, event_type, item_id, sent_at, impression)
    SELECT :group, :user || n % :users, :user || n % :users, 's' || n % :users, :name || n, 'watch',
           :item || n * 7919 % :items, :since + n, NULL
    FROM generate_series(1::bigint, :count) AS n
    """
)
_ITEMS = text(
    """
    INSERT INTO openpersonalize.records (dataset_id, record_id, properties)
    SELECT :dataset, :name || n, CAST(:properties AS jsonb) FROM generate_series(1, :count) AS n
    """
)


def quick_stages(patch: pytest.MonkeyPatch) -> None:
    """Have versions prepared as always, and made without training (quick_fit.py)."""
    document = yaml.safe_load(stages_definition.group_dvc_yaml())
    fit = {
        "cmd": f"python {Path(__file__).with_name('quick_fit.py')}",
        "deps": ["data/prepared"],
        "params": document["stages"]["package"]["params"],
        "outs": [
            "data/model",
            "data/artefact",
            {"data/reports/hpo.json": {"cache": False}},
            {"data/reports/metrics.json": {"cache": False}},
        ],
    }
    made = yaml.safe_dump({"stages": {"prepare": document["stages"]["prepare"], "fit": fit}}, sort_keys=False)
    patch.setattr(stages_definition, "group_dvc_yaml", lambda: made)


def tiny_update(patch: pytest.MonkeyPatch, work: Path, artefact: Path, fails: str = "") -> None:
    """Updates that copy `artefact` and say in it what an update says; `fails`: the reason that their stage gives."""
    script = work / "update.py"
    script.write_text(_TINY.format(fails=fails, artefact=str(artefact)))
    stage = {
        "cmd": f"python {script}",
        "deps": ["data/inputs/streamed", "data/inputs/before/streamed", "data/prepared", "data/model"],
        "params": ["update"],
        "outs": ["data/artefact", {"data/reports/update.json": {"cache": False}}],
    }
    made = yaml.safe_dump({"stages": {"update": stage}}, sort_keys=False)
    patch.setattr(stages_definition, "update_dvc_yaml", lambda: made)


def put_events(
    conn: Connection,
    group_id: str,
    count: int,
    *,
    users: int,
    items: int,
    name: str,
    since: float,
    user: str = "u",
    item: str = "i",
) -> None:
    """`count` events of users u0, u1, ... with items i0, i1, ..., one a second; `name` tells their ids from others'."""
    given = {"group": group_id, "count": count, "users": users, "items": items, "name": name, "since": since}
    given |= {"user": user, "item": item}
    with conn.begin():
        conn.execute(_EVENTS, given)


def put_items(conn: Connection, dataset_id: str, count: int, *, name: str, properties: str) -> None:
    """Items `<name>1`, `<name>2`, ..., all with these properties (JSON), as PutItems stores them."""
    with conn.begin():
        conn.execute(_ITEMS, {"dataset": dataset_id, "count": count, "name": name, "properties": properties})
