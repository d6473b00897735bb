"""The real thing: `bentoml serve` with two workers that share nothing but the database."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import psutil
import pytest

from pipelines.serving.asked import Asked
from tests.conftest import ACCESS_KEY_ID
from tests.runtime.conftest import module_shop
from tests.support.runtime import Shop, client, event, get, until
from tests.support.runtime_servers import BentoRuntime, bento_runtime


@pytest.fixture(scope="module")
def shop(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with module_shop(postgres, migrated_template, tmp_path_factory) as shop:
        yield shop


@pytest.fixture(scope="module")
def runtime(shop: Shop) -> Iterator[BentoRuntime]:
    with bento_runtime(shop.settings) as runtime:
        yield runtime


def living(shop: Shop) -> list[int]:
    rows = shop.query("SELECT pid FROM openpersonalize.workers WHERE heartbeat_at > now() - interval '3 seconds'")
    return sorted(pid for (pid,) in rows)


def both_workers(runtime: BentoRuntime, shop: Shop) -> list[int]:
    """The pids of two living workers."""
    return until("two living workers", lambda: pids if len(pids := living(shop)) == 2 else None, 120)


def test_two_workers_live_and_answer(runtime: BentoRuntime, shop: Shop) -> None:
    assert both_workers(runtime, shop) == sorted(worker.pid for worker in runtime.workers)
    assert get(f"{runtime.url}/livez")[0] == get(f"{runtime.url}/readyz")[0] == 200
    assert get(f"{runtime.url}/")[0] == 404


def test_a_worker_holds_nothing_that_serving_does_not_need(runtime: BentoRuntime, shop: Shop) -> None:
    shop.deploy(shop.add_version(items=60), "light", workers=2)
    for worker in runtime.workers:
        mapped = {part.path for part in worker.memory_maps()}
        assert not [path for path in mapped if "/torch/" in path or "/pandas/" in path or "duckdb" in path]
        assert worker.memory_info().rss < 250 * 2**20


def test_an_event_is_seen_by_the_very_next_request_in_any_worker(runtime: BentoRuntime, shop: Shop) -> None:
    version = shop.add_version(items=60)
    campaign = shop.deploy(version, "next", workers=2)
    streamed: list[tuple[str, float]] = []
    for n in range(40):
        # New clients, so new connections: they land on either worker.
        sent = event(f"i{n}", sent_at=1_700_000_000 + n)
        client("personalize-events", runtime.url).put_events(
            trackingId=shop.tracking_id, userId="walker", sessionId="s", eventList=[sent]
        )
        streamed.insert(0, (f"i{n}", sent["sentAt"]))
        answer = client("personalize-runtime", runtime.url).get_recommendations(
            campaignArn=campaign, userId="walker", numResults=10
        )
        expected = version.recommender.recommend(Asked("walker", streamed), 10)
        assert [item["itemId"] for item in answer["itemList"]] == [scored.item_id for scored in expected]


def test_metrics_are_summed_over_both_workers(runtime: BentoRuntime, shop: Shop) -> None:
    campaign = shop.deploy(shop.add_version(items=60), "metered", workers=2)
    for n in range(30):
        client("personalize-runtime", runtime.url).get_recommendations(campaignArn=campaign, userId=f"u{n}")
    for n in range(5):
        with pytest.raises(Exception, match="ResourceNotFound"):
            client("personalize-runtime", runtime.url).get_recommendations(campaignArn=campaign + str(n), userId="u")
    files = list((shop.settings.bento_home / "prometheus_multiproc_dir").glob("counter_*.db"))
    assert len(files) >= 2
    lines = get(f"{runtime.url}/metrics")[1].splitlines()
    requests = 'openpersonalize_requests_total{campaign="%s",code="%s",operation="GetRecommendations"} '
    assert requests % ("metered", "") + "30.0" in lines
    assert requests % ("-", "ResourceNotFoundException") + "5.0" in lines
    assert 'openpersonalize_request_seconds_count{campaign="metered",operation="GetRecommendations"} 30.0' in lines
    loaded = [line for line in lines if line.startswith("openpersonalize_campaigns_loaded ")]
    assert len(loaded) == 1 and float(loaded[0].split()[1]) >= 1


def test_every_request_has_its_line_in_the_access_log(runtime: BentoRuntime, shop: Shop) -> None:
    campaign = shop.deploy(shop.add_version(items=60), "logged", workers=2)
    answer = client("personalize-runtime", runtime.url).get_recommendations(campaignArn=campaign, userId="u")
    request_id = answer["ResponseMetadata"]["RequestId"]
    line = until(
        "the access log's line",
        lambda: [line for line in runtime.log.read_text().splitlines() if request_id in line],
        5,
    )
    assert f"operation=GetRecommendations campaign=logged key={ACCESS_KEY_ID} status=200 code=- ms=" in line[0]


def test_acknowledged_events_survive_the_killing_of_workers(runtime: BentoRuntime, shop: Shop) -> None:
    both_workers(runtime, shop)
    acknowledged: Counter[str] = Counter()
    stop = threading.Event()

    def put(thread: int) -> None:
        caller = client("personalize-events", runtime.url, retries=8)
        for n in range(100_000):
            if stop.is_set():
                return
            item = f"t{thread}-{n}"
            caller.put_events(trackingId=shop.tracking_id, userId="k", sessionId="killed", eventList=[event(item)])
            acknowledged[item] += 1

    threads = [threading.Thread(target=put, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        goal = len(acknowledged) + 100
        until("a hundred more", partial(lambda goal: len(acknowledged) >= goal, goal), 120)
        runtime.workers[0].send_signal(signal.SIGKILL)
        both_workers(runtime, shop)
    stop.set()
    for thread in threads:
        thread.join(30)
    rows = shop.query("SELECT item_id FROM openpersonalize.events WHERE session_id = 'killed'")
    stored = Counter(item for (item,) in rows)
    assert set(acknowledged) <= set(stored)
    assert set(stored.values()) == {1}, "a repeated call counts once"


def test_a_killed_worker_comes_back_with_its_campaigns(runtime: BentoRuntime, shop: Shop) -> None:
    version = shop.add_version(items=60)
    campaign = shop.deploy(version, "again", workers=2)
    caller = client("personalize-runtime", runtime.url, retries=8)
    expected = [scored.item_id for scored in version.recommender.recommend(Asked("u1"), 5)]
    killed = runtime.workers[0].pid
    psutil.Process(killed).kill()
    deadline = time.monotonic() + 120
    while killed in living(shop) or len(living(shop)) < 2:
        answer = caller.get_recommendations(campaignArn=campaign, userId="u1", numResults=5)
        assert [item["itemId"] for item in answer["itemList"]] == expected
        assert time.monotonic() < deadline
    for _ in range(20):  # every new connection, whichever worker takes it
        answer = client("personalize-runtime", runtime.url).get_recommendations(
            campaignArn=campaign, userId="u1", numResults=5
        )
        assert [item["itemId"] for item in answer["itemList"]] == expected
