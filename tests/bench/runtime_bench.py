"""What a request to the runtime costs, beside a raw ASGI app that answers the same bytes (`python -m tests.bench.runtime_bench`).

Requests a second say as much about the machine's other work as about the software; CPU per request, of server and
database together with the floor measured in the same interleaved rounds, says what the software costs.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.processes import die_with_parent
from pipelines.registry.database import migrate
from pipelines.settings import TELEMETRY_OFF, Settings
from tests.conftest import platform_settings
from tests.support.load import keep_asking, signed_request
from tests.support.runtime import Shop, client, event, get, until
from tests.support.runtime_servers import REPOSITORY, bento_runtime

ROUNDS = 5
ROUND_SECONDS = 1.5
CONNECTIONS = (1, 16)
FLOOR_FILE = "RUNTIME_BENCH_ANSWER"


async def floor(scope: Any, receive: Any, send: Any) -> None:
    """The cheapest app that gives our answer: reads the body, sends the bytes."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    body = _floor_answer()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_answers: dict[str, bytes] = {}


def _floor_answer() -> bytes:
    path = os.environ[FLOOR_FILE]
    if path not in _answers:
        _answers[path] = Path(path).read_bytes()
    return _answers[path]


@dataclass
class Subject:
    """One server under one kind of request."""

    name: str
    url: str
    requests: list[bytes]
    processes: list[psutil.Process]
    rates: dict[int, list[float]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)
    milliseconds: dict[int, list[float]] = field(default_factory=dict)

    def measure(self, connections: int, seconds: float) -> None:
        """One round: requests a second, CPU microseconds of the server per request, latencies."""
        before, started = self._cpu(), time.perf_counter()
        latencies = asyncio.run(_load(self.url, self.requests, connections, seconds))
        elapsed, used = time.perf_counter() - started, self._cpu() - before
        self.rates.setdefault(connections, []).append(len(latencies) / elapsed)
        self.cpu.setdefault(connections, []).append(used / len(latencies) * 1e6)
        self.milliseconds.setdefault(connections, []).extend(latencies)

    def _cpu(self) -> float:
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes))


async def _load(url: str, requests: list[bytes], connections: int, seconds: float) -> list[float]:
    latencies: list[float] = []

    def answered(sent: float, got: float, status: int, body: bytes) -> None:
        assert status == 200, body
        latencies.append((got - sent) * 1000)

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    share = max(len(requests) // connections, 1)
    parts = [requests[n * share : (n + 1) * share] or requests for n in range(connections)]
    await asyncio.gather(*(keep_asking(url, part, answered, stop) for part in parts))
    return latencies


@contextmanager
def uvicorn_process(app: str, settings: Settings, *options: str, **env: str) -> Iterator[tuple[str, psutil.Process]]:
    """`uvicorn app` with one worker; its URL and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", app, "--port", str(port), "--no-access-log", "--log-level", "warning"]
    environment = {**os.environ, **TELEMETRY_OFF, **settings.to_env(), "OMP_NUM_THREADS": "1", **env}
    process = subprocess.Popen([*command, *options], cwd=REPOSITORY, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        until(f"{app} to start", lambda: _answers_at(url), 60)
        yield url, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers_at(url: str) -> bool:
    try:
        return get(f"{url}/livez")[0] == 200
    except OSError:
        return False


@contextmanager
def durable_shop() -> Iterator[tuple[Settings, Shop, psutil.Process]]:
    """A migrated home and its shop over a PostgreSQL with fsync on, and that server's process."""
    with ExitStack() as stack:
        url, postgres = stack.enter_context(_durable_postgres())
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="op-bench-home-")))
        settings = platform_settings(home, url)
        migrate(settings)
        shop = Shop(settings)
        stack.callback(shop.close)
        yield settings, shop, postgres


@contextmanager
def _durable_postgres() -> Iterator[tuple[str, psutil.Process]]:
    """A server as the platform runs it; its URL and its process (its backends come and go)."""
    with tempfile.TemporaryDirectory(prefix="op-bench-") as root:
        server = EmbeddedPostgres(EmbeddedPostgres.throwaway(Path(root)).cluster)
        server.initialise()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        end = die_with_parent(signal.SIGINT)
        process = subprocess.Popen(server.command(), preexec_fn=end, **quiet, **server.popen_options())
        try:
            server.wait_ready(process)
            yield server.url(), psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
            server.end_leftovers()


def subjects(stack: ExitStack, settings: Settings, shop: Shop, answer_file: Path) -> list[Subject]:
    """The servers, started, each with its requests."""
    small = shop.add_version(items=1682, dimension=149, users=943, events=100, history_length=100)
    large = shop.add_version(items=100_000, dimension=64, users=1000, events=100, history_length=100)
    ranked = shop.add_version("rank", recipe_type="PERSONALIZED_RANKING", items=1682, dimension=149, users=943)
    bento = stack.enter_context(bento_runtime(settings))
    arns = {name: shop.deploy(v, name, 2) for name, v in (("small", small), ("large", large), ("rank", ranked))}
    first = client("personalize-runtime", bento.url).get_recommendations(campaignArn=arns["small"], userId="u1")
    answer_file.write_bytes(json.dumps({key: first[key] for key in ("itemList", "recommendationId")}).encode())
    client("personalize-events", bento.url).put_events(
        trackingId=shop.tracking_id, userId="u1", sessionId="s", eventList=[event(f"i{n}") for n in range(10)]
    )
    floor_url, floor_process = stack.enter_context(
        uvicorn_process("tests.bench.runtime_bench:floor", settings, **{FLOOR_FILE: str(answer_file)})
    )
    plain_url, plain_process = stack.enter_context(uvicorn_process("bento.app:create_app", settings, "--factory"))
    until("uvicorn to load", lambda: get(f"{plain_url}/readyz")[0] == 200)
    workers = bento.workers

    def ask(url: str, campaign: str) -> list[bytes]:
        body = json.dumps({"campaignArn": arns[campaign], "userId": "u1"}).encode()
        return [signed_request(url, "/recommendations", body)]

    def rank(url: str) -> list[bytes]:
        listed = {"campaignArn": arns["rank"], "userId": "u1", "inputList": [f"i{n}" for n in range(100)]}
        return [signed_request(url, "/personalize-ranking", json.dumps(listed).encode())]

    def put(url: str) -> list[bytes]:
        calls = (
            {
                "trackingId": shop.tracking_id,
                "userId": f"w{n}",
                "sessionId": "s",
                "eventList": [event("i1", eventId=str(n))],
            }
            for n in range(20_000)
        )
        return [signed_request(url, "/events", json.dumps(call).encode()) for call in calls]

    return [
        Subject("raw ASGI, the same bytes (floor)", floor_url, ask(floor_url, "small"), [floor_process]),
        Subject("GetRecommendations, 1,682 items, uvicorn", plain_url, ask(plain_url, "small"), [plain_process]),
        Subject("GetRecommendations, 1,682 items, 2 workers", bento.url, ask(bento.url, "small"), workers),
        Subject("GetPersonalizedRanking, 100 of 1,682, 2 workers", bento.url, rank(bento.url), workers),
        Subject("GetRecommendations, 100,000 items, 2 workers", bento.url, ask(bento.url, "large"), workers),
        Subject("PutEvents, 1 event, 2 workers", bento.url, put(bento.url), workers),
    ]


def report(measured: list[Subject]) -> Table:
    """CPU per request, times the floor, requests a second and latencies, by number of connections."""
    table = Table(
        title=f"Runtime, median of {ROUNDS} interleaved rounds of {ROUND_SECONDS} s (load {os.getloadavg()[0]:.1f})"
    )
    table.add_column("")
    for connections in CONNECTIONS:
        for column in ("CPU us", "x floor", "req/s", "p50 ms", "p99 ms"):
            table.add_column(f"c={connections} {column}", justify="right")
    for subject in measured:
        cells = []
        for connections in CONNECTIONS:
            cpu, lowest = median(subject.cpu[connections]), median(measured[0].cpu[connections])
            latencies = sorted(subject.milliseconds[connections])
            cells += [f"{cpu:.0f}", f"{cpu / lowest:.1f}", f"{median(subject.rates[connections]):.0f}"]
            cells += [f"{latencies[int(len(latencies) * share)]:.1f}" for share in (0.5, 0.99)]
        table.add_row(subject.name, *cells)
    return table


def main() -> None:
    """Run and print the table."""
    with ExitStack() as stack:
        settings, shop, _ = stack.enter_context(durable_shop())
        measured = subjects(stack, settings, shop, settings.home / "answer.json")
        for subject in measured:
            subject.measure(4, 0.3)  # warm
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for subject in measured:
                    subject.measure(connections, ROUND_SECONDS)
        Console(width=180).print(report(measured))


if __name__ == "__main__":
    main()
