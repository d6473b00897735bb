"""`openpersonalize keys` and `audit` as they are typed, and what else of the command line the audit has."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from pipelines.platform import keys_command, reset
from pipelines.platform.audit_command import BadTime, moment
from pipelines.platform.backup import backup
from pipelines.platform.children import platform_children
from pipelines.platform.cli import app
from pipelines.platform.credentials import Credentials, ensure_access_key
from pipelines.platform.keys_command import KeyRefused
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.restore import restore
from pipelines.platform.source import source_root
from pipelines.platform.upkeep import prune_rows
from pipelines.registry import audit, keys
from pipelines.registry.tables import SCHEMA
from pipelines.settings import Settings, SettingsError
from tests.conftest import ACCESS_KEY_ID, execute, platform_settings
from tests.support.access import audited, make_key
from tests.support.registry import add_group

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setattr("pipelines.platform.cli_access.running", lambda: settings)
    return CliRunner()


def test_a_key_is_made_shown_listed_and_revoked(run: CliRunner, settings: Settings) -> None:
    added = run.invoke(app, ["keys", "add", "web", "--role", "runtime-only"])
    shown = dict(line.removeprefix("export ").split("=", 1) for line in added.stdout.splitlines())
    key_id, secret = shown["AWS_ACCESS_KEY_ID"], shown["AWS_SECRET_ACCESS_KEY"]
    assert (len(key_id), len(secret), len(shown)) == (20, 40, 2)

    listed = run.invoke(app, ["keys", "list"]).stdout
    head, given, made = (line.split("  ") for line in listed.splitlines())
    assert [cell.strip() for cell in head if cell] == ["key id", "name", "role", "created", "last used"]
    assert [cell.strip() for cell in given if cell] == [ACCESS_KEY_ID, "environment", "admin", "with the platform"]
    row = [cell.strip() for cell in made if cell]
    assert (row[0], row[1], row[2], row[4]) == (key_id, "web", "runtime-only", "never")
    assert secret not in listed

    assert run.invoke(app, ["keys", "revoke", key_id]).stdout == f"revoked {key_id} (web)\n"
    assert key_id not in run.invoke(app, ["keys", "list"]).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["keys", "revoke", ACCESS_KEY_ID], "is in OPENPERSONALIZE_ACCESS_KEYS: take it out there"),
        (["keys", "revoke", "AKIANOBODY"], "there is no key 'AKIANOBODY'"),
        (["keys", "add", "two words", "--role", "admin"], "must be 1 to 64 letters"),
        (["keys", "add", "taken", "--role", "admin"], "there is a key 'taken' already"),
        (["keys", "add", "environment", "--role", "admin"], "there is a key 'environment' already"),
        (["audit", "--since", "yesterday"], "'yesterday' is no time"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    run: CliRunner, settings: Settings, arguments: list[str], said: str
) -> None:
    make_key(settings, "operator", "taken")
    result = run.invoke(app, arguments)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert said in result.output


def test_a_role_that_is_none_is_refused_with_those_there_are(run: CliRunner) -> None:
    result = run.invoke(app, ["keys", "add", "x", "--role", "owner"])
    assert result.exit_code == 2
    assert all(role in result.output for role in ("admin", "operator", "runtime-only", "read-only"))


def test_the_generated_key_is_replaced_through_its_file(settings: Settings) -> None:
    ours = replace(settings, given_access_keys="")
    ensure_access_key(ours)
    [key_id] = ours.access_keys
    with pytest.raises(KeyRefused, match=rf"remove {ours.access_keys_file}; then `openpersonalize down` and `up`"):
        keys_command.revoke(ours, key_id)


def test_what_keys_are_made_of_is_generated_once_and_private(tmp_path: Path) -> None:
    alone = Settings(home=tmp_path / "alone")
    old_umask = os.umask(0)
    try:
        ensure_access_key(alone)
    finally:
        os.umask(old_umask)
    root = alone.keys_secret
    assert len(root) >= 64 and stat.S_IMODE(alone.keys_secret_file.stat().st_mode) == 0o600
    ensure_access_key(alone)
    assert alone.keys_secret == root


def test_beside_an_airflow_of_ones_own_it_must_be_given_to_both_sides(settings: Settings, tmp_path: Path) -> None:
    theirs = replace(settings, home=tmp_path / "beside", airflow_url="https://airflow.example", given_keys_secret="")
    ensure_access_key(theirs)
    assert theirs.keys_secret == "" and not theirs.keys_secret_file.exists()
    with pytest.raises(KeyRefused, match="OPENPERSONALIZE_KEYS_SECRET"):
        keys_command.add(theirs, "web", keys_command.Role.RUNTIME_ONLY)
    with pytest.raises(SettingsError, match="OPENPERSONALIZE_KEYS_SECRET has fewer than 32 characters"):
        Settings.from_env({"OPENPERSONALIZE_KEYS_SECRET": "short"})


# Audit --------------------------------------------------------------------------------------------------


def test_the_audit_prints_a_line_of_json_an_entry_of_a_time_and_a_key(run: CliRunner, conn: Connection) -> None:
    now = datetime.now(UTC)
    with conn.begin():
        for hours, name in ((30, "web"), (2, "web"), (1, "ci")):
            at = now - timedelta(hours=hours)
            audit.write(conn, audit.Entry(at, "CreateSchema", name, f"AKIA{name}", "operator", outcome="x"))

    def found(*arguments: str) -> list[str]:
        lines = run.invoke(app, ["audit", *arguments]).stdout.splitlines()
        return [json.loads(line)["key_name"] for line in lines]

    assert found() == ["web", "ci"]
    assert found("--since", "2d") == ["web", "web", "ci"]
    assert found("--since", "90m") == ["ci"]
    assert found("--since", "2d", "--key", "web") == found("--since", "2d", "--key", "AKIAweb") == ["web", "web"]
    assert found("--since", f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M}") == ["web", "ci"]


@pytest.mark.parametrize("text", ["", "7", "7w", "-1d", "99999999d", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadTime):
        moment(text, NOW)


def test_commands_that_change_something_are_in_the_audit(run: CliRunner, settings: Settings) -> None:
    key_id = run.invoke(app, ["keys", "add", "web", "--role", "operator"]).stdout.split("=")[1].split()[0]
    run.invoke(app, ["keys", "add", "web", "--role", "admin"])
    run.invoke(app, ["keys", "revoke", key_id])
    found = [(one["operation"], one["resource"], one["key_id"], one["outcome"]) for one in audited(settings)]
    assert found == [
        ("openpersonalize keys add", f"{key_id} (web, operator)", None, "ok"),
        ("openpersonalize keys revoke", f"{key_id} (web, operator)", None, "ok"),
    ]
    assert all("@" in one["key_name"] for one in audited(settings))


def test_a_reset_keeps_keys_and_audit(settings: Settings, conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key(settings, "operator", "ci")
    with conn.begin():
        add_group(conn)
    monkeypatch.setattr(reset, "stop_runs", lambda _settings: None)
    reset.reset(settings)
    with conn.begin():
        assert [key.name for key in keys.every(conn)] == ["ci"]
        assert conn.execute(text(f"SELECT count(*) FROM {SCHEMA}.resources")).scalar_one() == 0
    assert [one["operation"] for one in audited(settings)] == ["openpersonalize keys add", "openpersonalize reset"]


def test_a_backup_brings_keys_and_audit(settings: Settings, postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    execute(postgres, "CREATE DATABASE restored_keys")
    elsewhere = platform_settings(tmp_path / "elsewhere", postgres.url("restored_keys"))
    ours, theirs = (replace(one, given_keys_secret="", given_access_keys="") for one in (settings, elsewhere))
    ensure_access_key(ours)
    key = make_key(ours, "operator", "ci")
    backup(ours, tmp_path / "b.tar", datetime.now(UTC))
    restore(theirs, tmp_path / "b.tar")
    assert theirs.keys_secret == ours.keys_secret != ""
    assert [one.id for one in keys_command.every(theirs)] == [*ours.access_keys, key.id]
    assert [one["operation"] for one in audited(theirs)] == ["openpersonalize keys add", "openpersonalize restore"]
    execute(postgres, "DROP DATABASE restored_keys WITH (FORCE)")


def test_the_audit_of_last_year_is_forgotten(conn: Connection, settings: Settings) -> None:
    with conn.begin():
        for days in (1, 364, 366):
            audit.write(conn, audit.Entry(NOW - timedelta(days=days), f"{days}", "web"))
    prune_rows(conn, NOW)
    with conn.begin():
        assert [entry["operation"] for entry in audit.since(conn, NOW - timedelta(days=999))] == ["364", "1"]


# Behind a proxy -----------------------------------------------------------------------------------------


def test_the_readme_names_the_proxys_configuration_that_is_tested() -> None:
    """Tested by tests/e2e/test_reverse_proxy.py."""
    [linked] = re.findall(r"\]\((\S+/nginx\.conf)\)", (source_root() / "README.md").read_text())
    assert (source_root() / linked).is_file()


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_a_forwarded_address_is_believed_only_where_a_proxy_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    alone = Settings(home=tmp_path, database_url="postgresql://db/op")
    [control] = [
        child
        for child in platform_children(alone, Credentials("f", "j", "a", "p"), 4711, None, "m")
        if child.name == "control"
    ]
    assert ("--proxy-headers" in control.command) == bool(trusted)
    assert control.env["FORWARDED_ALLOW_IPS"] == trusted
