"""Any of ten versions, taken at random, made again in a second clone with nothing in its caches: the same checksums.

With other recipes, hyperparameters and data, and an UPDATE among them.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from pipelines.platform.reproduce_command import Proof, reproduce
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.settings import Settings
from pipelines.versions import claim
from pipelines.versions import reproduce as make
from pipelines.versions.lookup import BASE
from tests.support import shop
from tests.support.registry import add_dataset, add_solution, add_version
from tests.support.versions import World, commit, make_world

pytestmark = pytest.mark.soak

RECIPE = "arn:aws:personalize:::recipe/aws-"
SEED = 6
TAKEN = 3
UPDATED = 1
"""Of KINDS: what the last one has the weights of."""
# Each with other hyperparameters or a filter; the second five after a second import and streamed events.
KINDS: list[tuple[str, dict[str, str], str | None]] = [
    ("popularity-count", {}, None),
    ("user-personalization", {"hidden_dimension": "32"}, None),
    ("sims", {}, None),
    ("sims", {"popularity_discount_factor": "0.2"}, None),
    ("popularity-count", {}, "watch"),
    ("popularity-count", {}, None),
    ("sims", {"popularity_discount_factor": "0.8"}, None),
    ("sims", {"min_cointeraction_count": "2"}, "watch"),
    ("hrnn", {"hidden_dimension": "40", "bptt": "8"}, None),
    ("user-personalization", {"hidden_dimension": "32"}, None),
]


def import_all(conn: Connection, world: World, work: Path, seed: int) -> None:
    from pipelines.datasets.example import build_snapshot

    for kind, path in shop.write(work / f"csv-{seed}", users=60, items=60, seed=seed).items():
        with conn.begin():
            there = {one.doc["datasetType"]: one for one in store.in_group(conn, world.group.id, "Dataset")}
            dataset = there.get(kind) or add_dataset(conn, world.group, kind)
        build_snapshot(path, shop.SCHEMAS[kind], kind, work / "snapshot")
        commit(conn, world, dataset, work / "snapshot", job=f"{seed:016x}")


def stream(conn: Connection, world: World) -> None:
    with conn.begin():
        conn.execute(
            text(
                "INSERT INTO openpersonalize.events (group_id, user_key, user_id, session_id, event_id, event_type, "
                "item_id, sent_at) SELECT :group, 'u' || n % 60, 'u' || n % 60, 's' || n % 60, 'e' || n, 'watch', "
                "'i' || n * 7 % 60, 1700000000 + n FROM generate_series(1, 300) n"
            ),
            {"group": world.group.id},
        )


def trained(conn: Connection, world: World, number: int, base: Resource | None = None) -> Resource:
    """A version of a new solution, or an UPDATE that has the weights of `base`, of its solution."""
    recipe, hyperparameters, event_type = KINDS[number]
    with conn.begin():
        if base is None:
            solution = add_solution(
                conn, world.group, f"kind-{number}", recipeArn=RECIPE + recipe, eventType=event_type
            )
        else:
            solution = store.get(conn, id=base.parent_id) or world.solution
        version = add_version(conn, solution, f"{number:08x}", status=store.CREATE_PENDING)
        internal = {} if base is None else {BASE: base.id}
        config = {"solutionConfig": {"algorithmHyperParameters": hyperparameters}}
        store.update(conn, version.id, doc=config, internal=internal)
    claim(world.settings, version.id)
    make(world.settings, version.id)
    with conn.begin():
        return store.update(conn, version.id, status=store.ACTIVE)


def test_three_of_ten_versions_taken_at_random_come_out_the_same(
    conn: Connection, settings: Settings, tmp_path: Path
) -> None:
    world = make_world(conn, settings)
    import_all(conn, world, tmp_path, seed=1)
    versions = [trained(conn, world, number) for number in range(5)]
    import_all(conn, world, tmp_path, seed=2)
    stream(conn, world)
    versions += [trained(conn, world, number) for number in range(5, 9)]
    versions.append(trained(conn, world, 9, base=versions[UPDATED]))

    taken = random.Random(SEED).sample(versions, TAKEN)
    proofs = [reproduce(settings, version.id, anyway=False, on_line=print) for version in taken]

    assert [(proof.differences, proof.holds) for proof in proofs] == [([], True)] * TAKEN, [*map(shown, proofs)]
    for proof in proofs:
        assert "data/artefact" in {output.path for output in proof.outputs or ()}
    for name in ("clone", "site"):
        assert not (settings.run_dir / "reproduce" / name).exists(), "nothing is left"


def shown(proof: Proof) -> list[str]:
    return [proof.arn, *(output.path for output in proof.outputs or () if not output.is_same)]
