"""TLS and nginx in front, with the configuration that README shows (tests/unit/platform/test_keys_and_audit.py): signatures hold, bounds and slow clients too.

Needs nginx and openssl: `apt-get install nginx openssl`.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, SSLError
from fastapi import FastAPI

from pipelines.platform.source import source_root
from plugins.control_plane.app import MountWithoutSlash, create_app
from tests.api.conftest import serving
from tests.conftest import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.support.access import audited, make_key
from tests.support.command import free_port
from tests.support.life import wait_for
from tests.support.runtime import Shop, event
from tests.support.runtime_servers import uvicorn_runtime

pytestmark = pytest.mark.soak

CONFIGURATION = source_root() / "pipelines" / "platform" / "nginx.conf"
MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/openpersonalize.conf;
}}
"""


@dataclass(frozen=True)
class Proxy:
    """nginx in front of a control plane and a runtime."""

    shop: Shop
    port: int
    folder: Path
    campaign: str = ""

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def certificate(self) -> str:
        return str(self.folder / "personalize.pem")

    def client(self, service: str, key_id: str = ACCESS_KEY_ID, secret: str = SECRET_ACCESS_KEY, **given: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url + ("/personalize" if service == "personalize" else ""),
            region_name="us-east-1",
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64, parameter_validation=False),
            **{"verify": self.certificate, **given},
        )

    def connection(self, **given: Any) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection("localhost", self.port, context=context, timeout=30, **given)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for localhost that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    made = ["-keyout", str(folder / "personalize.key"), "-out", str(folder / "personalize.pem")]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", *kind, *made, *names], check=True, capture_output=True)
    return folder


@contextmanager
def nginx(folder: Path, control: str, runtime: str, changes: dict[str, str]) -> Iterator[int]:
    """nginx with the configuration, its addresses and files replaced; its port."""
    port = free_port()
    text = CONFIGURATION.read_text()
    for old, new in {
        "127.0.0.1:8080": control.removeprefix("http://"),
        "127.0.0.1:3000": runtime.removeprefix("http://"),
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/nginx/": f"{folder}/",
        **changes,
    }.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "openpersonalize.conf").write_text(text)
    # Its workers write long bodies into a folder that is ours alone.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        wait_for("nginx", lambda: _listens(port, process), seconds=20)
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(20)


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "nginx did not start"
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def servers(shop: Shop) -> Iterator[tuple[str, str]]:
    """(URL of a control plane mounted as in Airflow, URL of a runtime)"""
    airflow = FastAPI()
    airflow.mount("/personalize", create_app(shop.settings))
    airflow.add_middleware(MountWithoutSlash, path="/personalize")
    with serving(airflow) as control, uvicorn_runtime(shop.settings) as runtime:
        yield control, runtime


@pytest.fixture
def shop(settings: Any) -> Iterator[Shop]:
    shop = Shop(settings)
    yield shop
    shop.close()


@pytest.fixture
def proxy(shop: Shop, servers: tuple[str, str], certificate: Path) -> Iterator[Proxy]:
    campaign = shop.deploy(shop.add_version(items=60), "home")
    with nginx(certificate, *servers, {}) as port:
        yield Proxy(shop, port, certificate, campaign)


def code(call: Any, **given: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**given)
    return str(refused.value.response["Error"]["Code"])


def test_all_three_clients_work_over_tls_by_one_name(proxy: Proxy) -> None:
    group = proxy.client("personalize").create_dataset_group(name="tls")["datasetGroupArn"]
    assert proxy.client("personalize").describe_dataset_group(datasetGroupArn=group)["datasetGroup"]["name"] == "tls"
    proxy.client("personalize-events").put_events(
        trackingId=proxy.shop.tracking_id, userId="u1", sessionId="s", eventList=[event("i1")]
    )
    runtime = proxy.client("personalize-runtime")
    assert len(runtime.get_recommendations(campaignArn=proxy.campaign, userId="u1", numResults=10)["itemList"]) == 10
    web = make_key(proxy.shop.settings, "runtime-only")
    mine = {"key_id": web.id, "secret": web.secret}
    proxy.client("personalize-runtime", **mine).get_recommendations(campaignArn=proxy.campaign, userId="u1")
    assert code(proxy.client("personalize", **mine).list_schemas) == "AccessDeniedException"
    assert code(proxy.client("personalize", secret="wrong").list_schemas) == "InvalidSignatureException"


def test_who_does_not_trust_the_certificate_sends_nothing(proxy: Proxy) -> None:
    with pytest.raises(SSLError):
        proxy.client("personalize", verify=True).list_schemas()


def test_a_proxy_that_changes_the_host_is_told_so(shop: Shop, servers: tuple[str, str], certificate: Path) -> None:
    with nginx(certificate, *servers, {"$http_host": "$proxy_host"}) as port:
        client = Proxy(shop, port, certificate).client("personalize")
        with pytest.raises(ClientError, match="nothing between you and this server changes the Host header"):
            client.list_schemas()


def test_the_audit_has_the_clients_address_and_not_one_that_it_claims(proxy: Proxy) -> None:
    body = b'{"name": "from-afar"}'
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "AmazonPersonalize.CreateDatasetGroup",
    }
    request = AWSRequest("POST", f"{proxy.url}/personalize", data=body, headers=headers)
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "personalize", "us-east-1").add_auth(request)
    connection = proxy.connection(source_address=("127.0.0.2", 0))
    given = {**dict(request.headers), "X-Forwarded-For": "203.0.113.9"}
    connection.request("POST", "/personalize", body, given)
    assert connection.getresponse().status == 200
    connection.close()
    [entry] = audited(proxy.shop.settings)
    assert (entry["resource"].rpartition("/")[2], entry["source"]) == ("from-afar", "127.0.0.2")


@pytest.mark.parametrize("path", ["/", "/personalize", "/personalize/about/", "/metrics", "/readyz", "/docs"])
def test_nothing_but_operations_is_reached(proxy: Proxy, path: str) -> None:
    connection = proxy.connection()
    connection.request("GET", path)
    assert connection.getresponse().status == 403
    connection.close()


@pytest.mark.parametrize(
    ("megabytes", "said"), [(3, "RequestEntityTooLargeException"), (5, "413")], ids=["ours", "nginx's"]
)
def test_a_body_beyond_every_bound_is_413(proxy: Proxy, megabytes: int, said: str) -> None:
    huge = "x" * (megabytes << 20)
    for service, call, given in (
        ("personalize", "create_dataset_group", {"name": huge}),
        ("personalize-runtime", "get_recommendations", {"campaignArn": proxy.campaign, "userId": huge}),
    ):
        client = proxy.client(service)
        with pytest.raises(ClientError) as refused:
            getattr(client, call)(**given)
        answer = refused.value.response
        assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (413, said)


def test_slow_clients_hold_up_nobody_and_are_let_go(proxy: Proxy) -> None:
    runtime = proxy.client("personalize-runtime")
    with ExitStack() as stack:
        slow = []
        for _ in range(300):
            connection = proxy.connection()
            connection.connect()
            stack.callback(connection.close)
            connection.sock.sendall(b"POST /recommendations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n")
            slow.append(connection.sock)
        begun = time.monotonic()
        for _ in range(20):
            runtime.get_recommendations(campaignArn=proxy.campaign, userId="u1")
        print(f"20 requests beside 300 slow ones: {time.monotonic() - begun:.2f} s")
        assert time.monotonic() - begun < 5
        slow[0].settimeout(20)
        answer = slow[0].recv(100)
        assert answer == b"" or b" 408 " in answer, "nginx lets go of it"


def test_connections_that_were_idle_break_no_request(proxy: Proxy) -> None:
    """Around the second at which the runtime closes them; a POST that meets a closed one would be a 502."""
    runtime = proxy.client("personalize-runtime")

    def ask(n: int) -> int:
        time.sleep(0.02 * n)
        items = runtime.get_recommendations(campaignArn=proxy.campaign, userId=f"u{n}", numResults=5)["itemList"]
        return len(items)

    with ThreadPoolExecutor(32) as pool:
        for pause in (3.5, 3.9, 4.0, 4.6, 4.9, 5.0):
            assert set(pool.map(ask, range(32))) == {5}
            time.sleep(pause)
