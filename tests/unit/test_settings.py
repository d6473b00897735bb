"""Settings: read once, handed down whole, refused by name, silent about secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.settings import Settings, SettingsError

GIVEN = {
    "OPENPERSONALIZE_HOME": "/srv/op",
    "OPENPERSONALIZE_CONTROL_PORT": "18080",
    "OPENPERSONALIZE_RUNTIME_PORT": "13000",
    "OPENPERSONALIZE_REGION": "eu-central-1",
    "OPENPERSONALIZE_ACCOUNT_ID": "210987654321",
    "OPENPERSONALIZE_DATABASE_URL": "postgresql://op:hush@db/op",
    "OPENPERSONALIZE_IMPORT_ROOTS": "/srv/in:/srv/more",
    "OPENPERSONALIZE_DVC_REMOTE": "s3://bucket/dvc",
    "OPENPERSONALIZE_QUOTAS": "dataset_groups=20",
    "OPENPERSONALIZE_ACCESS_KEYS": "A:whisper,B:murmur",
    "OPENPERSONALIZE_KEYS_SECRET": "rustle-rustle-rustle-rustle-rustle",
}


@pytest.mark.parametrize("given", [{}, GIVEN])
def test_a_child_process_gets_the_same_settings(given: dict[str, str]) -> None:
    settings = Settings.from_env(given)
    assert Settings.from_env(settings.to_env()) == settings


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(GIVEN)
    assert (settings.home, settings.control_port, settings.runtime_port) == (Path("/srv/op"), 18080, 13000)
    assert (settings.region, settings.account_id, settings.dvc_remote) == (
        "eu-central-1",
        "210987654321",
        "s3://bucket/dvc",
    )
    assert settings.import_roots == (Path("/srv/op/data"), Path("/srv/in"), Path("/srv/more"))
    assert settings.access_keys == {"A": "whisper", "B": "murmur"}


def test_secrets_are_not_in_what_a_log_would_show() -> None:
    shown = repr(Settings.from_env(GIVEN))
    assert not any(secret in shown for secret in ("hush", "whisper", "murmur", "rustle"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENPERSONALIZE_CONTROL_PORT", "0"),
        ("OPENPERSONALIZE_RUNTIME_PORT", "65536"),
        ("OPENPERSONALIZE_RUNTIME_PORT", "eighty"),
        ("OPENPERSONALIZE_ACCOUNT_ID", "12345"),
        ("OPENPERSONALIZE_ACCOUNT_ID", "\u0661" * 12),
        ("OPENPERSONALIZE_REGION", "us east 1"),
        ("OPENPERSONALIZE_REGION", "a:b"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({name: value})


@pytest.mark.parametrize("keys", ["A", "A:", ":secret", ",", "A:x,B"])
def test_access_keys_are_pairs(keys: str) -> None:
    with pytest.raises(SettingsError, match="OPENPERSONALIZE_ACCESS_KEYS"):
        _ = Settings.from_env({"OPENPERSONALIZE_ACCESS_KEYS": keys}).access_keys
