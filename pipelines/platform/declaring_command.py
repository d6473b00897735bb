"""`openpersonalize apply` and `export`: a file becomes a dataset group, and a dataset group a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from pipelines.declared import applying, checking, existing, exporting, planning, reading
from pipelines.declared.reading import Document, Refused
from pipelines.declared.steps import DOES, Action, Step
from pipelines.declared.writing import to_yaml
from pipelines.platform import declaring_views as views
from pipelines.platform.clients import Clients
from pipelines.platform.finding import find
from pipelines.registry.database import transaction
from pipelines.settings import Settings


class NotApplied(Exception):
    """The file, or a part of it, was not applied; the message says why."""


@dataclass(frozen=True)
class Planned:
    """A file and what is to be done about it."""

    file: Path
    document: Document
    group: str
    group_arn: str
    steps: Sequence[Step]

    def refused(self) -> list[str]:
        """The steps that keep the whole file from being applied, each with its line."""
        return [self.said(step) for step in self.steps if step.action is Action.REFUSE]

    def said(self, step: Step, reason: str = "") -> str:
        """`shop.yaml, line 7: solutions[0]: solution taste: …`"""
        line = self.document.problem(step.path, f"{step.what} {step.name}: {reason or step.detail}")
        return f"{self.file.name}, {line}"


def plan(settings: Settings, file: Path, now: datetime) -> Planned:
    """What applying the file would do; raises NotApplied with every line that is wrong."""
    try:
        document = reading.read(file.read_text(encoding="utf-8"))
        wanted = checking.check(document, f"{file.absolute().parent.as_uri()}/")
    except Refused as refused:
        raise NotApplied("\n".join(f"{file.name}, {problem}" for problem in refused.problems)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise NotApplied(f"{file} cannot be read: {error}") from None
    with transaction(settings) as conn:
        there = existing.look(conn, settings, wanted)
    group_arn = there.arn("DatasetGroup", wanted.group.name)
    return Planned(file, document, wanted.group.name, group_arn, planning.plan(wanted, there, now))


def apply(
    settings: Settings, console: Console, file: Path, now: datetime, confirm: Callable[[str], bool], *, dry_run: bool
) -> None:
    """Show the plan, and do it unless it is a dry run; raises NotApplied."""
    planned = plan(settings, file, now)
    views.show_plan(console, planned.group, planned.steps)
    refused = planned.refused()
    if refused:
        raise NotApplied("\n".join([*refused, "Nothing was applied."]))
    if dry_run or not any(step.action in DOES for step in planned.steps):
        return
    if not confirm("Go on?"):
        raise NotApplied("Nothing was applied.")
    with views.waiting(console) as tell:
        applied = applying.apply(settings, Clients.of(settings).personalize, planned.group_arn, planned.steps, tell)
    console.print(f"{len(applied.done)} done", highlight=False)
    if applied.failed:
        failed = [planned.said(step, reason) for step, reason in applied.failed]
        raise NotApplied("\n".join([*failed, "What was done stays. Apply the file again to go on from there."]))


def export(settings: Settings, group: str, out: Path | None) -> str:
    """The group as a file: YAML, or JSON when `out` ends in .json; written there, if given. Raises finding.NotFound."""
    with transaction(settings) as conn:
        found = exporting.export(conn, find(conn, "DatasetGroup", group, "dataset group"))
    is_json = out is not None and out.suffix == ".json"
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n" if is_json else to_yaml(found)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    return text
