"""PutEvents through boto3: what is taken, what is refused, and that an answer means it is on disk."""

from __future__ import annotations

import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.runtime.conftest import Standing
from tests.runtime.test_errors import post, refusal
from tests.support.load import signed_requests
from tests.support.runtime import Shop, event, until

SELECT = "SELECT {} FROM openpersonalize.events WHERE session_id = %s ORDER BY id"


def test_events_are_stored_as_given(standing: Standing) -> None:
    sent = event(
        "i4",
        eventId="given",
        eventValue=4.5,
        properties=json.dumps({"deviceType": "phone", "numRatings": 2}),
        recommendationId="RID-x",
        impression=["i4", "i5"],
        metricAttribution={"eventAttributionSource": "mail"},
    )
    answer = standing.events.put_events(
        trackingId=standing.shop.tracking_id,
        userId="u1",
        sessionId="stored",
        eventList=[sent, event(None, kind="start")],
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200 and answer["ResponseMetadata"]["RequestId"]
    columns = "event_id, user_key, user_id, event_type, event_value, item_id, sent_at, properties, impression"
    first, second = standing.shop.query(SELECT.format(columns), "stored")
    properties = {"deviceType": "phone", "numRatings": 2}
    assert first == ("given", "u1", "u1", "watch", 4.5, "i4", pytest.approx(sent["sentAt"]), properties, ["i4", "i5"])
    assert second[3:6] == ("start", None, None)
    rest = standing.shop.query(SELECT.format("group_id, recommendation_id, attribution_source"), "stored")
    assert rest[0] == (standing.shop.group_id, "RID-x", "mail")


def test_the_answer_is_a_200_without_a_body(standing: Standing) -> None:
    call = {"trackingId": standing.shop.tracking_id, "sessionId": "empty", "eventList": [event("i1")]}
    request = signed_requests(standing.url, "/events", [json.dumps(call).encode()])[0]
    at = urlsplit(standing.url)
    with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
        connection.sendall(request)
        head = connection.recv(4096)
    assert head.startswith(b"HTTP/1.1 200 ") and head.endswith(b"\r\n\r\n") and b"content-length: 0\r\n" in head


def test_an_event_that_was_already_taken_counts_once(standing: Standing) -> None:
    call = {"trackingId": standing.shop.tracking_id, "sessionId": "twice", "eventList": [event("i1"), event("i2")]}
    standing.events.put_events(**call)
    standing.events.put_events(**call)
    changed = dict(call["eventList"][0], itemId="i9", eventId="same-id")
    for item in ("i8", "i9"):
        standing.events.put_events(**dict(call, eventList=[dict(changed, itemId=item)]))
    assert standing.shop.query(SELECT.format("item_id"), "twice") == [("i1",), ("i2",), ("i8",)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"properties": "{"}, "eventList[1].properties"),
        ({"properties": '{"noSuchKey": 1}'}, "noSuchKey"),
        ({"properties": '{"userId": "x"}'}, "userId"),
        ({"sentAt": 2e11}, "milliseconds"),
        ({"sentAt": 0}, "eventList[1].sentAt"),
        ({"sentAt": time.time() + 2 * 86400}, "24 hours"),
    ],
)
def test_one_bad_event_refuses_the_whole_call(standing: Standing, bad: dict[str, Any], says: str) -> None:
    code, status, message = refusal(
        standing.events.put_events,
        trackingId=standing.shop.tracking_id,
        sessionId="partly",
        eventList=[event("i1"), {**event("i2"), **bad}],
    )
    assert (code, status) == ("InvalidInputException", 400) and says in message
    assert standing.shop.query(SELECT.format("item_id"), "partly") == []


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"trackingId": "no-such"}, "InvalidInputException"),
        ({"trackingId": None}, "ValidationException"),
        ({"sessionId": None}, "ValidationException"),
        ({"eventList": []}, "ValidationException"),
        ({"eventList": [event(f"i{n}") for n in range(11)]}, "ValidationException"),
        ({"eventList": [{"eventType": "x"}]}, "ValidationException"),
        ({"eventList": [{"sentAt": 1.0}]}, "ValidationException"),
        ({"eventList": [event("")]}, "ValidationException"),
        ({"eventList": [event("a\x00")]}, "ValidationException"),
        ({"eventList": [event("i", impression=[f"{n}" for n in range(26)])]}, "ValidationException"),
        ({"eventList": [event("i", impression=[])]}, "ValidationException"),
        ({"eventList": [event("i", impression=[""])]}, "ValidationException"),
        ({"eventList": [event("i", recommendationId="x" * 41)]}, "ValidationException"),
        ({"eventList": [event("i", recommendationId="")]}, "ValidationException"),
        ({"eventList": [event("i", eventId="x" * 257)]}, "ValidationException"),
        ({"eventList": [event("i", kind="x" * 257)]}, "ValidationException"),
        ({"eventList": [event("i" * 257)]}, "ValidationException"),
        ({"eventList": [event("i", properties="x" * 1025)]}, "ValidationException"),
        ({"eventList": [event("i", properties="")]}, "ValidationException"),
        ({"eventList": [event("i", metricAttribution={})]}, "ValidationException"),
        ({"eventList": [event("i", metricAttribution={"eventAttributionSource": "  "})]}, "ValidationException"),
        ({"eventList": [event("i", metricAttribution={"eventAttributionSource": "é"})]}, "ValidationException"),
        ({"eventList": [event("i", metricAttribution={"eventAttributionSource": "x" * 1025})]}, "ValidationException"),
        ({"sessionId": "x" * 257}, "ValidationException"),
        ({"userId": ""}, "ValidationException"),
        ({"eventList": "x"}, "SerializationException"),
        ({"eventList": [event("i", eventValue="4")]}, "SerializationException"),
        ({"eventList": [{"eventType": "x", "sentAt": []}]}, "SerializationException"),
    ],
)
def test_a_call_against_the_model_is_refused(standing: Standing, members: dict[str, Any], code: str) -> None:
    call = {"trackingId": standing.shop.tracking_id, "sessionId": "model", "eventList": [event("i1")], **members}
    body = json.dumps({key: value for key, value in call.items() if value is not None}).encode()
    status, headers, _ = post(standing.url, "/events", body)
    assert (status, headers["x-amzn-errortype"]) == (400, code)
    assert standing.shop.query(SELECT.format("item_id"), "model") == []


def test_every_member_at_its_largest_is_stored(standing: Standing) -> None:
    largest = event(
        "i" * 256,
        kind="k" * 256,
        eventId="e" * 256,
        eventValue=-3.4e38,
        recommendationId="r" * 40,
        impression=["m" * 100] * 9 + ["m" * 91],
        properties='{"numRatings": 1}'.ljust(1024),
        metricAttribution={"eventAttributionSource": " " * 1023 + "~"},
    )
    call = {"trackingId": standing.shop.tracking_id, "userId": "u" * 256, "sessionId": "largest" * 36}
    standing.events.put_events(**call, eventList=[dict(largest, eventId=f"{n}" * 256) for n in range(10)])
    assert len(standing.shop.query(SELECT.format("1"), "largest" * 36)) == 10


def test_the_index_holds_what_the_rules_let_through(standing: Standing) -> None:
    def characters(count: int) -> str:  # of four bytes each, as random as may be: nothing to compress
        return "".join(random.choices([chr(code) for code in range(0x20000, 0x2A000)], k=count))

    call = {"trackingId": standing.shop.tracking_id, "userId": characters(256), "sessionId": "index"}
    standing.events.put_events(**call, eventList=[event(characters(256), kind=characters(88))])
    assert len(standing.shop.query(SELECT.format("1"), "index")) == 1
    refused = refusal(standing.events.put_events, **call, eventList=[event(characters(256), kind=characters(89))])
    assert refused[:2] == ("InvalidInputException", 400) and "2,400" in refused[2]


def test_a_new_tracker_takes_events_at_once_and_a_deleted_one_none(shop: Shop, events: Any) -> None:
    tracker_id, tracking_id = shop.add_tracker()
    events.put_events(trackingId=tracking_id, sessionId="life", eventList=[event("i1")])
    shop.query("UPDATE openpersonalize.resources SET status = 'DELETE PENDING' WHERE id = %s RETURNING 1", tracker_id)
    code, _, message = refusal(events.put_events, trackingId=tracking_id, sessionId="life", eventList=[event("i2")])
    assert code == "InvalidInputException" and tracking_id in message
    assert shop.query(SELECT.format("item_id"), "life") == [("i1",)]


def test_events_of_one_group_are_not_seen_in_another(shop: Shop, events: Any, recommendations: Any) -> None:
    campaign = shop.deploy(shop.add_version(items=60), "other")
    before = recommendations.get_recommendations(campaignArn=campaign, userId="u1")["itemList"]
    events.put_events(trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event("i9")])
    shop.query("UPDATE openpersonalize.events SET group_id = 'another' RETURNING 1")
    assert recommendations.get_recommendations(campaignArn=campaign, userId="u1")["itemList"] == before


def test_writers_at_the_same_time_lose_nothing(standing: Standing) -> None:
    def put(n: int) -> None:
        standing.events.put_events(
            trackingId=standing.shop.tracking_id, userId=f"w{n % 7}", sessionId="many", eventList=[event(f"i{n}")]
        )

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, range(200)))
    rows = standing.shop.query(SELECT.format("item_id"), "many")
    assert sorted(rows) == sorted((f"i{n}",) for n in range(200))


def test_of_two_writers_that_wait_for_each_other_none_is_refused(shop: Shop, events: Any) -> None:
    insert = (
        "INSERT INTO openpersonalize.events (group_id, user_key, session_id, event_id, event_type, sent_at) "
        "VALUES (%s, 'u', 'knot', %s, 'watch', 1)"
    )
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(shop.url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '1min'")  # so that the runtime's statement is the one given up
        other.execute(insert, (shop.group_id, "first"))
        call = {"trackingId": shop.tracking_id, "sessionId": "knot"}
        sent = [event("i2", eventId="second"), event("i1", eventId="first")]
        put = pool.submit(events.put_events, **call, eventList=sent)
        until("the call to wait for the first event", lambda: shop.query(waiting))
        other.execute(insert, (shop.group_id, "second"))
        other.commit()
        assert put.result(10)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert shop.query(SELECT.format("event_id"), "knot") == [("first",), ("second",)]
