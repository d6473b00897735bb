"""What the commands show: progress while a platform starts, a table of its processes, lines to paste."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict

from rich.console import Console
from rich.live import Live
from rich.table import Table

from pipelines.platform.clients import endpoints
from pipelines.platform.credentials import ADMIN, passwords_file
from pipelines.platform.health import ProcessReport, all_healthy
from pipelines.settings import Settings

_COLOURS = {"healthy": "green", "done": "green", "starting": "yellow", "waiting": "dim", "backoff": "red"}


class StartDisplay:
    """Shows how far every process is: a live table on a terminal, a line for each change elsewhere."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._said: dict[str, str] = {}
        self._live = Live(console=console, transient=True, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> StartDisplay:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, reports: list[ProcessReport]) -> None:
        """Show the newest reports."""
        if self._live:
            table = status_table(reports)
            table.title = f"starting, {self._clock() - self._begun:.0f} s"
            self._live.update(table)
            return
        for report in reports:
            if self._said.get(report.name) != report.state:
                self._said[report.name] = report.state
                detail = f" ({report.detail})" if report.state == "backoff" else ""
                self._console.print(
                    f"[{self._clock() - self._begun:5.1f} s] {report.name}: {report.state}{detail}",
                    markup=False,
                    highlight=False,
                )


def status_table(reports: list[ProcessReport]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading, side in (("process", "left"), ("pid", "right"), ("state", "left"), ("uptime", "right")):
        table.add_column(heading, justify="right" if side == "right" else "left")
    table.add_column("restarts", justify="right")
    table.add_column("rss MiB", justify="right")
    table.add_column("")
    for report in reports:
        table.add_row(
            report.name,
            str(report.pid or ""),
            f"[{_COLOURS.get(report.state, 'red')}]{report.state}[/]",
            duration(report.uptime),
            str(report.restarts),
            f"{report.rss / 1024**2:.0f}" if report.rss else "",
            report.detail,
        )
    return table


def status_json(reports: list[ProcessReport]) -> str:
    return json.dumps(
        {"healthy": bool(reports) and all_healthy(reports), "processes": [asdict(r) for r in reports]}, indent=1
    )


def duration(seconds: float | None) -> str:
    """75.3 -> `1:15`, 3675 -> `1:01:15`."""
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def welcome(settings: Settings) -> str:
    """URLs, where the password is, and the lines to paste; plain text, so that it can be copied and parsed."""
    urls = endpoints(settings)
    key_id, secret = next(iter(settings.access_keys.items()))
    exports = {
        "AWS_ENDPOINT_URL_PERSONALIZE": urls["personalize"],
        "AWS_ENDPOINT_URL_PERSONALIZE_RUNTIME": urls["personalize-runtime"],
        "AWS_ENDPOINT_URL_PERSONALIZE_EVENTS": urls["personalize-events"],
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": settings.region,
    }
    own = "your own" if settings.airflow_url else f"user {ADMIN}, password in {passwords_file(settings)}"
    return "\n".join(
        [
            f"Airflow        {settings.airflow} ({own})",
            f"control plane  {urls['personalize']}",
            f"runtime        {urls['personalize-runtime']}",
            "",
            *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
        ]
    )
