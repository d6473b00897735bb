"""Who may do what: access keys, their roles, and the secrets that they sign with.

Where keys live. SigV4 needs the secret in clear to verify, and who verifies may share no disk: with a company's own
Airflow the control plane runs there, runtime and command line elsewhere, and only the database is common. So
  - a file of mode 0600 is out: it would have to be carried to every machine for each key;
  - a table with secrets in clear gives every reader of a dump or a replica all that the keys may do;
  - a table with encrypted secrets needs one secret that all processes know besides, and a cipher;
  - a table without secrets needs that one secret too, and no cipher: a key's secret is HMAC(root, role and id).
The last it is. The root is `Settings.keys_secret`: made once below home/secrets, or given to all machines. A row says id,
name and role; whoever reads the database learns no secret, and whoever writes to it cannot raise a key's role, because the
role is part of what the secret is made of. A new root ends all keys.

Keys that come with the process (OPENPERSONALIZE_ACCESS_KEYS, or the generated pair of home/secrets) are admins, are in no
table and cannot be revoked: so there always is an admin, and the platform has a key of its own.

Roles follow the names of AWS's operations, so an operation of a newer model has its role without a line here.
"""

from __future__ import annotations

import base64
import hmac
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME, AccessDenied, UnrecognizedClient
from pipelines.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_READING = ("Describe", "List", "Get")
IRREVERSIBLE = frozenset({"DeleteDatasetGroup", "DeleteDataset", "DeleteSolution", "CreateDataDeletionJob"})
"""Data, users and models that nothing left behind can make again: an operator asks an admin."""


# Unlike AWS, access: what a key may do is one of four roles, not IAM policies. Roles can be read at a glance, and nobody
# has to run an IAM.
class Role(StrEnum):
    """What a key is for."""

    ADMIN = "admin"
    """Everything."""
    OPERATOR = "operator"
    """Everything but what is IRREVERSIBLE."""
    RUNTIME_ONLY = "runtime-only"
    """personalize-runtime and personalize-events: what an application calls."""
    READ_ONLY = "read-only"
    """Describe, List and Get, recommendations included."""


@dataclass(frozen=True, slots=True)
class Key:
    """An access key as whoever verifies a signature needs it."""

    id: str
    name: str
    role: Role
    secret: str = field(repr=False)


def given_keys(settings: Settings) -> dict[str, Key]:
    """The keys that came with this process, by id; raises SettingsError."""
    name = "environment" if settings.given_access_keys else "generated"
    return {id: Key(id, name, Role.ADMIN, secret) for id, secret in settings.access_keys.items()}


def stored_key(root: str, id: str, name: str, role: str) -> Key:
    """The key of a row of the registry."""
    digest = hmac.digest(root.encode(), f"openpersonalize access key\n{role}\n{id}".encode(), "sha256")
    return Key(id, name, Role(role), base64.urlsafe_b64encode(digest[:30]).decode())


def fingerprint(root: str) -> str:
    """The same on machines with the same root, and of no use to find it out; empty without one."""
    return hmac.digest(root.encode(), b"openpersonalize fingerprint", "sha256").hex()[:12] if root else ""


def unknown_key() -> UnrecognizedClient:
    """The error of a request that no key of ours signed."""
    return UnrecognizedClient("The security token included in the request is invalid: unknown access key id.")


# Roles --------------------------------------------------------------------------------------------------


def changes(operation: str) -> bool:
    """Whether an operation does more than read."""
    return not operation.startswith(_READING)


@lru_cache(maxsize=8)
def allowed(role: Role) -> frozenset[tuple[str, str]]:
    """The (service, operation)s that keys of a role may call."""
    # Here, because the command line needs Role and not botocore.
    from pipelines.aws.models import service_model

    return frozenset(
        (service, operation)
        for service in (CONTROL, RUNTIME, EVENTS)
        for operation in service_model(service).operation_names
        if _may(role, service, operation)
    )


def _may(role: Role, service: str, operation: str) -> bool:
    match role:
        case Role.ADMIN:
            return True
        case Role.OPERATOR:
            return operation not in IRREVERSIBLE
        case Role.RUNTIME_ONLY:
            return service != CONTROL
        case Role.READ_ONLY:
            return not changes(operation)


def authorize(key: Key, service: str, operation: str) -> None:
    """Raise AccessDenied unless the key's role may call the operation."""
    if (service, operation) not in allowed(key.role):
        may = " or ".join(role for role in Role if (service, operation) in allowed(role))
        raise AccessDenied(
            f"User: {key.id} ({key.name}) is not authorized to perform: personalize:{operation} "
            f"with role {key.role}; it takes {may}."
        )
