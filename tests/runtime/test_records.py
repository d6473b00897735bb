"""PutItems, PutUsers, PutActions and PutActionInteractions through boto3: what is stored, what is refused and how."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.platform.postgres import EmbeddedPostgres
from tests.runtime.conftest import module_shop
from tests.runtime.test_errors import post, refusal
from tests.support.runtime import Shop, client, event, get, until
from tests.support.runtime_servers import uvicorn_runtime

INVALID, NOT_FOUND, IN_USE = "InvalidInputException", "ResourceNotFoundException", "ResourceInUseException"
NULLABLE_STRING = ["null", "string"]


def schema(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "any", "fields": [{"name": name, "type": kind} for name, kind in fields]}


SCHEMAS = {
    "ITEMS": schema(("ITEM_ID", "string"), ("GENRES", NULLABLE_STRING), ("PRICE", "float")),
    "USERS": schema(("USER_ID", "string"), ("GENDER", NULLABLE_STRING)),
    "ACTIONS": schema(("ACTION_ID", "string"), ("VALUE", ["null", "long"])),
    "ACTION_INTERACTIONS": schema(
        *(("USER_ID", "string"), ("ACTION_ID", "string"), ("EVENT_TYPE", "string")),
        *(("TIMESTAMP", "long"), ("CHANNEL", NULLABLE_STRING)),
    ),
}
CALLS = {
    "ITEMS": ("put_items", "items", "itemId", {"price": 1.5}),
    "USERS": ("put_users", "users", "userId", {"gender": "F"}),
    "ACTIONS": ("put_actions", "actions", "actionId", {"value": "7"}),
}
ROWS = "SELECT r.record_id, r.properties FROM openpersonalize.records r JOIN openpersonalize.resources d ON d.id = r.dataset_id WHERE d.arn = %s ORDER BY r.id"


@dataclass(frozen=True)
class Streams:
    """A runtime and a dataset of every type; each test writes ids of its own."""

    shop: Shop
    url: str
    events: Any
    arns: dict[str, str]
    tracking_id: str

    def put(self, dataset_type: str, *records: tuple[str, Any], arn: str | None = None) -> Any:
        """(id, properties: an object, a string as it is, or None for none) of each record."""
        method, member, id_member, _ = CALLS[dataset_type]
        given = [{id_member: id} for id, _ in records]
        for record, (_, properties) in zip(given, records, strict=True):
            if properties is not None:
                record["properties"] = properties if isinstance(properties, str) else json.dumps(properties)
        return getattr(self.events, method)(datasetArn=arn or self.arns[dataset_type], **{member: given})

    def stored(self, dataset_type: str) -> list[tuple[str, Any]]:
        return self.shop.query(ROWS, self.arns[dataset_type])

    def put_actions_taken(self, *events: dict[str, Any], tracking_id: str | None = None) -> Any:
        whole = {"actionId": "a1", "sessionId": "s", "timestamp": time.time(), "eventType": "Taken"}
        return self.events.put_action_interactions(
            trackingId=tracking_id or self.tracking_id, actionInteractions=[{**whole, **event} for event in events]
        )


@pytest.fixture(scope="module")
def streams(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Streams]:
    with (
        module_shop(postgres, migrated_template, tmp_path_factory) as shop,
        uvicorn_runtime(shop.settings) as url,
    ):
        tracking_id = str(uuid.uuid4())
        tracked = {"ACTION_INTERACTIONS": {"trackingId": tracking_id}}
        arns = {kind: shop.add_dataset(kind, avro, **tracked.get(kind, {})) for kind, avro in SCHEMAS.items()}
        yield Streams(shop, url, client("personalize-events", url), arns, tracking_id)


@pytest.mark.parametrize("dataset_type", CALLS)
def test_records_are_stored_as_given_and_in_their_order(streams: Streams, dataset_type: str) -> None:
    _, _, _, properties = CALLS[dataset_type]
    answer = streams.put(dataset_type, ("twice", properties), ("é", properties), ("twice", properties))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200 and answer["ResponseMetadata"]["RequestId"]
    rows = streams.stored(dataset_type)
    assert rows[-3:] == [("twice", properties), ("é", properties), ("twice", properties)]


def test_a_record_without_metadata_is_one_if_the_schema_allows_it(streams: Streams) -> None:
    streams.put("USERS", ("bare", None), ("empty", {}))
    assert streams.stored("USERS")[-2:] == [("bare", None), ("empty", None)]


@pytest.mark.parametrize("dataset_type", CALLS)
@pytest.mark.parametrize(("n", "length"), [(10, 256), (1, 1)])
def test_up_to_ten_records_and_ids_of_256_characters_go(
    streams: Streams, dataset_type: str, n: int, length: int
) -> None:
    before = len(streams.stored(dataset_type))
    streams.put(dataset_type, *(("\U0001f600" * length, CALLS[dataset_type][3]) for _ in range(n)))
    assert len(streams.stored(dataset_type)) == before + n


@pytest.mark.parametrize(
    ("dataset_type", "bad", "says"),
    [
        ("ITEMS", "{", "items[1].properties must be a string that holds a JSON object"),
        ("ITEMS", None, "items[1].properties lacks 'price': the field PRICE"),
        ("ITEMS", {"price": None}, "'price' (field PRICE) must not be null"),
        ("ITEMS", {"price": 1, "itemId": "x"}, "may not hold 'itemId'"),
        ("ITEMS", {"price": 1, "genres": "x" * 1001}, "at most 1,000 characters"),
        ("USERS", "[]", "users[1].properties must be a string that holds a JSON object"),
        ("USERS", {"USER_ID": "x"}, "'USER_ID', which is no field of the Users schema. Known are: gender"),
        ("USERS", {"userId": "x"}, "may not hold 'userId'"),
        ("ACTIONS", {"value": 1.5}, "actions[1].properties: 'value' (field VALUE) must be a whole number"),
        ("ACTIONS", {"actionid": "x"}, "may not hold 'actionid'"),
    ],
)
def test_one_bad_record_refuses_the_whole_call(streams: Streams, dataset_type: str, bad: Any, says: str) -> None:
    good = CALLS[dataset_type][3]
    before = streams.stored(dataset_type)
    code, status, message = refusal(lambda: streams.put(dataset_type, ("good", good), ("bad", bad)))
    assert (code, status) == (INVALID, 400) and says in message
    assert streams.stored(dataset_type) == before


@pytest.mark.parametrize(
    ("dataset_type", "into", "code", "status"),
    [
        ("ITEMS", "USERS", INVALID, 400),
        ("USERS", "ITEMS", INVALID, 400),
        ("ACTIONS", "ACTION_INTERACTIONS", INVALID, 400),
        ("ITEMS", "INTERACTIONS", INVALID, 400),
        ("USERS", "EVENT_INTERACTIONS", NOT_FOUND, 404),
    ],
)
def test_records_go_into_a_dataset_of_their_type(
    streams: Streams, dataset_type: str, into: str, code: str, status: int
) -> None:
    arn = streams.shop.arn("Dataset", "shop", into)
    refused = refusal(lambda: streams.put(dataset_type, ("x", CALLS[dataset_type][3]), arn=arn))
    assert refused[:2] == (code, status) and arn in refused[2]


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/items", {"items": []}),
        ("/items", {"items": [{"itemId": str(n)} for n in range(11)]}),
        ("/items", {"items": [{"itemId": "x" * 257}]}),
        ("/items", {"items": [{"itemId": ""}]}),
        ("/items", {"items": [{}]}),
        ("/items", {"items": [{"itemId": "x", "properties": "x" * 32_001}]}),
        ("/users", {"users": [{"userId": "x", "properties": "x" * 24_001}]}),
        ("/actions", {"actions": [{"actionId": "x", "properties": "x" * 32_001}]}),
        ("/items", {"datasetArn": "no-arn", "items": [{"itemId": "x"}]}),
        ("/items", {"datasetArn": None, "items": [{"itemId": "x"}]}),
        ("/action-interactions", {"trackingId": "t", "actionInteractions": [{"actionId": "a", "eventType": "Taken"}]}),
    ],
)
def test_a_call_against_the_model_is_refused(streams: Streams, path: str, members: dict[str, Any]) -> None:
    call = {"datasetArn": streams.arns["ITEMS"], **members}
    body = json.dumps({key: value for key, value in call.items() if value is not None}).encode()
    status, headers, _ = post(streams.url, path, body)
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")


def test_the_largest_record_that_the_model_allows_is_stored(streams: Streams) -> None:
    text = json.dumps({"price": 1, "genres": "x"})
    streams.put("ITEMS", ("largest", text + " " * (32_000 - len(text))))
    assert streams.stored("ITEMS")[-1] == ("largest", {"price": 1, "genres": "x"})


@pytest.mark.parametrize("status", ["CREATE PENDING", "DELETE PENDING", "DELETE IN_PROGRESS"])
def test_a_dataset_that_is_not_active_takes_nothing(shop: Shop, events: Any, status: str) -> None:
    arn = shop.add_dataset("USERS", SCHEMAS["USERS"])
    events.put_users(datasetArn=arn, users=[{"userId": "before"}])
    shop.set_status(arn, status)
    code, http_status, message = refusal(events.put_users, datasetArn=arn, users=[{"userId": "after"}])
    assert (code, http_status) == (IN_USE, 409) and status in message
    assert shop.query(ROWS, arn) == [("before", None)]


def test_a_deleted_dataset_is_not_found_at_once(shop: Shop, events: Any) -> None:
    arn = shop.add_dataset("USERS", SCHEMAS["USERS"])
    events.put_users(datasetArn=arn, users=[{"userId": "before"}])
    shop.query("DELETE FROM openpersonalize.resources WHERE arn = %s RETURNING 1", arn)
    assert refusal(events.put_users, datasetArn=arn, users=[{"userId": "x"}])[:2] == (NOT_FOUND, 404)


def test_a_replaced_schema_counts_within_seconds(shop: Shop, events: Any) -> None:
    arn = shop.add_dataset("USERS", SCHEMAS["USERS"])
    given = {"datasetArn": arn, "users": [{"userId": "u", "properties": '{"age": 30}'}]}
    assert refusal(events.put_users, **given)[0] == INVALID
    wider = json.dumps(schema(("USER_ID", "string"), ("GENDER", NULLABLE_STRING), ("AGE", ["null", "int"])))
    shop.query(
        "UPDATE openpersonalize.resources SET doc = jsonb_build_object('schema', %s::text) WHERE arn = %s RETURNING 1",
        *(wider, shop.arn("Schema", "users")),
    )
    until("the new field to be known", lambda: _goes(events, given), 5)


def _goes(events: Any, given: dict[str, Any]) -> bool:
    try:
        events.put_users(**given)
    except events.exceptions.InvalidInputException:
        return False
    return True


# Action interactions ------------------------------------------------------------------------------------

TAKEN = "SELECT {} FROM openpersonalize.action_events WHERE session_id = %s ORDER BY id"


def test_action_interactions_are_stored_as_given(streams: Streams) -> None:
    sent = {"userId": "u1", "eventId": "e1", "recommendationId": "RID-x", "properties": '{"channel": "mail"}'}
    streams.put_actions_taken(
        {**sent, "sessionId": "stored", "timestamp": 1_700_000_000.5, "impression": ["a1", "a2"]},
        {"sessionId": "stored", "eventType": "Not Taken", "actionId": "a2"},
    )
    columns = "event_id, user_key, user_id, event_type, action_id, sent_at, properties, recommendation_id, dataset_id"
    first, second = streams.shop.query(TAKEN.format(columns), "stored")
    assert first[:5] == ("e1", "u1", "u1", "TAKEN", "a1")
    assert first[5:8] == (1_700_000_000.5, {"channel": "mail"}, "RID-x")
    assert second[1:5] == ("stored", None, "NOT_TAKEN", "a2")
    dataset = streams.shop.query(
        "SELECT id FROM openpersonalize.resources WHERE arn = %s", streams.arns["ACTION_INTERACTIONS"]
    )
    assert first[8] == dataset[0][0]


def test_an_action_interaction_that_was_already_taken_counts_once(streams: Streams) -> None:
    same = {"sessionId": "twice", "timestamp": 1_700_000_000}
    streams.put_actions_taken(same, same, {**same, "eventId": "given"})
    streams.put_actions_taken(same, {**same, "eventId": "given", "actionId": "a9"})
    assert streams.shop.query(TAKEN.format("action_id"), "twice") == [("a1",), ("a1",)]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"eventType": "click"}, "eventType must be Taken, Not Taken or Viewed"),
        ({"timestamp": 200_000_000_000}, "looks like milliseconds"),
        ({"timestamp": 0}, "after 1970"),
        ({"properties": '{"noSuch": 1}'}, "no field of the Action_Interactions schema. Known are: channel"),
        ({"properties": '{"actionId": "a"}'}, "may not hold 'actionId'"),
    ],
)
def test_one_bad_action_interaction_refuses_the_whole_call(streams: Streams, bad: dict[str, Any], says: str) -> None:
    part = {"sessionId": "partly"}
    code, status, message = refusal(lambda: streams.put_actions_taken(part, {**part, **bad}))
    assert (code, status) == (INVALID, 400) and "actionInteractions[1]." in message and says in message
    assert streams.shop.query(TAKEN.format("action_id"), "partly") == []


def test_action_interactions_need_the_tracking_id_of_their_dataset(streams: Streams) -> None:
    for tracking_id in ("no-such", streams.shop.tracking_id):
        refused = refusal(lambda id=tracking_id: streams.put_actions_taken({}, tracking_id=id))
        assert refused[:2] == (NOT_FOUND, 404) and tracking_id in refused[2]


def test_action_interactions_of_a_dataset_that_is_being_deleted_are_refused(shop: Shop, events: Any) -> None:
    arn = shop.add_dataset("ACTION_INTERACTIONS", SCHEMAS["ACTION_INTERACTIONS"], trackingId="tracked")
    event = {"actionId": "a", "sessionId": "s", "timestamp": time.time(), "eventType": "Viewed"}
    events.put_action_interactions(trackingId="tracked", actionInteractions=[event])
    shop.set_status(arn, "DELETE PENDING")
    refused = refusal(events.put_action_interactions, trackingId="tracked", actionInteractions=[event])
    assert refused[:2] == (IN_USE, 409)


def test_what_is_committed_is_counted(shop: Shop, url: str, events: Any) -> None:
    arn = shop.add_dataset("USERS", SCHEMAS["USERS"])
    shop.add_dataset("ACTION_INTERACTIONS", SCHEMAS["ACTION_INTERACTIONS"], trackingId="tracked")
    before = counters(url)
    taken = {"actionId": "a", "sessionId": "s", "timestamp": 1_700_000_000, "eventType": "Viewed"}
    events.put_users(datasetArn=arn, users=[{"userId": "u"}, {"userId": "v"}])
    events.put_action_interactions(trackingId="tracked", actionInteractions=[taken, taken])
    events.put_events(trackingId=shop.tracking_id, sessionId="s", eventList=[event("i1", sent_at=1e9)])
    after = counters(url)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert grown["openpersonalize_records_total"] == 2
    assert grown["openpersonalize_action_events_total"] == 1
    assert grown["openpersonalize_events_total"] == 1
    for operation in ("PutUsers", "PutActionInteractions", "PutEvents"):
        assert grown[f'openpersonalize_requests_total{{campaign="-",code="",operation="{operation}"}}'] == 1


def counters(url: str) -> dict[str, float]:
    lines = [line for line in get(f"{url}/metrics")[1].splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
