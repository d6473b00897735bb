"""A plan's steps, done one after the other through boto3, as any client would do them.

Nothing is remembered between two runs: each begins by looking, so applying again goes on where one was cut off or failed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from pipelines.declared import schedules
from pipelines.declared.steps import DOES, Step
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.settings import Settings

POLL_SECONDS = 1.0
Tell = Callable[[str], None]
"""Hears what is waited for."""


class StepFailed(Exception):
    """One step could not be done; the message says why."""


@dataclass
class Applied:
    """What came of a plan."""

    done: list[Step] = field(default_factory=list)
    failed: list[tuple[Step, str]] = field(default_factory=list)
    """With the reason; what stands on a step that failed was not tried."""


def apply(settings: Settings, personalize: Any, group_arn: str, steps: Iterable[Step], tell: Tell) -> Applied:
    """Do the steps. A resource that is refused ends it, as the rest stands on it; a training that fails costs only the
    campaigns that wait for it.
    """
    applied = Applied()
    for step in (one for one in steps if one.action in DOES):
        try:
            if step.needs_imports:
                _wait_for_imports(settings, group_arn, tell)
            if step.needs_version:
                _wait_for_version(settings, step.needs_version, tell)
            _do(settings, personalize, step)
        except (StepFailed, ClientError) as error:
            applied.failed.append((step, str(error)))
            if not (step.needs_imports or step.needs_version):
                break
        else:
            applied.done.append(step)
    return applied


def _do(settings: Settings, personalize: Any, step: Step) -> None:
    if step.schedule is None:
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", step.operation).lower()
        getattr(personalize, method)(**step.given)
        return
    arn, what, record = step.schedule
    with transaction(settings) as conn:
        resource = store.get(conn, arn=arn)
        if resource is None:
            raise StepFailed(f"{arn} is gone; apply again")
        schedules.declare(conn, resource.id, what, record)


def _wait_for_imports(settings: Settings, group_arn: str, tell: Tell) -> None:
    """Until none of the group's imports is unfinished; raises StepFailed when interactions could not be imported."""
    while True:
        with transaction(settings) as conn:
            group = store.get(conn, arn=group_arn)
            jobs = store.in_group(conn, group.id, "DatasetImportJob") if group is not None else []
            datasets = {one.id: one for one in store.in_group(conn, group.id, "Dataset")} if group is not None else {}
        unfinished = [job for job in jobs if job.status in store.UNFINISHED]
        if not unfinished:
            break
        tell(f"import {unfinished[0].name} is {unfinished[0].status}")
        time.sleep(POLL_SECONDS)
    for dataset in datasets.values():
        of_dataset = [job for job in jobs if job.parent_id == dataset.id]
        lost = of_dataset and of_dataset[-1].status == store.CREATE_FAILED and "snapshot" not in dataset.internal
        if lost and dataset.doc["datasetType"] == "INTERACTIONS":
            raise StepFailed(f"import {of_dataset[-1].name} failed: {of_dataset[-1].failure_reason}")


def _wait_for_version(settings: Settings, solution_arn: str, tell: Tell) -> None:
    """Until the solution has an ACTIVE version; raises StepFailed when none is on its way."""
    while True:
        with transaction(settings) as conn:
            solution = store.get(conn, arn=solution_arn)
            versions = store.children(conn, solution.id, "SolutionVersion") if solution is not None else []
        if any(version.status == store.ACTIVE for version in versions):
            return
        unfinished = [version for version in versions if version.status in store.UNFINISHED]
        if not unfinished:
            raise StepFailed(_why_none(solution_arn, versions))
        tell(f"version {unfinished[-1].name} is {unfinished[-1].status}")
        time.sleep(POLL_SECONDS)


def _why_none(solution_arn: str, versions: list[Resource]) -> str:
    if not versions:
        return f"{solution_arn} has no version"
    return f"the training of {versions[-1].name} failed: {versions[-1].failure_reason}"
