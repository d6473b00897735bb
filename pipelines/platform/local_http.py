"""HTTP to our own processes on this machine: JSON in, JSON out, and no exception for an answer that says no."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    """0 when nobody answered."""
    body: Any = None
    """The parsed JSON, None when it was none."""
    problem: str = ""
    """In words, unless the status is 2xx."""


def ask(
    url: str, body: Any = None, *, method: str = "GET", headers: Mapping[str, str] | None = None, timeout: float = 5.0
) -> Answer:
    """One request; `body` is sent as JSON unless it is None."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data=data, method=method, headers=sent)
    # Never through a proxy of the environment: it is this machine that is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Answer(answer.status, _json(answer.read()))
    except urllib.error.HTTPError as error:
        return Answer(error.code, _json(error.read()), f"answers {error.code}")
    except OSError as error:
        reason = getattr(error, "reason", error)
        return Answer(0, None, f"no answer ({getattr(reason, 'strerror', None) or reason})")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
