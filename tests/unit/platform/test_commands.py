"""The command line where nothing runs: errors are one line, exit codes tell, logs have bounds, secrets are private."""

from __future__ import annotations

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.platform import checks, source
from pipelines.platform.airflow_env import airflow_env
from pipelines.platform.checks import CannotStart, check_before_start, check_home
from pipelines.platform.cli import app
from pipelines.platform.credentials import Credentials, ensure_credentials
from pipelines.platform.display import duration, welcome
from pipelines.platform.files import write_atomically
from pipelines.platform.logfiles import bound_log, prune_task_logs, tail
from pipelines.platform.reset import empty, store_folders
from pipelines.platform.state import execution_port, port_is_free
from pipelines.settings import Settings
from tests.support.command import free_port

CREDENTIALS = Credentials("fernet", "jwt", "api", "password")


@pytest.fixture
def idle(tmp_path: Path) -> Settings:
    """A platform that was never started."""
    return Settings(home=tmp_path / "home", control_port=free_port(), runtime_port=free_port())


@pytest.fixture
def run(idle: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in idle.to_env().items():
        monkeypatch.setenv(name, value)
    return CliRunner()


# Commands -------------------------------------------------------------------------------------------------------


def test_status_of_nothing_fails_and_says_how_to_start(run: CliRunner) -> None:
    result = run.invoke(app, ["status"])

    assert result.exit_code == 1
    assert "openpersonalize up" in result.output


def test_status_json_of_nothing_is_json(run: CliRunner) -> None:
    result = run.invoke(app, ["status", "--json"])

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"healthy": False, "processes": []}


def test_down_of_nothing_is_fine(run: CliRunner) -> None:
    result = run.invoke(app, ["down"])

    assert result.exit_code == 0
    assert "nothing was running" in result.output


def test_reset_of_nothing_fails(run: CliRunner) -> None:
    result = run.invoke(app, ["reset", "--yes"])

    assert result.exit_code == 1
    assert "not running" in result.output


def test_a_setting_that_cannot_be_used_is_one_line(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENPERSONALIZE_CONTROL_PORT", "http")

    result = run.invoke(app, ["up"])

    assert result.exit_code == 1
    assert result.output == "OPENPERSONALIZE_CONTROL_PORT='http' is not a port between 1 and 65535\n"


def test_logs_of_an_unknown_process_names_the_known_ones(run: CliRunner, idle: Settings) -> None:
    idle.logs_dir.mkdir(parents=True)
    (idle.logs_dir / "scheduler.log").write_text("a\nb\nc\n")

    assert "scheduler" in run.invoke(app, ["logs", "nix"]).output
    assert run.invoke(app, ["logs", "nix"]).exit_code == 1
    assert run.invoke(app, ["logs", "scheduler", "-n", "2"]).stdout == "b\nc\n"


# Checks ---------------------------------------------------------------------------------------------------------


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotStart, match=r"cannot write to .*file.*OPENPERSONALIZE_HOME"):
        check_home(Settings(home=tmp_path / "file" / "home"))


def test_too_little_disk_is_refused(idle: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "free_bytes", lambda path: 10**9)

    with pytest.raises(CannotStart, match=r"only 1\.0 GB are free"):
        check_before_start(idle)


def test_missing_dags_are_refused(idle: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checks, "dags_folder", lambda: tmp_path / "nowhere")

    with pytest.raises(CannotStart, match="DAGs are missing"):
        check_before_start(idle)


def test_a_taken_port_is_named_with_its_variable_and_its_holder(idle: Settings) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", idle.runtime_port))
        holder.listen()
        with pytest.raises(CannotStart, match=rf"port {idle.runtime_port} is taken by .*pid {os.getpid()}") as refusal:
            check_before_start(idle)

    assert "OPENPERSONALIZE_RUNTIME_PORT" in str(refusal.value)


def test_one_port_for_both_is_refused(idle: Settings) -> None:
    with pytest.raises(CannotStart, match="give them two ports"):
        check_before_start(Settings(home=idle.home, control_port=idle.control_port, runtime_port=idle.control_port))


def test_checks_let_a_good_machine_through(idle: Settings) -> None:
    check_home(idle)
    check_before_start(idle)


def test_dags_and_plugins_of_the_checkout_are_used() -> None:
    assert source.dags_folder() == source.source_root() / "dags"
    assert source.plugins_folder() == source.source_root() / "plugins"


# Secrets and settings of the processes -----------------------------------------------------------------------------


def test_secrets_are_made_once_private_and_long_enough(idle: Settings) -> None:
    old_umask = os.umask(0)
    try:
        first = ensure_credentials(idle)
    finally:
        os.umask(old_umask)

    assert ensure_credentials(idle) == first
    assert len(first.jwt_secret.encode()) >= 64
    assert stat.S_IMODE(idle.secrets_dir.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in idle.secrets_dir.iterdir()} == {0o600}
    [(key_id, secret)] = idle.access_keys.items()
    assert (len(key_id), len(secret)) == (20, 40)


def test_given_access_keys_are_not_joined_by_generated_ones(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, given_access_keys="A:b")

    ensure_credentials(settings)

    assert not settings.access_keys_file.exists()


def test_airflow_listens_here_only_and_phones_nobody(idle: Settings) -> None:
    env = airflow_env(idle, CREDENTIALS, execution_port=4711)

    assert env["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:4711/execution/"
    assert env["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"
    assert all(isinstance(value, str) for value in env.values())


def test_execution_port_is_chosen_once_and_again_only_when_taken(idle: Settings) -> None:
    idle.home.mkdir()
    port = execution_port(idle)
    assert execution_port(idle) == port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        assert not port_is_free(port)

        assert execution_port(idle) != port


def test_welcome_has_the_lines_to_paste(idle: Settings) -> None:
    ensure_credentials(idle)
    [(key_id, secret)] = idle.access_keys.items()

    text = welcome(idle)

    assert f"export AWS_ENDPOINT_URL_PERSONALIZE=http://127.0.0.1:{idle.control_port}/personalize\n" in text
    assert f"export AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME=http://127.0.0.1:{idle.runtime_port}\n" in text
    assert f"export AWS_ENDPOINT_URL_PERSONALIZE_EVENTS=http://127.0.0.1:{idle.runtime_port}\n" in text
    assert f"export AWS_ACCESS_KEY_ID={key_id}\nexport AWS_SECRET_ACCESS_KEY={secret}\n" in text
    assert ensure_credentials(idle).admin_password not in text


# Files ------------------------------------------------------------------------------------------------------------


def test_a_log_that_grew_is_cut_and_the_cut_part_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("ab") as writer:
        writer.write(b"x" * 100)
        writer.flush()

        assert bound_log(path, limit=50)
        writer.write(b"new\n")

    assert path.read_bytes() == b"new\n"
    assert (tmp_path / "a.log.1").stat().st_size == 100
    assert not bound_log(path, limit=50)


def test_old_task_logs_go_and_the_oldest_first_when_there_is_too_much(tmp_path: Path) -> None:
    now = 10_000_000.0
    for name, age_days in (("ancient", 40), ("old", 3), ("new", 1)):
        path = tmp_path / name / "attempt=1.log"
        path.parent.mkdir()
        path.write_bytes(b"x" * 100)
        os.utime(path, (now - age_days * 86400,) * 2)

    assert prune_task_logs(tmp_path, now, days=30, limit=1000) == 1
    assert prune_task_logs(tmp_path, now, days=30, limit=150) == 1

    assert [path.parent.name for path in tmp_path.rglob("*.log")] == ["new"]


def test_tail_reads_the_end_only(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{n}\n" for n in range(100_000)))

    assert tail(path, 2) == ["99998", "99999"]
    assert tail(path, 0) == []
    assert tail(tmp_path / "none", 5) == []


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()

    with pytest.raises(OSError, match="taken"):
        write_atomically(tmp_path / "taken", "text")

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_reset_keeps_a_remote_that_is_not_ours(tmp_path: Path) -> None:
    outside = Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "elsewhere"))
    inside = Settings(home=tmp_path / "home", dvc_remote=str(tmp_path / "home" / "remote"))
    bucket = Settings(home=tmp_path / "home", dvc_remote="s3://bucket/prefix")

    assert tmp_path / "home" / "remote" in store_folders(inside)
    assert len(store_folders(outside)) == len(store_folders(bucket)) == len(store_folders(inside)) - 1


def test_emptying_a_folder_keeps_the_folder(tmp_path: Path) -> None:
    (tmp_path / "groups" / "a" / "b").mkdir(parents=True)

    empty(tmp_path / "groups")
    empty(tmp_path / "never-there")

    assert [path.name for path in tmp_path.rglob("*")] == ["groups"]


@pytest.mark.parametrize(("seconds", "text"), [(None, ""), (5, "0:05"), (75.3, "1:15"), (3675, "1:01:15")])
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
