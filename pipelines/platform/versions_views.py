"""What `openpersonalize versions` prints: a paragraph a version, as a table of all this fits no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.platform.metrics_views import METRICS
from pipelines.versions.history import Past

SHOWN = ("NDCG@25", "MRR@25", "precision@10", "coverage")
DIGITS = 8
"""Of a checksum."""


def lines(found: Sequence[Past]) -> list[str]:
    """The newest first; what has no room here is in `--json`."""
    return [line for version in found for line in _lines(version)] or ["no version yet"]


def _lines(version: Past) -> Iterator[str]:
    created = f"{version.created[:10]} {version.created[11:16]} UTC"
    yield f"{version.short}  {created}  {_kind(version)}; {_deployed(version)}"
    for note in filter(None, (version.dropped, version.failure_reason, version.held, version.late, *version.warnings)):
        yield f"  {note}"
    if version.metrics:
        known = {label: METRICS[label] for label in SHOWN if METRICS[label] in version.metrics}
        yield f"  metrics  {'  '.join(f'{label} {version.metrics[key]:.4f}' for label, key in known.items())}"
    if version.snapshots or version.event_cutoff:
        yield f"  data     {'; '.join(_data(version))}"
    if version.code:
        yield f"  code     {_code(version.code)}"
    if version.params:
        values = ", ".join(f"{name} {value}" for name, value in parameters(version.params).items())
        yield f"  recipe   {version.params['solution']['recipe']}{f': {values}' if values else ''}"


def parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    """All hyperparameters that a version was made with, and whether better ones were searched."""
    searched = {"searched for": "better ones"} if params.get("hpo") else {}
    return {**params["hyperparameters"], **params["featurization"], **searched}


def _kind(version: Past) -> str:
    words = [version.training.lower(), version.mode.lower()]
    if version.base:
        words.append(f"of {version.base}")
    if version.updates:
        words.append(f"+ {version.updates} automatic update{'s' if version.updates > 1 else ''}")
    return " ".join(words)


def _deployed(version: Past) -> str:
    if version.dropped:
        return "dropped"
    if version.status != "ACTIVE":
        return version.status
    served = [f"deployed in {', '.join(version.serves)}"] * bool(version.serves)
    coming = [f"coming to {', '.join(version.coming)}"] * bool(version.coming)
    held = ["waits for a person"] * bool(version.held)
    return ", ".join([*served, *coming, *held]) or "not deployed"


def _data(version: Past) -> Iterator[str]:
    for taken in version.snapshots:
        yield f"{taken.dataset_type.lower()} {taken.rows:,} rows ({taken.job})"
    if version.event_cutoff:
        yield f"streamed events to number {version.event_cutoff:,}"


def _code(code: Mapping[str, str]) -> str:
    names = {"version": "openpersonalize ", "digest": "source ", "lock": "packages "}
    return ", ".join(f"{word}{code[name][:DIGITS]}" for name, word in names.items() if code.get(name))
