"""Signature Version 4: whether a request was signed with one of our access keys.

After AWS's "Create a signed request": canonical request -> string to sign -> HMAC with a key derived from secret,
date, region and service. On the hot path of every request, so what a client says alike for a whole day (its
credential, the headers that it signs) is taken apart once, and the derived key is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

from pipelines.aws.errors import InvalidSignature, MissingAuthenticationToken

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)
_NEEDED = frozenset({"host", "x-amz-date"})
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True, slots=True)
class Credential:
    """The Authorization header without the signature, taken apart."""

    key_id: str
    date: str
    region: str
    service: str
    scope: str
    signed_headers: tuple[str, ...]


class Claim(NamedTuple):
    """Who a request says has signed it, and the signature."""

    credential: Credential
    signature: str


def claim(headers: Mapping[str, str]) -> Claim:
    """The Authorization header of a request (names in lower case); raises one of the signature errors."""
    header = headers.get("authorization", "")
    if not header:
        raise MissingAuthenticationToken("Missing Authentication Token: the request has no Authorization header.")
    # Clients write the signature last; the parts may come in any order.
    before, found, signature = header.rpartition("Signature=")
    signature, _, after = signature.partition(",")
    credential = _parse_credential(before + after) if found else None
    if credential is None or not signature.strip():
        raise InvalidSignature(
            f"Authorization must be '{ALGORITHM} Credential=…, SignedHeaders=…, Signature=…' (Signature Version 4)."
        )
    return Claim(credential, signature.strip())


def verify(
    claimed: Claim,
    secret: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    service: str = "personalize",
    region: str,
) -> None:
    """Raise one of the signature errors unless the request was signed with the secret of the claimed key.

    `path` and `query` are as the client sent them (percent-encoded), `headers` has lower-case names.
    """
    credential, signature = claimed
    timestamp = _check_scope(credential, headers, now, service, region)
    canonical = _canonical_request(method, path, query, headers, body, credential.signed_headers)
    to_sign = "\n".join((ALGORITHM, timestamp, credential.scope, hashlib.sha256(canonical).hexdigest()))
    key = _signing_key(secret, credential.date, credential.region, credential.service)
    expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise InvalidSignature(
            "The request signature we calculated does not match the signature you provided. Check your secret access "
            "key, and that nothing between you and this server changes the Host header, the path or the body."
        )


@lru_cache(maxsize=64)
def _parse_credential(header: str) -> Credential | None:
    algorithm, _, rest = header.partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    scope = fields.get("Credential", "").rsplit("/", 4)
    if algorithm != ALGORITHM or len(scope) != 5 or not fields.get("SignedHeaders"):
        return None
    key_id, date, region, service, _ = scope
    signed_scope = f"{date}/{region}/{service}/aws4_request"
    return Credential(key_id, date, region, service, signed_scope, tuple(fields["SignedHeaders"].split(";")))


def _check_scope(credential: Credential, headers: Mapping[str, str], now: datetime, service: str, region: str) -> str:
    """The request's timestamp as it was signed; raises InvalidSignature."""
    if credential.service != service or credential.region != region:
        raise InvalidSignature(
            f"Credential should be scoped to region '{region}' and service '{service}', "
            f"not '{credential.region}' and '{credential.service}'."
        )
    needed = _NEEDED if "x-amz-target" not in headers else {*_NEEDED, "x-amz-target"}
    if not needed.issubset(credential.signed_headers):
        raise InvalidSignature(f"SignedHeaders must name {', '.join(sorted(needed))}.")
    timestamp = headers.get("x-amz-date", "")
    try:
        # fullmatch: fromisoformat takes other forms, too; strptime takes ten times as long as both.
        signed_at = datetime.fromisoformat(timestamp if _TIMESTAMP.fullmatch(timestamp) else "")
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
            _canonical_path(path or "/"),
            "&".join(sorted(part if "=" in part else part + "=" for part in query.split("&"))) if query else "",
            *lines,
            "",
            ";".join(signed_headers),
            hashlib.sha256(body).hexdigest(),
        )
    ).encode()


@lru_cache(maxsize=64)
def _canonical_path(path: str) -> str:
    return quote(path, safe="/-_.~")


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = ("AWS4" + secret).encode()
    for step in (date, region, service, "aws4_request"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key
