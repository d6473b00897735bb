"""A version that real stages made, made a second time in a clone with nothing in its caches; and a clone to work in.

aws-popularity-count on events that were only streamed: the least that goes through every stage.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import Connection, text

from pipelines import code_digest
from pipelines.platform.finding import NotFound
from pipelines.platform.reproduce_command import Proof, checkout, reproduce
from pipelines.platform.reproduce_views import show
from pipelines.recipes import packages
from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.registry.store import Resource
from pipelines.repository import GroupRepository
from pipelines.repository.clones import Clone
from pipelines.settings import Settings
from pipelines.versions import VersionFailed, claim
from pipelines.versions import reproduce as make
from pipelines.versions.lookup import NO_LONGER_REPRODUCIBLE
from pipelines.versions.proving import Difference, differences
from tests.support.registry import add_dataset, add_group, add_solution, add_version

RECIPE = "arn:aws:personalize:::recipe/aws-popularity-count"


def quiet(_line: str) -> None:
    """What stages print."""


@pytest.fixture
def conn(settings: Settings) -> Iterator[Connection]:
    database = engine(settings, pool_size=1)
    with database.connect() as connection:
        yield connection
    database.dispose()


@pytest.fixture
def version(conn: Connection, settings: Settings) -> Resource:
    """Made from 1,200 events."""
    with conn.begin():
        group = add_group(conn)
        add_dataset(conn, group)
        found = add_version(conn, add_solution(conn, group, "popular", recipeArn=RECIPE), status=store.CREATE_PENDING)
        conn.execute(
            text(
                "INSERT INTO openpersonalize.events (group_id, user_key, user_id, session_id, event_id, event_type, "
                "item_id, sent_at) SELECT :group, 'u' || n / 30, 'u' || n / 30, 's' || n / 30, 'e' || n, 'watch', "
                "'i' || n * n * 7 % 61, 1600000000 + n * 60 FROM generate_series(1, 1200) n"
            ),
            {"group": group.id},
        )
    claim(settings, found.id)
    make(settings, found.id)
    with conn.begin():
        return store.update(conn, found.id, status=store.ACTIVE)


def shown(proof: Proof) -> str:
    console = Console(width=150, file=io.StringIO())
    show(console, proof)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.soak
def test_a_version_is_proven_refused_with_other_code_and_cloned_to_work_in(
    conn: Connection, settings: Settings, version: Resource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One test: a version of its own for each would cost ten CPU seconds.
    short = version.arn.rpartition("/")[2]
    proof = reproduce(settings, short, anyway=False, on_line=quiet)
    assert (proof.differences, proof.holds) == ([], True)
    outputs = {output.path: output for output in proof.outputs or ()}
    assert outputs.keys() >= {"data/prepared", "data/model", "data/artefact", "data/reports/metrics.json"}
    assert f"all {len(outputs)} outputs are bit-identical" in shown(proof)
    one = outputs["data/model"]
    text = shown(replace(proof, outputs=[replace(one, made="0" * 32), one]))
    assert "DIFFERENT" in text and "NOT reproduced: 1 of 2 outputs differ; the code is the recorded one" in text

    monkeypatch.setattr(code_digest, "code_digest", lambda: "other")
    real = packages.lock
    monkeypatch.setattr(packages, "lock", lambda recipe: real(recipe).replace("numpy==", "numpy==0."))
    refused = reproduce(settings, short, anyway=False, on_line=quiet)
    assert refused.outputs is None and not refused.holds
    assert [one.what for one in refused.differences] == ["its source", "numpy"]
    assert "Nothing was run" in shown(refused) and "--anyway" in shown(refused)

    folder = tmp_path / "work"
    tag = checkout(settings, short, folder)
    clone = Clone(folder, tmp_path / "site")
    assert clone.git("rev-parse", "HEAD") == GroupRepository(settings, str(version.group_id)).commit(tag)
    said = clone.dvc(["status"], ["repro"])
    assert "Data and pipelines are up to date." in said
    assert clone.git("status", "--porcelain") == ""
    assert (folder / "requirements.lock").read_text() == real(_recipe())
    with pytest.raises(NotFound, match="is there already"):
        checkout(settings, short, folder)


def _recipe():
    from pipelines.recipes.catalogue import recipe_by_arn

    found = recipe_by_arn(RECIPE)
    assert found is not None
    return found


def test_versions_that_cannot_be_made_again_say_why(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
        failed = add_version(conn, solution, "0000000a", status=store.CREATE_FAILED)
        store.update(conn, failed.id, failure_reason="Too few.")
        mark = {NO_LONGER_REPRODUCIBLE: {"job": "arn:job", "when": "2026-05-04T01:02:03+00:00"}}
        add_version(conn, solution, "0000000b", tag="sv/x/y", **mark)
        add_version(conn, solution, "0000000c", tag="sv/x/z", dropped={"at": "2026-05-04T01:02:03+00:00"})
    for given, error, words in (
        ("0000000a", NotFound, r"is CREATE FAILED: Too few\.; nothing of it is committed"),
        ("0000000b", VersionFailed, "users in its data were deleted on 2026-05-04 by arn:job"),
        ("0000000c", NotFound, "was dropped on 2026-05-04 by `openpersonalize gc`"),
        ("0000000b.3", NotFound, "has no update 3; kept are: none"),
        ("0000000d", NotFound, "there is no solution version '0000000d'"),
    ):
        with pytest.raises(error, match=words):
            reproduce(settings, given, anyway=True, on_line=quiet)


def test_what_an_older_release_did_not_record_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {"code": {"version": "0.0.9", "digest": "d"}, "solution": {"recipe": "aws-popularity-count"}}
    monkeypatch.setattr("pipelines.versions.proving.committed_yaml", lambda *_: recorded)
    found = differences(GroupRepository(Settings(home=Path("/nowhere")), "g"), "sv/a/b")
    assert [one.what for one in found] == ["openpersonalize", "its source", "packages"]
    assert found[0] == Difference("openpersonalize", "0.0.9", found[0].installed)
    assert found[2].recorded == "not recorded, by an older release"
