"""How much memory Airflow's api-server keeps of what the control plane in it has answered (`make soak`).

The real process as a platform starts it, alone: the control plane needs neither scheduler nor runtime to answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipelines.platform.children import platform_children
from pipelines.platform.credentials import ensure_credentials
from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.quotas import Quotas
from pipelines.settings import Settings
from tests.conftest import execute, platform_settings
from tests.support.calling import headers_of
from tests.support.command import free_port
from tests.support.group import RECIPE, USER_PERSONALIZATION
from tests.support.kinds import SCHEMA
from tests.support.load import read_answer
from tests.support.runtime import until

CALLS = 50_000
CONNECTIONS = 8
MOST_GROWTH = 5_000_000
"""Bytes, over CALLS calls after the first CALLS."""
PATH = "/personalize"
PREFIX = "arn:aws:personalize:us-east-1:123456789012:"


@pytest.fixture
def api_server(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[tuple[Settings, psutil.Process]]:
    """The platform's child `control`, answering."""
    execute(postgres, "CREATE DATABASE memory")
    settings = platform_settings(tmp_path / "home", postgres.url("memory"))
    settings = replace(settings, control_port=free_port(), quotas=Quotas(off=True))
    specs = platform_children(settings, ensure_credentials(settings), free_port(), None, "memory")
    children = {spec.name: spec for spec in specs}
    for schema in (children["registry-schema"], children["airflow-schema"]):
        subprocess.run(schema.command, env=schema.env, check=True, capture_output=True)
    control = children["control"]
    with (tmp_path / "control.log").open("wb") as log:
        process = subprocess.Popen(control.command, env=control.env, stdout=log, stderr=log)
    try:
        until("the api-server to answer", lambda: _listens(settings.control_port), 300)
        yield settings, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _listens(port: int) -> bool:
    try:
        return asyncio.run(_one(port, wire("ListSchemas", {}, port)))[0] == 200
    except OSError:
        return False


async def _one(port: int, request: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await read_answer(reader)
    finally:
        writer.close()


def wire(operation: str, members: dict[str, Any] | bytes, port: int, **changed: str) -> bytes:
    """A signed request; `changed` headers break it."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    headers = headers_of(operation, body, datetime.now(UTC), "us-east-1", f"127.0.0.1:{port}", PATH)
    lines = [f"{name}: {value}" for name, value in {**headers, **changed, "content-length": str(len(body))}.items()]
    return "\r\n".join((f"POST {PATH} HTTP/1.1", *lines, "", "")).encode() + body


def requests(connection: int, port: int) -> Iterator[tuple[str, bytes]]:
    """(what must be answered, request) without end, no two alike: what is kept by name, key or token would grow."""
    group = {"datasetGroupArn": f"{PREFIX}dataset-group/c{connection}"}
    tagged = {"resourceArn": group["datasetGroupArn"]}
    yield "200", wire("CreateDatasetGroup", {"name": f"c{connection}"}, port)
    for n in itertools.count():
        name = f"c{connection}-{n}"
        schema, solution = {"schemaArn": f"{PREFIX}schema/{name}"}, {"solutionArn": f"{PREFIX}solution/{name}"}
        asked: list[tuple[str, str, Any]] = [
            ("200", "CreateSchema", {"name": name, "schema": SCHEMA}),
            ("200", "DescribeSchema", schema),
            ("200", "ListSchemas", {"maxResults": 100}),
            ("400", "CreateSchema", {"name": name, "schema": SCHEMA}),
            ("200", "CreateSolution", {"name": name, "recipeArn": USER_PERSONALIZATION, **group}),
            ("200", "DescribeSolution", solution),
            ("200", "ListSolutions", {**group, "maxResults": 50}),
            ("200", "UpdateSolution", {**solution, "performAutoTraining": False}),
            ("400", "CreateSolutionVersion", {**solution, "name": name}),
            ("200", "DeleteSolution", solution),
            ("200", "DeleteSchema", schema),
            ("200", "TagResource", {**tagged, "tags": [{"tagKey": f"key-{n % 40}", "tagValue": name}]}),
            ("200", "ListTagsForResource", tagged),
            ("200", "DescribeDatasetGroup", group),
            ("200", "ListRecipes", {}),
            ("400", "DescribeRecipe", {"recipeArn": f"{RECIPE}{name}"}),
            ("400", "DescribeCampaign", {"campaignArn": f"{PREFIX}campaign/{name}"}),
            ("400", "ListCampaigns", {"nextToken": name}),
            ("400", "CreateCampaign", {"name": "-" * 70, "unknown": name}),
            ("400", "ListFilters", f'{{"datasetGroupArn": "{name}'.encode()),
            ("400", f"NoSuch{n}", {}),
        ]
        yield from ((status, wire(operation, members, port)) for status, operation, members in asked)
        yield (
            "400",
            wire("ListSchemas", {}, port, authorization=f"AWS4-HMAC-SHA256 Credential=AK{name}/a/b/c/d, Signature=0"),
        )
        yield "400", wire("ListSchemas", {}, port, **{"x-amz-date": f"2020{n:04d}T000000Z", f"x-{name}": name})


async def ask(port: int, calls: int, streams: list[Iterator[tuple[str, bytes]]]) -> Counter[str]:
    """Send that many over a connection a stream; the statuses."""
    left, statuses = itertools.count(), Counter[str]()

    async def keep(stream: Iterator[tuple[str, bytes]]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while next(left) < calls:
            wanted, request = next(stream)
            writer.write(request)
            status, body = await read_answer(reader)
            statuses[str(status)] += 1
            assert str(status) == wanted, (request[:2000], status, body[:2000])
        writer.close()

    await asyncio.gather(*map(keep, streams))
    return statuses


def grown(settings: Settings, process: psutil.Process, calls: int, say: Callable[[str], None]) -> int:
    """By how many bytes the process grows over `calls` calls after as many others."""
    streams = [requests(n, settings.control_port) for n in range(CONNECTIONS)]
    at = [resident(process)]
    for _ in range(2):
        begun = time.monotonic()
        statuses = asyncio.run(ask(settings.control_port, calls, streams))
        at.append(resident(process))
        rate, answers = (
            calls / (time.monotonic() - begun),
            ", ".join(f"{n:,} x {s}" for s, n in sorted(statuses.items())),
        )
        say(
            f"{calls:,} calls ({answers}; {rate:.0f} a second): {at[-2] / 1e6:.1f} MB before, {at[-1] / 1e6:.1f} MB after"
        )
    return at[2] - at[1]


def resident(process: psutil.Process) -> int:
    """Bytes, of the process and what it has started."""
    return sum(int(one.memory_info().rss) for one in (process, *process.children(recursive=True)))


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_the_api_server_keeps_nothing_of_what_it_has_answered(api_server, capsys) -> None:
    settings, process = api_server

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", flush=True)

    growth = grown(settings, process, CALLS, say)
    say(f"the second {CALLS:,} calls: {growth / 1e6:+.1f} MB, allowed {MOST_GROWTH / 1e6:.0f} MB")
    assert growth < MOST_GROWTH
