"""`openpersonalize keys`: access keys with roles, made and revoked while everything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.aws.access import NAME, Key, Role, given_keys, stored_key
from pipelines.platform.audit_command import note
from pipelines.platform.credentials import new_key_id
from pipelines.registry import keys
from pipelines.registry.database import transaction
from pipelines.settings import Settings


class KeyRefused(RuntimeError):
    """A key cannot be made or revoked; the message says why."""


@dataclass(frozen=True)
class Listed:
    """A key as `keys list` shows it."""

    id: str
    name: str
    role: str
    created_at: datetime | None
    """None of keys that come with the process, of which no use is noted either."""
    last_used_at: datetime | None


def every(settings: Settings) -> list[Listed]:
    """All keys, those that come with the process first."""
    given = [Listed(key.id, key.name, key.role, None, None) for key in given_keys(settings).values()]
    with transaction(settings) as conn:
        return given + [Listed(k.id, k.name, k.role, k.created_at, k.last_used_at) for k in keys.every(conn)]


def lines(found: Sequence[Listed]) -> list[str]:
    """A table for a person."""
    rows = [("key id", "name", "role", "created", "last used")]
    for key in found:
        made = f"{key.created_at:%Y-%m-%d %H:%M}" if key.created_at else "with the platform"
        used = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else ("never" if key.created_at else "")
        rows.append((key.id, key.name, key.role, made, used))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def add(settings: Settings, name: str, role: Role) -> Key:
    """Make a key; raises KeyRefused. Its secret is nowhere but in the answer."""
    if not NAME.fullmatch(name):
        raise KeyRefused(f"{name!r} must be 1 to 64 letters, digits or _.@- and begin with a letter or digit")
    root = settings.keys_secret
    if not root:
        raise KeyRefused(
            "keys need OPENPERSONALIZE_KEYS_SECRET, the same random text of 32 characters or more here and in the "
            "environment of Airflow's api-server, which share no disk; then `openpersonalize down` and `up --no-airflow`"
        )
    key = stored_key(root, new_key_id(), name, role)
    with transaction(settings) as conn:
        if name in {given.name for given in given_keys(settings).values()} or not keys.add(conn, key.id, name, role):
            raise KeyRefused(f"there is a key {name!r} already: give another name, or revoke that one first")
        note(conn, "keys add", f"{key.id} ({name}, {role})")
    return key


def revoke(settings: Settings, id: str) -> str:
    """End a key for good; its name. Raises KeyRefused.

    The keys that come with the process are admins and stay, so no platform is ever without an admin.
    """
    if id in given_keys(settings):
        where = (
            "it is in OPENPERSONALIZE_ACCESS_KEYS: take it out there, in Airflow's environment too if that is your own"
            if settings.given_access_keys
            else f"it is the platform's own: to have another one made, remove {settings.access_keys_file}"
        )
        raise KeyRefused(f"{id} cannot be revoked here, {where}; then `openpersonalize down` and `up`")
    with transaction(settings) as conn:
        found = keys.revoke(conn, id)
        if found is None:
            raise KeyRefused(f"there is no key {id!r}: `openpersonalize keys list` shows those there are")
        note(conn, "keys revoke", f"{found.id} ({found.name}, {found.role})")
    return found.name
