"""What a fresh Airflow needs before the first DAG run: pool `memory`, made through its REST API."""

from __future__ import annotations

from pipelines.platform.credentials import ADMIN, ensure_credentials
from pipelines.platform.local_http import ask
from pipelines.settings import Settings

POOL = "memory"
POOL_SLOTS = 5
"""A training takes 2, an import 1: two trainings and an import fit into the memory of a small machine."""
TIMEOUT = 30.0


class BootstrapError(RuntimeError):
    """Airflow answered something else than it should; the message says what."""


def ensure_pool(settings: Settings) -> None:
    """Create the pool, or give it its size back; raises BootstrapError."""
    base = f"http://127.0.0.1:{settings.control_port}"
    login = {"username": ADMIN, "password": ensure_credentials(settings).admin_password}
    token = ask(f"{base}/auth/token", login, method="POST", timeout=TIMEOUT)
    headers = {"Authorization": f"Bearer {token.body.get('access_token') if isinstance(token.body, dict) else ''}"}
    pool = {"name": POOL, "slots": POOL_SLOTS, "description": "trainings take 2, imports 1", "include_deferred": False}
    answer = ask(f"{base}/api/v2/pools/{POOL}", headers=headers, timeout=TIMEOUT)
    if answer.status == 404:
        answer = ask(f"{base}/api/v2/pools", pool, method="POST", headers=headers, timeout=TIMEOUT)
    elif answer.status == 200 and answer.body.get("slots") != POOL_SLOTS:
        answer = ask(f"{base}/api/v2/pools/{POOL}", pool, method="PATCH", headers=headers, timeout=TIMEOUT)
    # 409: somebody else made it in between.
    if answer.status not in (200, 201, 409):
        raise BootstrapError(f"Airflow does not make pool {POOL!r}: it {answer.problem} {str(answer.body)[:200]}")
