"""kill -9 of the runtime and of PostgreSQL on a running platform, while clients send events without pause."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import psutil
import psycopg
import pytest
from botocore.credentials import Credentials

from pipelines.platform.clients import Clients, endpoints
from pipelines.platform.state import running_state
from pipelines.settings import Settings
from tests.support.delivery import Delivery
from tests.support.life import Life

pytestmark = pytest.mark.soak

ROUNDS = ("runtime", "postgres", "runtime", "postgres")
EVENTS = 10_000
"""Acknowledged before, between and after the blows."""


def kill(platform: Settings, victim: str) -> None:
    """The process that the supervisor runs under that name, then its children, before it can see to them."""
    state = running_state(platform)
    assert state is not None
    identity = state.children[victim].identity
    assert identity is not None
    parent = psutil.Process(identity.pid)
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_every_acknowledged_event_is_stored_once(
    platform: Settings, record_property: Callable[[str, object], None]
) -> None:
    life = Life(Clients.of(platform), "event-kills")
    life.group()
    tracking_id = life.tracker()
    credentials = Credentials(*next(iter(platform.access_keys.items())))
    with Delivery(endpoints(platform)["personalize-events"], tracking_id, credentials) as delivery:
        delivery.go_on(EVENTS)
        for n, victim in enumerate(ROUNDS):
            kill(platform, victim)
            struck = time.monotonic()
            delivery.go_on(EVENTS, seconds=180)
            record_property(f"{n}_{victim}_seconds_to_{EVENTS}_more", round(time.monotonic() - struck, 1))
    with psycopg.connect(platform.database_url) as connection:
        select = "SELECT item_id FROM openpersonalize.events WHERE session_id LIKE 'client-%'"
        stored = Counter(item for (item,) in connection.execute(select))
    record_property("acknowledged", len(delivery.acknowledged))
    record_property("sent_again", delivery.again)
    assert stored == Counter(delivery.acknowledged)
    assert set(stored.values()) == {1}
