"""Whether each process of a platform does its work, asked from outside: what `up` waits for and `status` shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import psutil

from pipelines.platform.local_http import Answer, ask
from pipelines.platform.state import ChildState, PlatformState

# Airflow's health page names the jobs that have no page of their own.
_HEARTBEATS = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


@dataclass(frozen=True)
class ProcessReport:
    """One line of `openpersonalize status`."""

    name: str
    state: str
    """healthy | starting | backoff | waiting | done, in words for a person."""
    healthy: bool
    pid: int | None = None
    uptime: float | None = None
    """Seconds."""
    restarts: int = 0
    rss: int | None = None
    """Resident bytes of the process and what runs below it; shared pages count in each."""
    detail: str = ""


def observe(state: PlatformState) -> list[ProcessReport]:
    """Ask every process how it is, all at the same time."""
    pages = _fetch_pages(state)
    now = time.time()
    reports = [_report(ChildState("supervisor", "running", state.supervisor), (True, ""), now, own_only=True)]
    for child in state.children.values():
        verdict = _verdict(child, pages)
        reports.append(_report(child, verdict, now))
    return reports + (_own_airflow(pages) if state.airflow_url else [])


def all_healthy(reports: Iterable[ProcessReport]) -> bool:
    return all(report.healthy for report in reports)


def _own_airflow(pages: dict[str, Answer]) -> list[ProcessReport]:
    """A company's Airflow is no process of ours, and still nothing begins without it."""
    page, known = pages["airflow"], ("scheduler", "dag_processor")
    sick = [key for key in known if page.status == 200 and (page.body.get(key) or {}).get("status") != "healthy"]
    detail = page.problem or ", ".join(f"its {key} is not healthy" for key in sick)
    control, why = _control_verdict(pages)
    return [
        ProcessReport("airflow", "starting" if detail else "healthy", not detail, detail=detail),
        ProcessReport("control", "healthy" if control else "starting", control, detail=why.partition(": see ")[0]),
    ]


def _fetch_pages(state: PlatformState) -> dict[str, Answer]:
    local = {name: f"http://127.0.0.1:{port}" for name, port in state.ports.items()}
    control = state.airflow_url or local["control"]
    list_recipes = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonPersonalize.ListRecipes"}
    requests: dict[str, Callable[[], Answer]] = {
        "airflow": lambda: ask(f"{control}/api/v2/monitor/health"),
        "plugin": lambda: ask(f"{control}/personalize", {}, method="POST", headers=list_recipes),
        "runtime": lambda: ask(f"{local['runtime']}/readyz"),
    }
    if "execution" in local:
        requests["execution"] = lambda: ask(f"{local['execution']}/execution/health")
    with ThreadPoolExecutor(len(requests)) as pool:
        return dict(zip(requests, pool.map(lambda request: request(), requests.values()), strict=True))


def _verdict(child: ChildState, pages: dict[str, Answer]) -> tuple[bool, str]:
    """Whether a child is healthy, and if not, why."""
    if child.state == "done":
        return True, ""
    if child.state != "running":
        return False, child.last_exit
    if child.name in ("execution", "runtime"):
        return pages[child.name].status == 200, pages[child.name].problem
    if child.name == "control":
        return _control_verdict(pages)
    if child.name in _HEARTBEATS:
        return _heartbeat_verdict(child, pages["airflow"])
    if child.name == "reconciler" or child.name.endswith("-schema"):
        # It has no page; one that cannot work ends, and is then in back-off.
        age = time.time() - child.identity.started if child.identity else 0.0
        return (child.name == "reconciler" and age > 2.0), "just started"
    return True, ""


def _control_verdict(pages: dict[str, Answer]) -> tuple[bool, str]:
    if pages["airflow"].status != 200:
        return False, pages["airflow"].problem
    # The request is unsigned, so the control plane refuses it, as AWS does; Airflow without it knows no such page.
    plugin = pages["plugin"]
    if not (plugin.status in (400, 403) and isinstance(plugin.body, dict) and "__type" in plugin.body):
        return False, "Airflow runs without the control plane, its plugin: see `openpersonalize logs control`"
    return True, ""


def _heartbeat_verdict(child: ChildState, page: Answer) -> tuple[bool, str]:
    key = _HEARTBEATS[child.name]
    if page.status != 200:
        return False, f"its heartbeat is on the control plane's page: {page.problem}"
    job = page.body.get(key) if isinstance(page.body, dict) else None
    if not isinstance(job, dict) or job.get("status") != "healthy":
        return False, "no heartbeat yet"
    beat = job.get(f"latest_{key}_heartbeat")
    if child.identity and beat and datetime.fromisoformat(beat).timestamp() < child.identity.started:
        return False, "the last heartbeat is its predecessor's"
    return True, ""


def _report(child: ChildState, verdict: tuple[bool, str], now: float, *, own_only: bool = False) -> ProcessReport:
    healthy, detail = verdict
    word = "healthy" if healthy and child.state == "running" else child.state
    if child.state == "running" and not healthy:
        word = "starting"
    identity = child.identity if child.state == "running" else None
    return ProcessReport(
        child.name,
        word,
        healthy,
        identity.pid if identity else None,
        max(0.0, now - identity.started) if identity else None,
        child.restarts,
        _resident(identity.pid, own_only) if identity else None,
        "" if healthy else detail,
    )


def _resident(pid: int, own_only: bool) -> int | None:
    try:
        process = psutil.Process(pid)
        family = [process] if own_only else [process, *process.children(recursive=True)]
    except psutil.Error:
        return None
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total
