"""A campaign changes its version under load, with two workers: nobody fails, nobody gets a mixture, nobody the old one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.serving.asked import Asked
from tests.runtime.conftest import module_shop
from tests.support.load import keep_asking, signed_request
from tests.support.runtime import Shop, Version
from tests.support.runtime_servers import bento_runtime

SWAPS = 20
IN_FLIGHT = 200


@pytest.fixture
def shop(postgres: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with module_shop(postgres, migrated_template, tmp_path_factory) as shop:
        yield shop


def test_20_swaps_under_200_requests_in_flight(shop: Shop) -> None:
    versions = [shop.add_version(items=60, seed=seed) for seed in (1, 2)]
    expected = [_list(version, "u1") for version in versions]
    assert expected[0] != expected[1]
    answers: list[tuple[float, float, int, bytes]] = []
    with bento_runtime(shop.settings) as runtime:
        campaign = shop.deploy(versions[0], "swapped", workers=2)
        body = json.dumps({"campaignArn": campaign, "userId": "u1", "numResults": 10}).encode()
        requests = [signed_request(runtime.url, "/recommendations", body)]
        # (when ACTIVE, when the next version began to be wanted, which version)
        reigns: list[tuple[float, float, int]] = []
        failures: list[BaseException] = []

        async def ask() -> None:
            stop = asyncio.Event()
            callers = [
                asyncio.create_task(keep_asking(runtime.url, requests, lambda *answer: answers.append(answer), stop))
                for _ in range(IN_FLIGHT)
            ]
            await asyncio.to_thread(finished.wait)
            stop.set()
            failures.extend(
                found for found in await asyncio.gather(*callers, return_exceptions=True) if found is not None
            )

        finished = threading.Event()
        load = threading.Thread(target=asyncio.run, args=(ask(),))
        load.start()
        try:
            for swap in range(1, SWAPS + 1):
                which = swap % 2
                shop.want(campaign, versions[which])
                active = shop.activate(campaign, workers=2)
                if swap % 5 == 0:
                    time.sleep(1.5)  # long enough that an answer of the old version would be seen
                reigns.append((active, time.monotonic(), which))
        finally:
            finished.set()
            load.join(30)

    assert not failures, failures[:3]
    seen = Counter((status, _which(body, expected)) for _, _, status, body in answers)
    assert set(seen) == {(200, 0), (200, 1)}, seen
    assert sum(seen.values()) > 10 * IN_FLIGHT
    late = [
        answered - active
        for active, until_next, which in reigns
        for _, answered, _, body in answers
        if active + 1 < answered < until_next and _which(body, expected) != which
    ]
    assert not late, f"{len(late)} answers of the old version up to {max(late):.2f} s after ACTIVE"
    in_reign = [a for active, until_next, _ in reigns for _, a, _, _ in answers if active + 1 < a < until_next]
    assert len(in_reign) > IN_FLIGHT / 4, "the check above saw too little"


def _list(version: Version, user: str) -> list[tuple[str, float | None]]:
    return [(scored.item_id, scored.score) for scored in version.recommender.recommend(Asked(user), 10)]


def _which(body: bytes, expected: list[list[Any]]) -> int:
    """Which version's answer it is, ids and scores; -1 for none's."""
    got = [(item["itemId"], item["score"]) for item in json.loads(body).get("itemList", [])]
    return expected.index(got) if got in expected else -1
