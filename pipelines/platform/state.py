"""What the supervisor tells the other commands, in `home/run/platform.json`, and what it needs back after a crash."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipelines.platform.files import read_json, write_json
from pipelines.platform.processes import ProcessIdentity
from pipelines.settings import Settings


@dataclass(frozen=True)
class ChildState:
    """One supervised process as the supervisor last saw it."""

    name: str
    state: str
    """waiting | running | backoff | done | stopped."""
    identity: ProcessIdentity | None = None
    restarts: int = 0
    last_exit: str = ""
    """How it ended last, in words; empty when it never did."""


@dataclass(frozen=True)
class PlatformState:
    """One run of the supervisor."""

    supervisor: ProcessIdentity
    boot: float
    """When the machine started, epoch seconds: pids of an earlier boot mean nothing."""
    marker: str
    """Value of MARKER_VARIABLE in the environment of every process below the supervisor."""
    database_url: str
    ports: dict[str, int]
    """control, runtime, execution; without the first two's Airflow, runtime alone."""
    airflow_url: str = ""
    """Set when the platform works for a company's own Airflow, see pipelines/platform/own_airflow.py."""
    children: dict[str, ChildState] = field(default_factory=dict)
    version: str = ""
    """Of OpenPersonalize, as it was when the supervisor started; empty of one that did not say so yet."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> PlatformState | None:
        """The inverse of `to_json`, of an older version's too: its platform may run on; None for anything else."""
        try:
            supervisor = ProcessIdentity.from_json(value["supervisor"])
            if supervisor is None:
                return None
            children = {
                name: ChildState(**{**child, "identity": ProcessIdentity.from_json(child["identity"])})
                for name, child in value["children"].items()
            }
            rest = {key: value[key] for key in ("boot", "marker", "database_url", "ports")}
            rest |= {key: value[key] for key in ("airflow_url", "version") if key in value}
        except (TypeError, KeyError, AttributeError):
            return None
        return cls(supervisor=supervisor, children=children, **rest)


# Every process below the supervisor inherits it, so that one which outlives everybody is still known as ours.
MARKER_VARIABLE = "OPENPERSONALIZE_SUPERVISED"


def state_file(settings: Settings) -> Path:
    return settings.run_dir / "platform.json"


def restore_marker(settings: Settings) -> Path:
    """There while a backup is being restored into the home, and after a restore that was cut short."""
    return settings.home / "restoring"


def read_state(settings: Settings) -> PlatformState | None:
    """The last run's state, whether its supervisor lives or not; None without one since the machine started."""
    state = PlatformState.from_json(read_json(state_file(settings)))
    if state is not None and abs(state.boot - psutil.boot_time()) > 60:
        return None
    return state


def running_state(settings: Settings) -> PlatformState | None:
    """The state of a living supervisor, None when there is none."""
    state = read_state(settings)
    return state if state is not None and state.supervisor.alive() else None


def write_state(settings: Settings, state: PlatformState) -> None:
    write_json(state_file(settings), state.to_json())


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a file's lock; False when another process holds it. The kernel frees it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def execution_port(settings: Settings) -> int:
    """The port of the api-server that only tasks talk to: a free one, chosen once and kept under the home."""
    path = settings.home / "ports.json"
    known = read_json(path)
    if isinstance(known, dict) and isinstance(known.get("execution"), int) and port_is_free(known["execution"]):
        return int(known["execution"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    write_json(path, {"execution": port})
    return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    try:
        try_port(port)
    except OSError:
        return False
    return True


def try_port(port: int) -> None:
    """Raise the OSError that a server listening on 127.0.0.1:port would get."""
    with socket.socket() as probe:
        # As the servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def supervisor_pid(settings: Settings) -> int | None:
    """The living supervisor's pid, None when the platform is down."""
    state = running_state(settings)
    return state.supervisor.pid if state else None
