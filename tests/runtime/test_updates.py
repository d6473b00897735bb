"""A version is updated while it is served: no request fails, no event is lost or counted twice."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.serving.artefact import Artefact
from pipelines.serving.asked import Asked
from pipelines.serving.recommender import Recommender
from pipelines.versions.editions import publish_edition
from tests.support.artefacts import make_artefact
from tests.support.runtime import Shop, Version, event, until


def another(shop: Shop, name: str, items: int, **manifest: Any) -> Path:
    """What an update would have written: an artefact with more items that says what it knows."""
    made = make_artefact(shop.settings.home / name, items=items, users=10)
    file = made / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **manifest}))
    return made


def swap(shop: Shop, version: Version, made: Path) -> None:
    """As the Bento store changes."""
    shutil.move(version.directory, shop.settings.home / f"old-{made.name}")
    shutil.move(made, version.directory)


def items_of(answer: Mapping[str, Any]) -> list[str]:
    return [item["itemId"] for item in answer["itemList"]]


def expected(directory: Path, *events: tuple[str, float], user: str = "u1") -> list[str]:
    recommender = Recommender(Artefact.open(directory))
    return [scored.item_id for scored in recommender.recommend(Asked(user, list(events)), 10)]


def test_while_an_update_is_swapped_in_every_answer_is_that_of_one_edition_with_its_own_events(
    shop: Shop, recommendations: Any, events: Any
) -> None:
    first, second = event("i41"), event("i42")
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[first])
    ((cutoff,),) = shop.query("SELECT max(id) FROM openpersonalize.events")
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[second])
    version = shop.add_version(items=60, users=10)
    campaign = shop.deploy(version, "served")
    # This one says that it knows the first event, which its version's row in the registry does not.
    made = another(shop, "made", 70, edition=1, cutoffs={"events": cutoff, "users": 0})
    before = expected(version.directory, ("i42", second["sentAt"]), ("i41", first["sentAt"]))
    after = expected(made, ("i42", second["sentAt"]))
    assert before != after

    def ask() -> list[str]:
        return items_of(recommendations.get_recommendations(campaignArn=campaign, userId="u1", numResults=10))

    assert ask() == before
    answers: list[list[str]] = []
    finished = threading.Event()

    def keep_asking() -> None:
        while not finished.is_set():
            answers.append(ask())

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        until("requests to be answered", lambda: len(answers) > 20)
        swap(shop, version, made)
        until("requests to be answered still", lambda: len(answers) > 40)
        publish_edition(shop.settings, version.id, 1, {"updates": [{"number": 1}]})
        assert ask() == after
    finally:
        finished.set()
        asking.join(20)
    assert {tuple(answer) for answer in answers} <= {tuple(before), tuple(after)}
    ((internal,),) = shop.query("SELECT internal FROM openpersonalize.resources WHERE id = %s", version.id)
    assert (internal["edition"], internal["updates"]) == (1, [{"number": 1}])


def test_a_worker_that_starts_between_store_and_registry_takes_the_newer_edition_with_its_own_cut_off(
    shop: Shop, recommendations: Any, events: Any
) -> None:
    sent = event("i41")
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[sent])
    ((cutoff,),) = shop.query("SELECT max(id) FROM openpersonalize.events")
    version = shop.add_version(items=60, users=10)
    made = another(shop, "made", 70, edition=1, cutoffs={"events": cutoff, "users": 0})
    alone = expected(made)
    swap(shop, version, made)
    campaign = shop.deploy(version, "served")
    answer = recommendations.get_recommendations(campaignArn=campaign, userId="u1", numResults=10)
    assert items_of(answer) == alone
