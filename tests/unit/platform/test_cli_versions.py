"""The commands about versions as they are typed: what they print, how they end, what they say when it cannot be done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner

from pipelines.platform.cli import app
from pipelines.registry import store
from pipelines.repository import GroupRepository
from pipelines.settings import Settings
from tests.support.registry import add_campaign, add_group, add_solution, add_version


@pytest.fixture
def run(settings: Settings, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """With group shop, its solution taste, and the versions 0000000a and 0000000b, of which b is deployed."""
    monkeypatch.setattr("pipelines.platform.cli_versions.running", lambda: settings)
    with conn.begin():
        solution = add_solution(conn, add_group(conn))
    repository = GroupRepository(settings, str(solution.group_id))
    repository.ensure()
    for end in ("0000000a", "0000000b"):
        with conn.begin():
            version = add_version(conn, solution, end)
            tag = f"sv/{solution.id}/{version.id}"
            store.update(conn, version.id, internal={"tag": tag})
        repository._git("tag", tag, "main")
    with conn.begin():
        add_campaign(conn, version, status=store.ACTIVE)
    return CliRunner()


def test_versions_prints_a_table_or_json(run: CliRunner) -> None:
    assert "0000000b" in run.invoke(app, ["versions", "taste"]).output
    found = json.loads(run.invoke(app, ["versions", "taste", "--json"]).output)
    assert [(one["short"], one["serves"]) for one in found] == [("0000000b", ["home"]), ("0000000a", [])]


def test_gc_looks_first_if_asked_and_wants_a_name_or_all(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    purged: list[str] = []
    monkeypatch.setattr(GroupRepository, "purge", lambda self: purged.append(self.group_id))
    dry = run.invoke(app, ["gc", "taste", "--keep-last", "1", "--dry-run"])
    assert "0000000a  would be dropped" in dry.output and "0000000b  kept: campaign home" in dry.output
    assert not purged
    assert "0000000a  dropped" in run.invoke(app, ["gc", "--all", "--keep-last", "1"]).output
    assert len(purged) == 1
    assert "name a solution, or give --all" in run.invoke(app, ["gc", "--keep-last", "1"]).output
    assert run.invoke(app, ["gc", "taste"]).exit_code == 2, "how many is never guessed"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["versions", "nix"], "there is no solution 'nix'"),
        (["diff", "0000000a", "nix"], "there is no solution version 'nix'"),
        (["reproduce", "0000000a"], "does not have params.yaml"),
        (["checkout", "0000000a", "."], "is there already"),
        (["trace", "nix"], "nothing is known of nix"),
        (["push", "nix", "s3://shop"], "there is no dataset group 'nix'"),
        (["pull", "shop", "gs://shop"], "s3://bucket/prefix, is needed"),
    ],
    ids=["versions", "diff", "reproduce", "checkout", "trace", "push", "pull"],
)
def test_what_cannot_be_done_is_said_in_a_line(run: CliRunner, arguments: list[str], said: str, tmp_path: Path) -> None:
    result = run.invoke(app, arguments)
    assert result.exit_code == 1 and said in result.output, result.output
    assert "Traceback" not in result.output
