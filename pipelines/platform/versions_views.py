"""The table of `openpersonalize versions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.platform.metrics_views import METRICS
from pipelines.versions.history import Past, Taken

SHOWN = {"NDCG@25": METRICS["NDCG@25"], "MRR@25": METRICS["MRR@25"], "coverage": METRICS["coverage"]}
DIGITS = 8
"""Of a checksum."""


def show(console: Console, found: Sequence[Past]) -> None:
    """One row a version; what has no room here is in `--json`."""
    if not found:
        console.print("no version yet")
        return
    table = Table(pad_edge=False, show_lines=True)
    for heading in ("version", "created, UTC", "deployed", "data", "code", "parameters"):
        table.add_column(heading, overflow="fold")
    for heading in SHOWN:
        table.add_column(heading, justify="right", no_wrap=True)
    for version in found:
        table.add_row(
            version.short,
            f"{version.created[:10]} {version.created[11:16]}\n{_kind(version)}",
            _deployed(version),
            "\n".join([*map(_snapshot, version.snapshots), f"events to {version.event_cutoff:,}"]),
            _code(version.code),
            "\n".join(f"{name} {value}" for name, value in parameters(version.params).items()),
            *(f"{version.metrics[key]:.4f}" if key in version.metrics else "" for key in SHOWN.values()),
        )
    console.print(table)
    for version in found:
        for note in filter(None, (version.dropped, version.failure_reason, version.held, version.late, version.drift)):
            console.print(f"{version.short}: {note}", markup=False, soft_wrap=True)


def parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe and all hyperparameters that a version was made with."""
    if not params:
        return {}
    searched = {"searched": "yes"} if params.get("hpo") else {}
    return {"recipe": params["solution"]["recipe"], **params["hyperparameters"], **params["featurization"], **searched}


def _kind(version: Past) -> str:
    words = [version.training.lower(), version.mode.lower()]
    if version.base:
        words.append(f"of {version.base}")
    if version.updates:
        words.append(f"+ {version.updates} updates")
    return " ".join(words)


def _deployed(version: Past) -> str:
    if version.dropped:
        return "dropped"
    lines = [*version.serves, *(f"{name}: coming" for name in version.coming)]
    if version.held:
        lines.append("waits for a person")
    if version.status != "ACTIVE":
        lines.append(version.status)
    return "\n".join(lines) or "no"


def _snapshot(taken: Taken) -> str:
    return f"{taken.dataset_type.lower()} {taken.rows:,} ({taken.job})"


def _code(code: Mapping[str, str]) -> str:
    names = {"version": "", "digest": "source ", "lock": "packages "}
    return "\n".join(f"{word}{code[name][:DIGITS]}" for name, word in names.items() if code.get(name))
