"""A client who never stops: once a second an event, and the list it should move. Each is tried once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from pipelines.platform.clients import endpoints
from pipelines.settings import Settings

PAUSE = 1.0
ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20)


@dataclass
class Watch:
    """Under way from `with` on. Every event has a user of its own, so that hold-outs stay what they were."""

    settings: Settings
    tracking_id: str
    campaign: str
    acknowledged: set[str] = field(default_factory=set)
    """Ids of the events that were answered with 200."""
    answers: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    """When a call that failed was begun, on the monotonic clock, and how it failed."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(60)

    def failed_since(self, moment: float) -> list[str]:
        return [how for at, how in self.failures if at >= moment]

    def _run(self) -> None:
        runtime, events = (self._client(name) for name in ("personalize-runtime", "personalize-events"))
        n = 0
        while not self._stop.wait(PAUSE):
            n += 1
            event = {"eventId": f"watch-{n}", "eventType": "watch", "itemId": f"i{n % 100}", "sentAt": int(time.time())}
            user = f"watcher-{n}"
            given = {"trackingId": self.tracking_id, "userId": user, "sessionId": user, "eventList": [event]}
            if self._try(events.put_events, **given):
                self.acknowledged.add(f"watch-{n}")
            self.answers += self._try(runtime.get_recommendations, campaignArn=self.campaign, userId="u1")

    def _try(self, call: Callable[..., object], **given: object) -> bool:
        at = time.monotonic()
        try:
            call(**given)
        except (BotoCoreError, ClientError) as error:
            self.failures.append((at, f"{type(error).__name__}: {error}"[:200]))
            return False
        return True

    def _client(self, name: str) -> Any:
        key_id, secret = next(iter(self.settings.access_keys.items()))
        session = boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret)
        return session.client(
            name, endpoint_url=endpoints(self.settings)[name], region_name=self.settings.region, config=ONCE
        )
