"""Fixtures that every room's tests share: a real PostgreSQL, and settings of a platform of one's own.

`postgres` is one server for the whole run. `settings` is a home and a database for one test: the database is a clone
of a migrated template, which costs a few hundredths of a second.
"""

from __future__ import annotations

import http.server
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from pipelines.platform.postgres import EmbeddedPostgres
from pipelines.platform.processes import die_with_parent
from pipelines.settings import TELEMETRY_OFF, Settings

ACCESS_KEY_ID = "AKIAIOSFODNN7EXAMPLE"
SECRET_ACCESS_KEY = "harness-not-a-secret"
TEMPLATE = "openpersonalize_template"
MANY = "dataset_groups=100,solutions_per_group=100,campaigns_per_group=100"
"""Quotas of tests that are about something else: AWS's numbers of what they make more of."""

os.environ.update(TELEMETRY_OFF)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One running embedded server without durability; `postgres.url(database)` is how to reach it."""
    root = Path(tempfile.mkdtemp(prefix="op-pg-"))
    server = EmbeddedPostgres.throwaway(root)
    server.initialise()
    with (root / "server.log").open("wb") as log:
        process = subprocess.Popen(
            server.command(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent(signal.SIGINT),
            **server.popen_options(),
        )
    try:
        server.wait_ready(process)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=20)
        finally:
            server.end_leftovers()
            shutil.rmtree(server.cluster.socket_dir, ignore_errors=True)
            shutil.rmtree(root)


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database with our schema in it and nobody connected, to clone from."""
    from pipelines.registry.database import migrate

    execute(postgres, f"CREATE DATABASE {TEMPLATE}")
    migrate(platform_settings(tmp_path_factory.mktemp("template"), postgres.url(TEMPLATE)))
    return TEMPLATE


@pytest.fixture
def settings(postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path) -> Iterator[Settings]:
    """A platform's settings: a home of its own, a fresh migrated database, one known access key."""
    with new_settings(postgres, migrated_template, tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="module")
def shared_settings(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """The same for all tests of a module together, which leave each other alone."""
    with new_settings(postgres, migrated_template, tmp_path_factory.mktemp("shared") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of an S3 of one's own, empty; `AWS_ENDPOINT_URL_S3` leads to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 with bucket `shop`; the environment leads there."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="shop")
    yield client
    for entry in client.list_objects_v2(Bucket="shop").get("Contents", []):
        client.delete_object(Bucket="shop", Key=entry["Key"])
    client.delete_bucket(Bucket="shop")


@pytest.fixture
def conn(settings: Settings) -> Iterator[Connection]:
    """A connection to that database, outside of any transaction, as the reconciler's steps take it."""
    from pipelines.registry.database import engine

    database = engine(settings, pool_size=1)
    with database.connect() as connection:
        yield connection
    database.dispose()


class _Answering(http.server.BaseHTTPRequestHandler):
    status, code = 403, "AccessDenied"

    def do_GET(self) -> None:
        body = f"<Error><Code>{self.code}</Code><Message>no</Message></Error>".encode()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_GET

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def grumpy(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Answering]]:
    """An S3 that answers everything with `status` and `code`."""
    handler = type("Handler", (_Answering,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield handler
    server.shutdown()
    server.server_close()


@contextmanager
def new_settings(postgres: EmbeddedPostgres, template: str, home: Path) -> Iterator[Settings]:
    """Settings of a platform with a database that is gone afterwards."""
    database = f"test_{uuid.uuid4().hex[:12]}"
    execute(postgres, f"CREATE DATABASE {database} TEMPLATE {template}")
    yield platform_settings(home, postgres.url(database))
    execute(postgres, f"DROP DATABASE {database} WITH (FORCE)")


def platform_settings(home: Path, database_url: str) -> Settings:
    """Settings as `Settings.from_env` gives them for a home and a database."""
    home.mkdir(parents=True, exist_ok=True)
    return Settings.from_env(
        {
            "OPENPERSONALIZE_HOME": str(home),
            "OPENPERSONALIZE_DATABASE_URL": database_url,
            "OPENPERSONALIZE_ACCESS_KEYS": f"{ACCESS_KEY_ID}:{SECRET_ACCESS_KEY}",
            "OPENPERSONALIZE_KEYS_SECRET": "not-a-secret-of-the-harness-either",
            "OPENPERSONALIZE_IMPORT_ROOTS": str(home.parent),
            "OPENPERSONALIZE_QUOTAS": MANY,
        }
    )


def execute(postgres: EmbeddedPostgres, statement: str) -> None:
    """Run one statement that cannot run in a transaction, in the server's own database."""
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
