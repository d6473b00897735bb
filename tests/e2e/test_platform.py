"""The platform's own promises: it starts, keeps to itself, and comes back from kill -9 of anything with its data."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from collections.abc import Callable
from typing import Any

import boto3
import psutil
import psycopg
import pytest
from botocore.exceptions import ClientError

from pipelines.platform.clients import endpoints
from pipelines.platform.local_http import ask
from pipelines.platform.state import running_state
from pipelines.settings import Settings
from tests.support.command import Command
from tests.support.life import wait_for

pytestmark = pytest.mark.e2e

PROCESSES = {
    "supervisor",
    "postgres",
    "control",
    "execution",
    "scheduler",
    "dag-processor",
    "triggerer",
    "reconciler",
    "runtime",
}
CAMPAIGN = "arn:aws:personalize:us-east-1:123456789012:campaign/none"
SCHEMAS = {"registry-schema", "airflow-schema"}


def test_status_says_that_every_process_is_healthy(platform: Settings, command: Command) -> None:
    processes = command.status()

    assert set(processes) == PROCESSES | SCHEMAS
    assert {name for name, process in processes.items() if process["state"] != "healthy"} == SCHEMAS
    assert command("status").returncode == 0


def test_a_file_is_imported_by_one_command_and_shows_in_statistics(platform: Settings, command: Command) -> None:
    path = command.home / "clicks.csv"
    lines = [f"u{n % 60},i{n * 7 % 80},2020-09-13 12:{n // 60 % 60:02}:{n % 60:02} UTC" for n in range(1200)]
    path.write_text("\n".join(["userId,product,event_time", *lines]) + "\n")

    done = command("import", str(path), "--group", "by-command", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "event_time -> TIMESTAMP: dates" in done.stdout
    assert "1,200 rows in the files: 1,200 good, 0 rejected" in done.stdout
    assert list((command.home / "data").glob("import-*")) == []

    [found] = json.loads(command("statistics", "by-command", "--json").stdout)
    assert (found["rows"], found["parts"], found["distinct"]) == (1200, 1, {"users": 60, "items": 80})
    assert found["first"] == 1_599_998_400


def test_every_listening_socket_is_on_127_0_0_1(platform: Settings) -> None:
    state = running_state(platform)
    assert state is not None
    supervisor = psutil.Process(state.supervisor.pid)
    addresses = {
        connection.laddr
        for process in (supervisor, *supervisor.children(recursive=True))
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN or connection.type == socket.SOCK_DGRAM
    }

    assert {address.ip for address in addresses} == {"127.0.0.1"}
    assert {platform.control_port, platform.runtime_port} <= {address.port for address in addresses}


def test_up_on_a_running_platform_says_so_and_changes_nothing(platform: Settings, command: Command) -> None:
    before = {name: process["pid"] for name, process in command.status().items()}

    again = command("up")

    assert again.returncode == 0, again.stderr
    assert "already running" in again.stdout
    assert {name: process["pid"] for name, process in command.status().items()} == before


def test_the_lines_that_up_prints_make_boto3_work(
    platform: Settings, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = [line for line in command("up").stdout.splitlines() if line.startswith("export ")]
    for line in exports:
        name, _, value = line.removeprefix("export ").partition("=")
        monkeypatch.setenv(name, value.strip("'"))

    # A session of its own: boto3's default one keeps the credentials of the first test that used it.
    recipes = boto3.Session().client("personalize").list_recipes()["recipes"]

    assert any(recipe["name"] == "aws-user-personalization" for recipe in recipes)
    assert len(exports) == 6


def test_secrets_are_for_us_alone(platform: Settings) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in platform.secrets_dir.iterdir()}

    assert stat.S_IMODE(platform.secrets_dir.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(("access_keys", "airflow.json", "airflow_passwords.json", "keys_secret"), 0o600)


def test_a_taken_port_is_one_clear_line(platform: Settings, command: Command, tmp_path: object) -> None:
    other = command("up", OPENPERSONALIZE_HOME=str(tmp_path), OPENPERSONALIZE_RUNTIME_PORT="1")

    assert other.returncode == 1
    assert f"port {platform.control_port} is taken" in other.stderr
    assert len(other.stderr.strip().splitlines()) == 1


def test_pool_memory_holds_two_trainings_and_an_import(platform: Settings) -> None:
    with psycopg.connect(platform.database_url) as connection:
        assert connection.execute("SELECT slots FROM public.slot_pool WHERE pool = 'memory'").fetchall() == [(5,)]


def test_every_process_comes_back_after_kill_9(platform: Settings, command: Command) -> None:
    with psycopg.connect(platform.database_url) as connection:
        connection.execute("CREATE TABLE public.kept AS SELECT 7 AS n")
    before = command.status()
    killed = PROCESSES - {"supervisor"}
    for name in sorted(killed):
        os.kill(before[name]["pid"], signal.SIGKILL)

    recovered = command("up")

    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    after = command.status()
    assert after["supervisor"]["pid"] == before["supervisor"]["pid"]
    assert {name for name in killed if after[name]["pid"] == before[name]["pid"]} == set()
    with psycopg.connect(platform.database_url) as connection:
        assert connection.execute("SELECT n FROM public.kept").fetchall() == [(7,)]


@pytest.mark.soak
def test_up_recovers_after_kill_9_of_the_supervisor(platform: Settings, command: Command) -> None:
    before = command.status()
    tree = psutil.Process(before["supervisor"]["pid"]).children(recursive=True)
    os.kill(before["supervisor"]["pid"], signal.SIGKILL)

    recovered = command("up")

    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert [process for process in tree if process.is_running()] == []
    with psycopg.connect(platform.database_url) as connection:
        assert connection.execute("SELECT n FROM public.kept").fetchall() == [(7,)]
        connection.execute("DROP TABLE public.kept")


def test_reset_empties_the_store_in_seconds_without_a_restart(platform: Settings, command: Command) -> None:
    before = {name: process["pid"] for name, process in command.status().items()}
    key_id, secret = next(iter(platform.access_keys.items()))
    personalize = boto3.client(
        "personalize",
        endpoint_url=f"http://127.0.0.1:{platform.control_port}/personalize",
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name=platform.region,
    )
    personalize.create_dataset_group(name="gone")
    (platform.groups_dir / "x").mkdir(parents=True)

    done = command("reset", "--yes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert personalize.list_dataset_groups()["datasetGroups"] == []
    assert list(platform.groups_dir.iterdir()) == []
    assert {name: process["pid"] for name, process in command.status().items()} == before
    personalize.create_dataset_group(name="gone")
    personalize.delete_dataset_group(
        datasetGroupArn=personalize.list_dataset_groups()["datasetGroups"][0]["datasetGroupArn"]
    )


def test_a_key_works_in_every_process_until_it_is_revoked(platform: Settings, command: Command) -> None:
    added = command("keys", "add", "dashboard", "--role", "read-only")
    assert added.returncode == 0, added.stdout + added.stderr
    shown = dict(line.removeprefix("export ").split("=", 1) for line in added.stdout.splitlines())
    key_id, secret = shown["AWS_ACCESS_KEY_ID"], shown["AWS_SECRET_ACCESS_KEY"]
    personalize, runtime = (
        boto3.client(
            service,
            endpoint_url=endpoints(platform)[service],
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            region_name=platform.region,
        )
        for service in ("personalize", "personalize-runtime")
    )

    def codes() -> set[str]:
        """Of eight requests, so that every worker is asked."""
        calls = [personalize.list_schemas, lambda: runtime.get_recommendations(campaignArn=CAMPAIGN, userId="u")] * 4
        return {_code(call) for call in calls}

    assert codes() == {"", "ResourceNotFoundException"}
    assert _code(lambda: personalize.create_dataset_group(name="not")) == "AccessDeniedException"
    assert command("keys", "revoke", key_id).returncode == 0
    wait_for("the key to end", lambda: codes() == {"UnrecognizedClientException"}, seconds=30)
    last = command("audit", "--since", "5m", "--key", "dashboard").stdout.splitlines()[-1]
    assert json.loads(last) | {"outcome": "AccessDeniedException", "resource": "not"} == json.loads(last)


def _code(call: Callable[[], Any]) -> str:
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_execution_api_is_not_on_the_control_plane_s_port(platform: Settings) -> None:
    """Tasks must not depend on the process with the UI, or restarting that would fail a training."""
    state = running_state(platform)
    assert state is not None

    assert ask(f"http://127.0.0.1:{state.ports['execution']}/execution/health").status == 200
    assert ask(f"http://127.0.0.1:{platform.control_port}/execution/health").body != {"status": "healthy"}
