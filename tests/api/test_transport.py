"""Below the operations: signatures, paths, bodies, request ids, the access log, and a database that is away."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from fastapi import FastAPI
from sqlalchemy import make_url, text

from pipelines.control.operations import OPERATIONS
from pipelines.registry import store
from plugins.control_plane.app import MAX_BODY, MountWithoutSlash, create_app
from tests.api.conftest import client_for, serving
from tests.conftest import ACCESS_KEY_ID, SECRET_ACCESS_KEY, execute


def send(
    url: str, body: bytes = b"{}", target: str = "ListSchemas", method: str = "POST", sign: bool = True, **headers
):
    """Status, headers and document of a signed request that botocore would not send; headers override."""
    given = {"X-Amz-Target": f"AmazonPersonalize.{target}", "Content-Type": "application/x-amz-json-1.1"}
    request = AWSRequest(method=method, url=url, data=body, headers=given)
    if sign:
        SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "personalize", "us-east-1").add_auth(request)
    made = urllib.request.Request(url, body, {**dict(request.headers), **headers}, method=method)
    try:
        with urllib.request.urlopen(made, timeout=30) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as failure:
        return failure.code, failure.headers, json.loads(failure.read())


def test_wrong_secrets_and_unknown_keys_are_told_apart(url: str) -> None:
    for client, code in (
        (client_for(url, secret="wrong"), "InvalidSignatureException"),
        (client_for(url, key_id="AKIAUNKNOWN"), "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as refused:
            client.list_schemas()
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"sign": False}, "MissingAuthenticationTokenException"),
        ({"sign": False, "method": "GET"}, "MissingAuthenticationTokenException"),
        ({"method": "GET"}, "UnknownOperationException"),
        ({"target": "NoSuch"}, "UnknownOperationException"),
        ({"body": b'{"a"'}, "SerializationException"),
        ({"target": "CreateSchema", "body": b""}, "ValidationException"),
    ],
)
def test_what_is_no_operation_gets_a_typed_answer(url: str, sent, code: str) -> None:
    for path in ("/", "/no/such/path"):
        status, headers, doc = send(url + path, **sent)
        assert (status, doc["__type"], headers["x-amzn-ErrorType"]) == (400, code, code)
        assert doc["message"]
        assert headers["x-amzn-RequestId"]
        assert headers["Content-Type"] == "application/x-amz-json-1.1"


def test_a_changed_body_or_target_breaks_the_signature(url: str) -> None:
    for override in ({"X-Amz-Target": "AmazonPersonalize.ListRecipes"}, {"X-Amz-Date": "20200101T000000Z"}):
        assert send(url, **override)[2]["__type"] == "InvalidSignatureException"


def test_a_body_that_is_too_long_is_not_read_to_its_end(url: str) -> None:
    status, _, doc = send(url, body=b" " * (MAX_BODY + 1))
    assert (status, doc["__type"]) == (413, "RequestEntityTooLargeException")


def test_an_operation_that_is_not_there_says_so_after_its_constraints(personalize, monkeypatch) -> None:
    monkeypatch.delitem(OPERATIONS, "DescribeFilter")
    with pytest.raises(ClientError, match="DescribeFilter is not available yet") as refused:
        personalize.describe_filter(filterArn="arn:aws:personalize:us-east-1:123456789012:filter/f")
    assert refused.value.response["Error"]["Code"] == "UnknownOperationException"
    with pytest.raises(ClientError, match="filterArn"):
        personalize.describe_filter(filterArn="not an arn")


@pytest.mark.parametrize("path", ["/personalize", "/personalize/"])
def test_the_mounted_app_answers_with_and_without_the_slash(settings, path: str) -> None:
    airflow = FastAPI()
    airflow.mount("/personalize", create_app(settings))
    airflow.add_middleware(MountWithoutSlash, path="/personalize")
    with serving(airflow) as url:
        client = client_for(url + path)
        client.create_dataset_group(name="mounted")
        assert [group["name"] for group in client.list_dataset_groups()["datasetGroups"]] == ["mounted"]


def test_every_request_has_an_access_log_line_with_its_request_id(personalize, caplog) -> None:
    caplog.set_level(logging.INFO, "openpersonalize.access")
    request_id = personalize.list_schemas()["ResponseMetadata"]["RequestId"]
    with pytest.raises(ClientError):
        personalize.describe_schema(schemaArn="arn:aws:personalize:us-east-1:123456789012:schema/none")
    lines = [record.getMessage() for record in caplog.records if record.name == "openpersonalize.access"]
    assert len(lines) == 2
    assert f"request_id={request_id} operation=ListSchemas key={ACCESS_KEY_ID} status=200 code=- ms=" in lines[0]
    assert "operation=DescribeSchema" in lines[1]
    assert "status=400 code=ResourceNotFoundException" in lines[1]


def test_connections_cut_by_a_restart_of_the_database_are_replaced(personalize, db) -> None:
    personalize.create_dataset_group(name="before")
    with db.begin() as conn:
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        others = " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert conn.execute(text(cut + others)).scalar_one() >= 1
    personalize.create_dataset_group(name="after")
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 2


def test_while_the_database_is_away_the_answer_is_one_that_clients_retry(personalize, postgres, settings) -> None:
    personalize.create_dataset_group(name="before")
    database = make_url(settings.database_url).database
    execute(postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    execute(postgres, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    with pytest.raises(ClientError) as refused:
        personalize.list_schemas()
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailableException"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    execute(postgres, f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
    assert len(personalize.list_dataset_groups()["datasetGroups"]) == 1


def test_a_request_does_not_wait_for_ever_for_another(personalize, db, monkeypatch) -> None:
    from pipelines.control import service

    monkeypatch.setattr(service, "LOCK_TIMEOUT", "100ms")
    arn = personalize.create_dataset_group(name="held")["datasetGroupArn"]
    with db.begin() as conn:
        store.get(conn, arn=arn, lock=True)
        with pytest.raises(ClientError) as refused:
            personalize.delete_dataset_group(datasetGroupArn=arn)
        assert refused.value.response["Error"]["Code"] == "ServiceUnavailableException"
    personalize.delete_dataset_group(datasetGroupArn=arn)


def test_before_the_first_migration_the_answer_is_one_that_clients_retry(personalize, db) -> None:
    with db.begin() as conn:
        conn.execute(text("DROP SCHEMA openpersonalize CASCADE"))
    with pytest.raises(ClientError) as refused:
        personalize.list_schemas()
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_a_defect_is_logged_and_answered_without_its_stack_trace(personalize, monkeypatch, caplog) -> None:
    from pipelines.control import operations

    def broken(_context, _given):
        raise RuntimeError("the cause")

    monkeypatch.setitem(operations.OPERATIONS, "ListSchemas", broken)
    with pytest.raises(ClientError) as refused:
        personalize.list_schemas()
    answer = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("InternalFailure", 500)
    assert "the cause" not in answer["Error"]["Message"]
    assert answer["ResponseMetadata"]["RequestId"] in answer["Error"]["Message"]
    assert "the cause" in caplog.text


def test_a_clock_that_is_off_by_more_than_fifteen_minutes_is_refused(url: str, monkeypatch) -> None:
    import botocore.auth

    client = client_for(url)
    for minutes, code in (
        (14, None),
        (-14, None),
        (16, "InvalidSignatureException"),
        (-16, "InvalidSignatureException"),
    ):
        shifted = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True, at=shifted: at)
        try:
            client.list_schemas()
            assert code is None
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == code
