"""The control plane under uvicorn in a thread, and boto3 clients that talk to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import uvicorn
from botocore.config import Config
from sqlalchemy import Engine

from pipelines.registry import store
from pipelines.registry.database import engine
from pipelines.settings import Settings
from plugins.control_plane.app import create_app
from tests.conftest import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.support.group import Group, make_group

Client = Any


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run an ASGI app on a free port of 127.0.0.1; yields its URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "uvicorn did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()


def client_for(url: str, key_id: str = ACCESS_KEY_ID, secret: str = SECRET_ACCESS_KEY, **config: Any) -> Client:
    """boto3's personalize client; without retries unless `config` says so."""
    return boto3.client(
        "personalize",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        config=Config(**{"retries": {"total_max_attempts": 1}, **config}),
    )


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(create_app(settings)) as at:
        yield at


@pytest.fixture
def personalize(url: str) -> Client:
    return client_for(url)


@pytest.fixture
def group(personalize: Client) -> Group:
    """Dataset group `shop` with an empty Interactions dataset."""
    return make_group(personalize, "shop")


@pytest.fixture
def db(settings: Settings) -> Iterator[Engine]:
    """The registry behind the API's back: what the reconciler and the DAGs do to it."""
    ours = engine(settings)
    yield ours
    ours.dispose()


@pytest.fixture
def move(db: Engine) -> Callable[..., store.Resource]:
    """`move(arn, status="ACTIVE", internal={…})`: what a DAG or the reconciler would have done."""

    def update(arn: str, **changes: Any) -> store.Resource:
        with db.begin() as conn:
            found = store.get(conn, arn=arn)
            assert found is not None, arn
            return store.update(conn, found.id, **changes)

    return update
