"""Signature Version 4: whether a request was signed with one of our access keys.

After AWS's "Create a signed request": canonical request -> string to sign -> HMAC with a key derived from secret,
date, region and service. On the hot path of every request, so the derived key is kept (it changes once a day).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

from pipelines.aws.errors import InvalidSignature, MissingAuthenticationToken, UnrecognizedClient

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)


@dataclass(frozen=True)
class Credential:
    """The Authorization header, taken apart."""

    key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def verify(
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    access_keys: Mapping[str, str],
    now: datetime,
    service: str = "personalize",
    region: str,
) -> str:
    """The access key id that signed the request; raises one of the signature errors.

    `path` and `query` are as the client sent them (percent-encoded), `headers` has lower-case names.
    """
    credential = _parse_authorization(headers.get("authorization", ""))
    secret = access_keys.get(credential.key_id)
    if secret is None:
        raise UnrecognizedClient("The security token included in the request is invalid: unknown access key id.")
    timestamp = _check_scope(credential, headers, now, service, region)
    canonical = _canonical_request(method, path, query, headers, body, credential.signed_headers)
    to_sign = "\n".join((ALGORITHM, timestamp, credential.scope, hashlib.sha256(canonical).hexdigest()))
    key = _signing_key(secret, credential.date, credential.region, credential.service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), credential.signature.encode()):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided. Check your secret access "
            "key, and that nothing between you and this server changes the Host header, the path or the body."
        )
    return credential.key_id


def _parse_authorization(header: str) -> Credential:
    if not header:
        raise MissingAuthenticationToken("Missing Authentication Token: the request has no Authorization header.")
    algorithm, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").rsplit("/", 4)
    if algorithm != ALGORITHM or len(scope) != 5 or not fields.get("Signature") or not fields.get("SignedHeaders"):
        raise InvalidSignature(
            f"Authorization must be '{ALGORITHM} Credential=…, SignedHeaders=…, Signature=…' (Signature Version 4)."
        )
    key_id, date, region, service, _ = scope
    return Credential(key_id, date, region, service, tuple(fields["SignedHeaders"].split(";")), fields["Signature"])


def _check_scope(credential: Credential, headers: Mapping[str, str], now: datetime, service: str, region: str) -> str:
    """The request's timestamp as it was signed; raises InvalidSignature."""
    if credential.service != service or credential.region != region:
        raise InvalidSignature(
            f"Credential should be scoped to region '{region}' and service '{service}', "
            f"not '{credential.region}' and '{credential.service}'."
        )
    needed = {"host", "x-amz-date"} | ({"x-amz-target"} & headers.keys())
    if not needed <= set(credential.signed_headers):
        raise InvalidSignature(f"SignedHeaders must name {', '.join(sorted(needed))}.")
    timestamp = headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise InvalidSignature(f"X-Amz-Date {timestamp!r} is not of the form 20260131T235959Z.") from None
    if not timestamp.startswith(credential.date):
        raise InvalidSignature("The date in Credential is not that of X-Amz-Date.")
    if abs(now - signed_at) > MAX_SKEW:
        raise InvalidSignature(
            f"Signature expired: signed at {timestamp}, the server's clock says {now:%Y%m%dT%H%M%SZ}; "
            "they may be 15 minutes apart."
        )
    return timestamp


def _canonical_request(
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, signed_headers: tuple[str, ...]
) -> bytes:
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in signed_headers]
    return "\n".join(
        (
            method,
            quote(path or "/", safe="/-_.~"),
            "&".join(sorted(part if "=" in part else part + "=" for part in query.split("&"))) if query else "",
            *lines,
            "",
            ";".join(signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    ).encode()


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key
