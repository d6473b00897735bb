"""What the demo measures: seconds and CPU seconds of each step, metrics and baselines of each version."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.platform.clients import endpoints
from pipelines.settings import Settings

BASELINES = ("popularity", "repeat", "markov")


@dataclass
class Measured:
    """Wall seconds and CPU seconds of one step; filled in when it ends."""

    title: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass
class Numbers:
    """Collects what `demo.json` holds."""

    settings: Settings
    steps: list[Measured] = field(default_factory=list)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def measure(self, title: str) -> Iterator[Measured]:
        """Seconds on the clock and CPU seconds of the platform's processes while the block runs."""
        measured = Measured(title)
        self.steps.append(measured)
        start, cpu = time.monotonic(), self._cpu_seconds()
        yield measured
        measured.seconds = time.monotonic() - start
        measured.cpu_seconds = self._cpu_seconds() - cpu

    def add_version(self, name: str, arn: str, metrics: Mapping[str, float]) -> None:
        """Record a trained version: AWS's metrics, the baselines of the same hold-out, what it cost."""
        internal = self._internal(arn)
        self.versions[name] = {
            "solutionVersionArn": arn,
            "metrics": dict(metrics),
            "baselines": self.baselines(arn),
            "trainingSeconds": internal.get("training_seconds"),
            "trainingCpuSeconds": internal.get("training_cpu_seconds"),
            "bestEpoch": internal["report"]["best_epoch"],
            "tag": internal.get("tag"),
            "bento": internal.get("bento"),
        }

    def baselines(self, arn: str) -> dict[str, dict[str, float]]:
        """Popularity, repeat and Markov on the version's hold-out (AWS has no operation that shows them)."""
        known: dict[str, dict[str, float]] = self._internal(arn)["report"]["baselines"]
        return {name: known[name] for name in BASELINES}

    def warnings(self, arn: str) -> list[dict[str, str]]:
        """What a person must know before they deploy the version."""
        found: list[dict[str, str]] = self._internal(arn)["report"]["warnings"]
        return found

    def write(self, path: Path, *, arns: Mapping[str, str], lists: Mapping[str, Any]) -> Path:
        """Everything as one JSON document, replaced atomically."""
        urls = {"airflow": self.settings.airflow, **endpoints(self.settings)}
        document = {
            "timings": [
                {"step": m.title, "seconds": round(m.seconds, 2), "cpuSeconds": round(m.cpu_seconds, 2)}
                for m in self.steps
            ],
            "versions": self.versions,
            "lists": lists,
            "arns": arns,
            "urls": urls,
        }
        part = path.with_suffix(".part")
        part.write_text(json.dumps(document, indent=2) + "\n")
        return part.replace(path)

    def _internal(self, arn: str) -> dict[str, Any]:
        from pipelines.registry import database, store

        with database.engine(self.settings).connect() as conn:
            version = store.get(conn, arn=arn)
        return {} if version is None else version.internal

    def _cpu_seconds(self) -> float:
        """CPU seconds so far of every process below the supervisor, finished tasks included, and of this one."""
        from pipelines.platform.state import supervisor_pid

        roots = [pid for pid in (supervisor_pid(self.settings), os.getpid()) if pid is not None]
        return _cpu_seconds(roots)


def _cpu_seconds(roots: list[int]) -> float:
    """User and system seconds of the processes, of all below them, and of those these have waited for."""
    import psutil

    # A set, because a supervisor that this process started is below both.
    processes = {process for root in map(psutil.Process, roots) for process in (root, *root.children(recursive=True))}
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
