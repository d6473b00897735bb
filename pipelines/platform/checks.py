"""What would keep a platform from starting, found before anything starts: one clear line each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable

import psutil

from pipelines.disk import free_bytes
from pipelines.platform.source import dags_folder, plugins_folder
from pipelines.platform.state import restore_marker, try_port
from pipelines.settings import Settings

LEAST_FREE_BYTES = 2 * 1024**3


class CannotStart(Exception):
    """One line that says what is wrong and what to do."""


def check_before_start(settings: Settings) -> None:
    """Raise CannotStart for the first thing that is wrong with a platform that does not run yet."""
    checks: tuple[Callable[[Settings], None], ...] = (_restored, _disk, _folders, _programs, _ports)
    for check in checks:
        check(settings)


def check_home(settings: Settings) -> None:
    """The check that comes before everything else, because the locks lie in the home; raises CannotStart."""
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        for folder in (settings.home, settings.run_dir, settings.logs_dir):
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise CannotStart(
            f"cannot write to {error.filename or settings.home} ({error.strerror}): make it yours, or set "
            "OPENPERSONALIZE_HOME to a folder that you may write to"
        ) from error


def _restored(settings: Settings) -> None:
    if restore_marker(settings).exists():
        raise CannotStart(
            f"a restore into {settings.home} was cut short: run `openpersonalize restore FILE` again, it begins anew"
        )


def _disk(settings: Settings) -> None:
    free = free_bytes(settings.home)
    if free < LEAST_FREE_BYTES:
        raise CannotStart(
            f"only {free / 1e9:.1f} GB are free below {settings.home}, at least {LEAST_FREE_BYTES / 1e9:.1f} GB are "
            "needed: free some space, or set OPENPERSONALIZE_HOME to a folder on a larger disk"
        )


def _folders(settings: Settings) -> None:
    del settings
    for name, folder in (("DAGs", dags_folder()), ("plugins", plugins_folder())):
        if not folder.is_dir():
            raise CannotStart(f"the {name} are missing at {folder}: install the package again (`make install`)")


def _programs(settings: Settings) -> None:
    del settings
    if shutil.which("git") is None:
        raise CannotStart("git is not installed, and every version is kept with it: install git (apt-get install git)")


def _ports(settings: Settings) -> None:
    wanted: tuple[tuple[str, int], ...] = (
        ("OPENPERSONALIZE_CONTROL_PORT", settings.control_port),
        ("OPENPERSONALIZE_RUNTIME_PORT", settings.runtime_port),
    )
    if settings.airflow_url:
        wanted = wanted[1:]
    elif settings.control_port == settings.runtime_port:
        raise CannotStart(f"{wanted[0][0]} and {wanted[1][0]} are both {settings.control_port}: give them two ports")
    for variable, port in wanted:
        try:
            try_port(port)
        except PermissionError:
            raise CannotStart(f"port {port} needs root: set {variable} to a port above 1023") from None
        except OSError:
            what = f"port {port} is taken{_holder(port)}"
            raise CannotStart(f"{what}: stop that, or set {variable} to another port") from None


def _holder(port: int) -> str:
    """` by <name>, pid <pid>` when the system tells us; who may not know gets an empty string."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1] == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()}, pid {connection.pid}"
    except psutil.Error:
        pass
    return ""
