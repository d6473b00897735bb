"""What describing and listing costs with 10,000 resources in the registry (`python -m tests.bench.control_bench`).

Server time is what `ControlPlane.answer` takes from the received request to the encoded answer, over a PostgreSQL as the
platform runs it; beside it the same request over HTTP to a uvicorn process. The floor is a `SELECT 1` on an open
connection, in the same run: an answer needs at least a transaction's begin, a query and a commit.
"""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

import orjson
from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, text

from pipelines.control.operations import OPERATIONS
from pipelines.control.service import ControlPlane
from pipelines.quotas import Quotas
from pipelines.registry.database import engine
from pipelines.settings import TELEMETRY_OFF, Settings
from plugins.control_plane.app import create_app
from tests.bench.runtime_bench import durable_shop
from tests.support.calling import headers_of, signed
from tests.support.group import USER_PERSONALIZATION
from tests.support.kinds import KINDS, Kind
from tests.support.many import fill
from tests.support.runtime import until
from tests.support.runtime_servers import REPOSITORY

CALLS, WARM = 100, 10
DESCRIBE_MS, LIST_MS = 10.0, 25.0
LARGEST = {"Dataset": "group-0/INTERACTIONS", "Solution": "solution-0-0", "DatasetGroup": "group-0"}
"""What has most children of its kind."""


@dataclass
class Case:
    """One operation, asked with each of the bodies in turn."""

    operation: str
    what: str
    bodies: list[bytes]
    bound: float
    server: list[float] = field(default_factory=list)
    """Milliseconds."""
    over_http: list[float] = field(default_factory=list)


class Bench:
    """The cases over one registry."""

    def __init__(self, settings: Settings, db: Engine) -> None:
        self.plane, self.db, self.region = ControlPlane(settings), db, settings.region
        self.floor: list[float] = []

    def cases(self) -> Iterator[Case]:
        for kind in KINDS.values():
            yield from self._describes(kind)
            yield from self._lists(kind)
        for operation, asked, bound in self._others():
            yield Case(operation, "", [orjson.dumps(one) for one in asked], bound)

    def _describes(self, kind: Kind) -> Iterator[Case]:
        arns = self.arns(kind.name)
        bodies = [orjson.dumps({kind.arn: arn}) for arn in random.Random(1).sample(arns, min(CALLS, len(arns)))]
        yield Case(f"Describe{kind.name}", f"any of {len(arns)}", bodies, DESCRIBE_MS)
        if kind.name in LARGEST:
            largest = next(arn for arn in arns if arn.endswith("/" + LARGEST[kind.name]))
            yield Case(f"Describe{kind.name}", "the largest", [orjson.dumps({kind.arn: largest})], DESCRIBE_MS)

    def _lists(self, kind: Kind) -> Iterator[Case]:
        yield Case(kind.list, "first page of all", [b"{}"], LIST_MS)
        if deep := self._last_page(kind, {}):
            yield Case(kind.list, "last page of all", [orjson.dumps(deep)], LIST_MS)
        if kind.within is None:
            return
        member = kind.within[0].lower() + kind.within[1:] + "Arn"
        parent = self._largest_parent(kind)
        yield Case(kind.list, f"first page of a {kind.within}", [orjson.dumps({member: parent})], LIST_MS)
        if deep := self._last_page(kind, {member: parent}):
            yield Case(kind.list, f"last page of a {kind.within}", [orjson.dumps(deep)], LIST_MS)

    def _others(self) -> Iterator[tuple[str, list[dict[str, Any]], float]]:
        recipe = self._call("DescribeRecipe", {"recipeArn": USER_PERSONALIZATION})["recipe"]
        tagged = [{"resourceArn": arn} for arn in self.arns("Campaign")[:CALLS]]
        attributions = [{"metricAttributionArn": arn} for arn in self.arns("MetricAttribution")]
        versions = [{"solutionVersionArn": arn} for arn in self.arns("SolutionVersion")[:CALLS]]
        algorithm, transformation = (recipe[name] for name in ("algorithmArn", "featureTransformationArn"))
        for operation, asked, bound in (
            ("DescribeRecipe", [{"recipeArn": recipe["recipeArn"]}], DESCRIBE_MS),
            ("DescribeAlgorithm", [{"algorithmArn": algorithm}], DESCRIBE_MS),
            ("DescribeFeatureTransformation", [{"featureTransformationArn": transformation}], DESCRIBE_MS),
            ("GetSolutionMetrics", versions, DESCRIBE_MS),
            ("ListRecipes", [{}], LIST_MS),
            ("ListTagsForResource", tagged, LIST_MS),
            ("ListMetricAttributionMetrics", attributions, LIST_MS),
        ):
            if operation in OPERATIONS:
                yield operation, asked, bound

    def _last_page(self, kind: Kind, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The request of the last page but one, which is full; None when there is only one page."""
        before, now = None, None
        while True:
            page = self._call(kind.list, {**asked, **({"nextToken": now} if now else {})})
            if "nextToken" not in page:
                return {**asked, "nextToken": before} if before else None
            before, now = now, page["nextToken"]

    def _largest_parent(self, kind: Kind) -> str:
        column = "group_id" if kind.within == "DatasetGroup" else "parent_id"
        query = (
            f"SELECT p.arn FROM openpersonalize.resources r JOIN openpersonalize.resources p ON p.id = r.{column} "
            "WHERE r.kind = :kind GROUP BY 1 ORDER BY count(*) DESC LIMIT 1"
        )
        with self.db.connect() as conn:
            return str(conn.execute(text(query), {"kind": kind.name}).scalar_one())

    def arns(self, kind: str) -> list[str]:
        """All of a kind."""
        with self.db.connect() as conn:
            query = "SELECT arn FROM openpersonalize.resources WHERE kind = :kind ORDER BY arn"
            return list(conn.execute(text(query), {"kind": kind}).scalars())

    def _call(self, operation: str, members: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC)
        answer = self.plane.answer(signed(operation, orjson.dumps(members), now, self.region), now)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = orjson.loads(answer.body)
        return found

    def measure(self, case: Case, port: int) -> None:
        """Server time and time over HTTP, call by call in turn, and the floor now and then."""
        connection, host = http.client.HTTPConnection("127.0.0.1", port), f"127.0.0.1:{port}"
        with self.db.connect() as conn:
            for n in range(WARM + CALLS):
                body, now = case.bodies[n % len(case.bodies)], datetime.now(UTC)
                request = signed(case.operation, body, now, self.region)
                begun = time.perf_counter()
                answer = self.plane.answer(request, now)
                case.server.append((time.perf_counter() - begun) * 1000)
                assert answer.status == 200, answer.body
                headers = dict(headers_of(case.operation, body, now, self.region, host))
                begun = time.perf_counter()
                connection.request("POST", "/", body, headers)
                got = connection.getresponse()
                assert len(got.read()) == len(answer.body) and got.status == 200
                case.over_http.append((time.perf_counter() - begun) * 1000)
                begun = time.perf_counter()
                conn.execute(text("SELECT 1")).scalar_one()
                self.floor.append((time.perf_counter() - begun) * 1000)
        connection.close()
        del case.server[:WARM], case.over_http[:WARM]


def served_app() -> FastAPI:
    """For uvicorn."""
    return create_app(Settings.from_env())


@contextmanager
def served(settings: Settings) -> Iterator[int]:
    """The app in a process of its own; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "tests.bench.control_bench:served_app", "--factory", "--no-access-log"]
    environment = {**os.environ, **TELEMETRY_OFF, **settings.to_env()}
    process = subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "warning"], cwd=REPOSITORY, env=environment
    )

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until("uvicorn to start", answers, 60)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def p99(milliseconds: list[float]) -> float:
    return sorted(milliseconds)[int(len(milliseconds) * 0.99)]


def report(cases: list[Case], floor: float, resources: int) -> Table:
    """A row a case."""
    load = os.getloadavg()[0]
    table = Table(
        title=f"{resources:,} resources, {CALLS} calls each; floor: SELECT 1 in {floor:.2f} ms (load {load:.1f})"
    )
    for column in ("operation", "of"):
        table.add_column(column)
    for column in ("median ms", "p99 ms", "x floor", "HTTP median", "HTTP p99", "bound"):
        table.add_column(column, justify="right")
    for case in cases:
        server = median(case.server)
        missed = server > case.bound
        table.add_row(
            case.operation,
            case.what,
            f"{server:.2f}",
            f"{p99(case.server):.2f}",
            f"{server / floor:.0f}",
            f"{median(case.over_http):.2f}",
            f"{p99(case.over_http):.2f}",
            f"{case.bound:.0f}{' missed' if missed else ''}",
            style="red" if missed else None,
        )
    return table


def main() -> int:
    """Print the table; how many medians missed their bound."""
    with ExitStack() as stack:
        settings, _, _ = stack.enter_context(durable_shop())
        settings = replace(settings, quotas=Quotas(off=True))
        db = engine(settings)
        stack.callback(db.dispose)
        fill(db)
        with db.connect() as conn:
            resources = conn.execute(text("SELECT count(*) FROM openpersonalize.resources")).scalar_one()
        port = stack.enter_context(served(settings))
        bench = Bench(settings, db)
        stack.callback(bench.plane.close)
        cases = list(bench.cases())
        for case in cases:
            bench.measure(case, port)
        Console(width=150).print(report(cases, median(bench.floor), resources))
    worst = {
        bound: max(c.server and median(c.server) for c in cases if c.bound == bound) for bound in (DESCRIBE_MS, LIST_MS)
    }
    print(f"slowest median: {worst[DESCRIBE_MS]:.1f} ms of a describe, {worst[LIST_MS]:.1f} ms of a list page")
    return sum(median(case.server) > case.bound for case in cases)


if __name__ == "__main__":
    sys.exit(main())
