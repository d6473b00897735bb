"""Signatures against botocore's own signer, and what breaks them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pipelines.aws import sigv4
from pipelines.aws.errors import AwsError, InvalidSignature, MissingAuthenticationToken

TARGET = {"X-Amz-Target": "AmazonPersonalize.ListSchemas"}


def signed(url: str = "http://host:8080/", body: bytes = b"{}", region: str = "us-east-1", **headers: str) -> dict:
    """Keyword arguments of `verify` for a request that botocore has signed."""
    request = AWSRequest(method="POST", url=url, data=body, headers={**TARGET, **headers})
    SigV4Auth(Credentials("AKID", "secret"), "personalize", region).add_auth(request)
    parts = urlsplit(url)
    sent = {name.lower(): value for name, value in request.headers.items()}
    return {
        "method": "POST",
        "path": parts.path,
        "query": parts.query,
        "headers": {"host": parts.netloc, **sent},
        "body": body,
        "secret": "secret",
        "now": datetime.now(UTC),
        "region": "us-east-1",
    }


def verify(**given: Any) -> str:
    """The id of the key that signed; raises what is wrong."""
    claimed = sigv4.claim(given["headers"])
    sigv4.verify(claimed, **given)
    return claimed.credential.key_id


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8080/",
        "http://host:8080/personalize",
        "http://host:8080/personalize/",
        "http://host:3000/a%20b/c~d",
        "http://host/x?b=2&a=1&c",
    ],
)
def test_what_botocore_signs_is_accepted(url: str) -> None:
    assert verify(**signed(url, **{"X-Amz-Meta": "  two   spaces "})) == "AKID"


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"{} "},
        {"method": "PUT"},
        {"path": "/personalize"},
        {"query": "a=1"},
        {"secret": "wrong"},
    ],
)
def test_whatever_is_changed_breaks_the_signature(change) -> None:
    with pytest.raises(InvalidSignature, match="does not match"):
        verify(**{**signed(), **change})


@pytest.mark.parametrize(("name", "value"), [("x-amz-target", "AmazonPersonalize.DeleteSchema"), ("host", "elsewhere")])
def test_signed_headers_cannot_be_changed(name: str, value: str) -> None:
    given = signed()
    given["headers"][name] = value
    with pytest.raises(InvalidSignature):
        verify(**given)


def test_a_target_that_was_not_signed_is_refused() -> None:
    given = signed()
    given["headers"]["authorization"] = given["headers"]["authorization"].replace(";x-amz-target", "")
    with pytest.raises(InvalidSignature, match="x-amz-target"):
        verify(**given)


def test_clocks_may_be_fifteen_minutes_apart() -> None:
    given = signed()
    for minutes in (-14, 14):
        assert verify(**{**given, "now": given["now"] + timedelta(minutes=minutes)}) == "AKID"
    for minutes in (-16, 16):
        with pytest.raises(InvalidSignature, match="15 minutes"):
            verify(**{**given, "now": given["now"] + timedelta(minutes=minutes)})


def test_region_and_service_must_be_ours() -> None:
    with pytest.raises(InvalidSignature, match=r"'us-east-1'.*'eu-west-1'"):
        verify(**signed(region="eu-west-1"))
    with pytest.raises(InvalidSignature, match="service 's3'"):
        verify(**signed(), service="s3")


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        ("", MissingAuthenticationToken),
        ("Bearer x", InvalidSignature),
        ("AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/personalize/aws4_request", InvalidSignature),
        ("AWS4-HMAC-SHA256 Credential=AKID, SignedHeaders=host;x-amz-date, Signature=é", InvalidSignature),
    ],
)
def test_an_authorization_that_is_none_is_refused_with_its_own_error(authorization: str, error: type[AwsError]) -> None:
    given = signed()
    given["headers"]["authorization"] = authorization
    with pytest.raises(error):
        verify(**given)
    assert error("x").status("personalize") == 400
    assert error("x").status("personalize-runtime") == 403


def test_a_date_that_is_none_is_refused() -> None:
    given = signed()
    given["headers"]["x-amz-date"] = "yesterday"
    with pytest.raises(InvalidSignature, match="'yesterday'"):
        verify(**given)
