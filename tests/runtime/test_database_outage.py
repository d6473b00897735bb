"""PostgreSQL is killed and comes back: what the runtime says meanwhile, and that it recovers by itself."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from pipelines.registry.database import migrate
from tests.conftest import platform_settings
from tests.support.runtime import Shop, client, event, get, until
from tests.support.runtime_servers import Server, uvicorn_runtime


def test_an_outage_is_503_and_over_when_the_database_is_back(server: Server, tmp_path: Path) -> None:
    server.start()
    settings = platform_settings(tmp_path / "home", server.embedded.url())
    migrate(settings)
    shop = Shop(settings)
    version = shop.add_version(items=60)
    with uvicorn_runtime(settings) as url:
        campaign = shop.deploy(version, "outage")
        runtime, log = client("personalize-runtime", url), client("personalize-events", url)
        ask = {"campaignArn": campaign, "userId": "u1", "numResults": 5}
        before = runtime.get_recommendations(**ask)["itemList"]

        server.kill()
        for call, members in (
            (runtime.get_recommendations, ask),
            (log.put_events, {"trackingId": shop.tracking_id, "sessionId": "s", "eventList": [event("i1")]}),
        ):
            started = time.monotonic()
            with pytest.raises(ClientError) as raised:
                call(**members)
            assert raised.value.response["Error"]["Code"] == "ServiceUnavailableException"
            assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert time.monotonic() - started < 8
        assert get(f"{url}/readyz")[0] == 503 and get(f"{url}/livez")[0] == 200

        server.start()
        back = time.monotonic()
        until("requests to be answered again", lambda: get(f"{url}/readyz")[0] == 200, 10)
        assert runtime.get_recommendations(**ask)["itemList"] == before
        assert time.monotonic() - back < 5
        log.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event("i41")])
        assert runtime.get_recommendations(**ask)["itemList"] != before
    shop.close()


def test_clients_with_retries_see_a_restart_only_as_a_pause(server: Server, tmp_path: Path) -> None:
    server.start()
    settings = platform_settings(tmp_path / "home", server.embedded.url())
    migrate(settings)
    shop = Shop(settings)
    acknowledged: Counter[str] = Counter()
    stop = threading.Event()
    failures: list[Exception] = []

    def put(thread: int, url: str) -> None:
        caller = client("personalize-events", url, retries=6)
        for n in range(100_000):
            if stop.is_set():
                return
            item = f"t{thread}-{n}"
            try:
                caller.put_events(trackingId=shop.tracking_id, sessionId="restart", eventList=[event(item)])
            except ClientError as failure:
                failures.append(failure)
                return
            acknowledged[item] += 1

    with uvicorn_runtime(settings) as url:
        threads = [threading.Thread(target=put, args=(n, url)) for n in range(4)]
        for thread in threads:
            thread.start()
        until("some events", lambda: len(acknowledged) > 50)
        server.kill()
        server.start()
        after = len(acknowledged)
        until("events after the restart", lambda: len(acknowledged) > after + 50 or failures)
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failures
    rows = shop.query("SELECT item_id FROM openpersonalize.events WHERE session_id = 'restart'")
    stored = Counter(item for (item,) in rows)
    assert set(acknowledged) <= set(stored) and set(stored.values()) == {1}
    shop.close()


def test_a_runtime_that_starts_before_the_database_becomes_ready_with_it(server: Server, tmp_path: Path) -> None:
    server.start()
    settings = platform_settings(tmp_path / "home", server.embedded.url())
    migrate(settings)
    shop = Shop(settings)
    version = shop.add_version(items=60)
    campaign = shop.add_campaign(version, "early")
    shop.set_status(campaign, "ACTIVE")
    server.kill()
    with uvicorn_runtime(settings) as url:
        runtime = client("personalize-runtime", url)
        assert get(f"{url}/readyz")[0] == 503
        with pytest.raises(ClientError, match="ServiceUnavailable"):
            runtime.get_recommendations(campaignArn=campaign, userId="u1")
        server.start()
        until("the runtime to be ready", lambda: get(f"{url}/readyz")[0] == 200, 10)
        assert runtime.get_recommendations(campaignArn=campaign, userId="u1")["itemList"]
    shop.close()
