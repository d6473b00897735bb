"""Keys and roles at the runtime: what they may, how soon they begin and end, what the audit has of them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bento import access
from bento.access import Access
from bento.audit import OK, Audit
from bento.database import Database
from pipelines.aws.access import Key
from pipelines.aws.errors import UnrecognizedClient
from pipelines.platform import keys_command
from pipelines.registry import audit
from pipelines.settings import Settings
from tests.runtime.conftest import Standing
from tests.support.access import audited, make_key
from tests.support.runtime import Shop, client, event, until

ROLES = {"admin": (OK, OK), "operator": (OK, OK), "runtime-only": (OK, OK), "read-only": (OK, "AccessDeniedException")}


def clients_of(standing: Standing, key: Key) -> tuple[Any, Any]:
    """boto3's clients of runtime and events, signed with the key."""
    given = {"key_id": key.id, "secret": key.secret}
    return client("personalize-runtime", standing.url, **given), client("personalize-events", standing.url, **given)


def code(call: Callable[..., Any], **members: Any) -> str:
    try:
        call(**members)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return OK


def put(shop: Shop) -> dict[str, Any]:
    return {"trackingId": shop.tracking_id, "userId": "u", "sessionId": "s", "eventList": [event("i1")]}


def test_a_role_decides_what_a_key_may(standing: Standing) -> None:
    for role, (asked, told) in ROLES.items():
        key = make_key(standing.shop.settings, role)
        runtime, events = clients_of(standing, key)
        assert code(runtime.get_recommendations, campaignArn=standing.campaign, userId="u1") == asked, role
        assert code(events.put_events, **put(standing.shop)) == told, role


def test_a_refusal_is_403_and_names_key_operation_and_role(standing: Standing) -> None:
    key = make_key(standing.shop.settings, "read-only", "dashboard")
    _, events = clients_of(standing, key)
    with pytest.raises(ClientError) as refused:
        events.put_events(**put(standing.shop))
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Message"] == (
        f"User: {key.id} (dashboard) is not authorized to perform: personalize:PutEvents with role read-only; "
        "it takes admin or operator or runtime-only."
    )


def test_a_key_works_at_once_and_ends_soon_after_it_was_revoked(standing: Standing) -> None:
    key = make_key(standing.shop.settings, "runtime-only", "web")
    runtime, _ = clients_of(standing, key)
    asked = {"campaignArn": standing.campaign, "userId": "u1"}
    assert code(runtime.get_recommendations, **asked) == OK
    keys_command.revoke(standing.shop.settings, key.id)
    until("the key to end", lambda: code(runtime.get_recommendations, **asked) == "UnrecognizedClientException", 5)


def test_keys_of_the_environment_cost_no_look_at_the_registry_and_others_none_a_second(settings: Settings) -> None:
    key = make_key(settings, "runtime-only")

    async def ask() -> int:
        database = Counting(settings.database_url)
        await database.open()
        keys = Access(database, settings)
        assert [known.role for known in map(keys.known, settings.access_keys) if known] == ["admin"]
        assert keys.known(key.id) is None
        assert (await keys.find(key.id)).secret == key.secret
        for _ in range(100):
            assert keys.known(key.id)
        with pytest.raises(UnrecognizedClient):
            await keys.find("AKIANOBODY")
        await database.close()
        return database.looks

    assert asyncio.run(ask()) == 2


def test_a_key_is_not_trusted_when_the_registry_was_not_read_for_two_seconds(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(settings, "runtime-only")

    async def ask() -> None:
        database = Counting(settings.database_url)
        await database.open()
        keys = Access(database, settings)
        await keys.refresh()
        assert keys.known(key.id)
        later = time.monotonic() + access.STALE_SECONDS
        monkeypatch.setattr(access, "monotonic", lambda: later)
        assert keys.known(key.id) is None
        await database.close()

    asyncio.run(ask())


class Counting(Database):
    """Counts statements."""

    looks = 0

    async def rows(self, *given: Any) -> list[Any]:
        self.looks += 1
        return await super().rows(*given)


# Audit --------------------------------------------------------------------------------------------------


def test_changing_calls_are_counted_by_key_and_outcome_and_written_together(settings: Settings) -> None:
    web = make_key(settings, "runtime-only", "web")
    dashboard = make_key(settings, "read-only", "dashboard")

    async def work() -> None:
        database = Database(settings.database_url)
        await database.open()
        notes = Audit(database)
        for _ in range(3):
            notes.note(web, "PutEvents", "tracker", "")
        notes.note(web, "PutEvents", "anything", "InvalidInputException")
        notes.note(dashboard, "PutItems", "dataset", "AccessDeniedException")
        notes.note(dashboard, "GetRecommendations", None, "")
        await notes.write()
        await notes.write()
        await database.close()

    asyncio.run(work())
    lines = [entry for entry in audited(settings) if entry["key_id"]]
    found = Counter((one["key_name"], one["operation"], one["resource"], one["outcome"], one["calls"]) for one in lines)
    assert found == {
        ("web", "PutEvents", "tracker", audit.OK, 3): 1,
        ("web", "PutEvents", None, "InvalidInputException", 1): 1,
        ("dashboard", "PutItems", None, "AccessDeniedException", 1): 1,
    }
    assert all(key.last_used_at for key in keys_command.every(settings) if key.created_at)


def test_what_cannot_be_written_waits(settings: Settings) -> None:
    key = make_key(settings, "runtime-only", "web")

    async def work() -> None:
        database = Database(settings.database_url)
        notes = Audit(database)
        notes.note(key, "PutEvents", "tracker", "")
        await notes.write()  # the pool is not open yet
        notes.note(key, "PutEvents", "tracker", "")
        await database.open()
        await notes.write()
        await database.close()

    asyncio.run(work())
    assert [(one["operation"], one["calls"]) for one in audited(settings, "web")] == [("PutEvents", 2)]


def test_a_worker_that_stops_writes_what_it_counted(shop: Shop) -> None:
    from tests.support.runtime_servers import uvicorn_runtime

    with uvicorn_runtime(shop.settings) as url:
        client("personalize-events", url).put_events(**put(shop))
    assert [(one["operation"], one["resource"], one["calls"]) for one in audited(shop.settings)] == [
        ("PutEvents", shop.tracking_id, 1)
    ]
