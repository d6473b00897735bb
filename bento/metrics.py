"""Counters of the runtime for Prometheus, summed over the workers.

Labelled by campaign name, operation and error code, each from a bounded set: a campaign that does not exist and an
operation that is unknown share one label. prometheus_client keeps one file a process in PROMETHEUS_MULTIPROC_DIR
(BentoML sets and empties it at every start); without that variable, as under plain uvicorn, there is one process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

NONE = "-"
"""The label of a request that is for no campaign that exists."""

# Unlike AWS, serving: numbers of requests, errors and times are at /metrics as Prometheus reads them. There is no
# CloudWatch here.
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """One worker's counters."""

    def __init__(self) -> None:
        self._directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        if self._directory:
            Path(self._directory).mkdir(parents=True, exist_ok=True)
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "openpersonalize_requests",
            "Requests answered, by error code (empty: answered with 200)",
            ("campaign", "operation", "code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "openpersonalize_request_seconds",
            "Seconds from the request's first byte to its answer",
            ("campaign", "operation"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._counted: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._events = Counter(
            "openpersonalize_events", "Streamed events committed, without repeated ones", registry=registry
        )
        self._action_events = Counter(
            "openpersonalize_action_events",
            "Streamed action interactions committed, without repeated ones",
            registry=registry,
        )
        self._records = Counter(
            "openpersonalize_records", "Streamed items, users and actions committed", registry=registry
        )
        self._dropped = Counter(
            "openpersonalize_served_dropped", "Answers that were not recorded in `served`", registry=registry
        )
        self._loaded = Gauge(
            "openpersonalize_campaigns_loaded",
            "Campaigns that every worker has in memory (the least of them)",
            multiprocess_mode="livemin",
            registry=registry,
        )

    def request(self, campaign: str, operation: str, code: str, seconds: float) -> None:
        """Count one answer."""
        key = campaign, operation, code
        found = self._counted.get(key)
        if found is None:
            # Kept: finding a labelled counter costs more than counting.
            found = self._requests.labels(*key), self._seconds.labels(campaign, operation)
            self._counted[key] = found
        count, observed = found
        count.inc()
        observed.observe(seconds)

    def events(self, count: int) -> None:
        self._events.inc(count)

    def action_events(self, count: int) -> None:
        self._action_events.inc(count)

    def records(self, count: int) -> None:
        self._records.inc(count)

    def dropped(self, count: int) -> None:
        self._dropped.inc(count)

    def loaded(self, count: int) -> None:
        self._loaded.set(count)

    def exposition(self) -> bytes:
        """Prometheus' text format, over all workers."""
        if not self._directory:
            return generate_latest(self._registry)
        self._bury()
        together = CollectorRegistry()
        MultiProcessCollector(together, path=self._directory)
        return generate_latest(together)

    def _bury(self) -> None:
        """Forget the gauges of killed workers; their counters go on counting."""
        for file in Path(self._directory).glob("gauge_live*_*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not psutil.pid_exists(pid):
                with suppress(FileNotFoundError):  # another worker was faster
                    mark_process_dead(pid, self._directory)
