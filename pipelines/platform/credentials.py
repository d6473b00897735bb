"""Secrets of one platform: generated once, mode 0600 in a folder of mode 0700."""

from __future__ import annotations

import base64
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from pipelines.platform.files import read_json, write_atomically, write_json
from pipelines.settings import Settings

ADMIN = "admin"
_UPPER = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Credentials:
    """What Airflow's processes must agree on, and the password that a person signs in with."""

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    admin_password: str


def passwords_file(settings: Settings) -> Path:
    """Airflow's SimpleAuthManager reads it: `{"admin": "<password>"}`."""
    return settings.secrets_dir / "airflow_passwords.json"


def ensure_credentials(settings: Settings) -> Credentials:
    """Read the secrets, generating what is not there yet."""
    ensure_access_key(settings)
    folder = settings.secrets_dir
    keys = read_json(folder / "airflow.json")
    if not isinstance(keys, dict):
        keys = {
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            # HMAC-SHA512 signs the tokens: 64 bytes or more.
            "jwt_secret": secrets.token_urlsafe(72),
            "api_secret_key": secrets.token_urlsafe(48),
        }
        write_json(folder / "airflow.json", keys, mode=0o600)
    passwords = read_json(passwords_file(settings))
    if not isinstance(passwords, dict) or ADMIN not in passwords:
        passwords = {ADMIN: secrets.token_urlsafe(12)}
        write_json(passwords_file(settings), passwords, mode=0o600)
    return Credentials(**keys, admin_password=passwords[ADMIN])


def ensure_access_key(settings: Settings) -> None:
    """Make the pair that clients sign with, and what further keys are made of, unless given or there.

    Beside a company's own Airflow the latter is not made: a file here would be of no use to the control plane there.
    """
    folder = settings.secrets_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if not settings.given_access_keys and not settings.access_keys_file.exists():
        pair = f"{new_key_id()}:{secrets.token_urlsafe(30)}\n"
        write_atomically(settings.access_keys_file, pair, mode=0o600)
    if not settings.given_keys_secret and not settings.airflow_url and not settings.keys_secret_file.exists():
        write_atomically(settings.keys_secret_file, secrets.token_urlsafe(48) + "\n", mode=0o600)


def new_key_id() -> str:
    """In the form that AWS's own have, so that no client's check refuses it."""
    return "AKIA" + "".join(secrets.choice(_UPPER) for _ in range(16))
