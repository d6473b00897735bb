"""An import job as it goes on, for a person who waits: the task it is in, rows, rate, time left."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

from rich.console import Console

from pipelines.platform.clients import Clients
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.settings import Settings

DAG_ID = "dataset_import"
POLL_SECONDS = 0.5
TAIL = 20_000
"""Bytes of a task's log that are looked through for its last word on progress."""
PROGRESS = re.compile(r"^[^:]+: [\d,]+.*/s(, \d+ s left)?\)?$")
ROWS = re.compile(r"^rows: ([\d,]+), ([\d,]+)/s$")


def follow(settings: Settings, console: Console, clients: Clients, job_arn: str, rows: int) -> Resource:
    """Wait until the job, of so many `rows`, has ended, showing how far it is; the job as the registry has it."""
    with transaction(settings) as conn:
        job = store.get(conn, arn=job_arn)
    assert job is not None, "it was created a moment ago"
    logs = settings.logs_dir / "airflow" / f"dag_id={DAG_ID}" / f"run_id={job.name}.{job.id}"
    said = ""
    with console.status("waiting for Airflow") as status:
        while True:
            found = clients.describe("DatasetImportJob", job_arn)
            line = " ".join(part for part in (found["status"], now_at(logs, rows)) if part)
            if line != said:
                said = line
                status.update(line)
                if not console.is_terminal:
                    console.print(line, markup=False, soft_wrap=True)
            if found["status"] not in store.UNFINISHED:
                break
            time.sleep(POLL_SECONDS)
    with transaction(settings) as conn:
        ended = store.get(conn, id=job.id)
    assert ended is not None, "it has just been described"
    return ended


def now_at(logs: Path, rows: int) -> str:
    """`load: rows: 1,200,000, 400,000/s, 60 s left` of the task that wrote last; empty before the first."""
    files = sorted(logs.glob("task_id=*/attempt=*.log"), key=lambda path: path.stat().st_mtime)
    if not files:
        return ""
    task = files[-1].parent.name.removeprefix("task_id=")
    with files[-1].open("rb") as stream:
        stream.seek(max(files[-1].stat().st_size - TAIL, 0))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    events = (_event(line) for line in reversed(lines))
    progress = next((event for event in events if PROGRESS.match(event)), "")
    return f"{task}: {progress}{_left(progress, rows)}" if progress else task


def _left(progress: str, rows: int) -> str:
    """The job does not know how many rows there are; who checked the file before does."""
    found = ROWS.match(progress)
    if found is None:
        return ""
    done, rate = (int(number.replace(",", "")) for number in found.groups())
    return f", {max(rows - done, 0) / rate:.0f} s left" if rate else ""


def _event(line: str) -> str:
    """The message of one line of Airflow's JSON log; of a line that was cut, nothing."""
    try:
        return str(json.loads(line).get("event", ""))
    except (json.JSONDecodeError, AttributeError):
        return ""
