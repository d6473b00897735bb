"""How many events a second PutEvents takes on this machine, and what an event costs (`python -m tests.bench.events_bench`).

The real runtime with two workers and a PostgreSQL that waits for the disk at every commit; signed requests, made
beforehand, through keep-alive connections of this process. Each load runs as fast as it is answered, and paced at the rate
that must be held: there the latencies say what a client sees. `--seconds 60` for numbers to quote.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.runtime_bench import durable_shop
from tests.support.load import Line, signed_requests
from tests.support.runtime import Shop
from tests.support.runtime_servers import bento_runtime

CONNECTIONS = 32
USERS = 10_000
CALIBRATION_SECONDS = 2.0


@dataclass(frozen=True)
class Load:
    """Calls of one size; `rate` is how many a second must be held."""

    name: str
    events: int
    rate: int


LOADS = (Load("1 event a call", 1, 400), Load("10 events a call", 10, 300))


@dataclass(frozen=True)
class Measured:
    """What one load did to the server."""

    name: str
    wanted: float
    events: int
    seconds: float
    """From the first call to the last answer."""
    asked: float
    """Seconds for which calls were made."""
    milliseconds: list[float]
    runtime_cpu: float
    postgres_cpu: float

    @property
    def rate(self) -> float:
        return len(self.milliseconds) / self.seconds

    @property
    def holds(self) -> bool:
        """Whether as many calls were answered as must be, the last of them within a second of the end."""
        return len(self.milliseconds) >= int(self.wanted * self.asked) and self.seconds < self.asked + 1


class Bench:
    """The server under load; counts what was acknowledged."""

    def __init__(self, url: str, shop: Shop, runtime: list[psutil.Process], postgres: psutil.Process) -> None:
        self._url = url
        self._shop = shop
        self._runtime = runtime
        self._postgres = postgres
        self.acknowledged = 0

    def measure(self, name: str, load: Load, seconds: float, rate: float, *, paced: bool) -> Measured:
        """Send for so long, at `rate` calls a second if paced, else as fast as answered (`rate` is the most there are)."""
        count = int(rate * seconds)
        bodies = (self._body(load, n) for n in range(count))
        requests = signed_requests(self._url, "/events", bodies)
        before, started = self._cpu(), time.monotonic()
        latencies = asyncio.run(self._send(requests, rate if paced else None, seconds))
        elapsed, after = time.monotonic() - started, self._cpu()
        self.acknowledged += len(latencies) * load.events
        used = [b - a for a, b in zip(before, after, strict=True)]
        asked = min(seconds, elapsed)  # less when the machine became so much faster that there were too few requests
        return Measured(name, load.rate, load.events, elapsed, asked, latencies, used[0], used[1])

    def check(self) -> None:
        """Every acknowledged event is in the table, and nothing else."""
        (stored,) = self._shop.query("SELECT count(*) FROM openpersonalize.events")[0]
        assert stored == self.acknowledged, f"{self.acknowledged} events acknowledged, {stored} stored"

    def _body(self, load: Load, n: int) -> bytes:
        events = [
            {
                "eventId": uuid.uuid4().hex,
                "eventType": "watch",
                "itemId": f"i{(n * 7 + e) % 1000}",
                "sentAt": time.time(),
            }
            for e in range(load.events)
        ]
        call = {"trackingId": self._shop.tracking_id, "userId": f"u{n % USERS}", "sessionId": f"s{n % USERS}"}
        return json.dumps({**call, "eventList": events}).encode()

    async def _send(self, requests: list[bytes], rate: float | None, seconds: float) -> list[float]:
        latencies: list[float] = []

        def answered(due: float, got: float, status: int, body: bytes) -> None:
            assert status == 200, body
            latencies.append((got - due) * 1000)

        stop, loop, at = asyncio.Event(), asyncio.get_running_loop(), urlsplit(self._url)
        started = time.monotonic()
        due = ((started + n / rate if rate else 0.0, request) for n, request in enumerate(requests))
        loop.call_later(seconds, stop.set)
        lines = []
        for _ in range(CONNECTIONS):
            _, line = await loop.create_connection(lambda: Line(due, answered, stop), at.hostname, at.port)
            lines.append(line.done)
        await asyncio.gather(*lines)
        return latencies

    def _cpu(self) -> tuple[float, float]:
        return _seconds(self._runtime), _seconds([self._postgres, *self._postgres.children(recursive=True)])


def _seconds(processes: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def measurements(bench: Bench, seconds: float) -> Iterator[Measured]:
    """Every load, as fast as it is answered and at the rate that must be held."""
    for load in LOADS:
        fastest = bench.measure(load.name, load, CALIBRATION_SECONDS, 5000, paced=False).rate
        yield bench.measure(f"{load.name}, as fast as answered", load, seconds, 3 * fastest, paced=False)
        yield bench.measure(f"{load.name}, {load.rate} calls/s", load, seconds, load.rate, paced=True)


def report(measured: list[Measured], seconds: float) -> Table:
    """Rates, latencies and CPU microseconds of the server per event."""
    title = f"PutEvents, 2 workers, synchronous_commit on, {CONNECTIONS} connections, {seconds:.0f} s each"
    table = Table(title=f"{title} (load {os.getloadavg()[0]:.1f})")
    columns = ("calls/s", "events/s", "p50 ms", "p99 ms", "max ms")
    table.add_column("")
    for column in (*columns, "CPU us/event: runtime", "PostgreSQL", "together", "bound"):
        table.add_column(column, justify="right")
    for one in measured:
        ordered = sorted(one.milliseconds)
        events = len(ordered) * one.events
        cpu = [
            spent / events * 1e6 for spent in (one.runtime_cpu, one.postgres_cpu, one.runtime_cpu + one.postgres_cpu)
        ]
        shares = [ordered[int((len(ordered) - 1) * share)] for share in (0.5, 0.99, 1)]
        bound = f"{one.wanted * one.events:,.0f} events/s {'holds' if one.holds else 'MISSED'}"
        rates = [f"{one.rate:,.0f}", f"{one.rate * one.events:,.0f}"]
        table.add_row(one.name, *rates, *(f"{ms:.1f}" for ms in shares), *(f"{us:.0f}" for us in cpu), bound)
    return table


def main() -> int:
    """Run and print the table; 1 when a rate is not held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each load runs")
    seconds = parser.parse_args().seconds
    with ExitStack() as stack:
        settings, shop, postgres = stack.enter_context(durable_shop())
        runtime = stack.enter_context(bento_runtime(settings))
        bench = Bench(runtime.url, shop, runtime.workers, postgres)
        measured = list(measurements(bench, seconds))
        bench.check()
        Console(width=180).print(report(measured, seconds))
    return 0 if all(one.holds for one in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
