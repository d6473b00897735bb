"""The steps for schedules: those of the file, and the end of those that it no longer has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from pipelines.control.recipes import require_recipe
from pipelines.declared.existing import There
from pipelines.declared.expressions import Timing
from pipelines.declared.run_steps import UNTRAINABLE
from pipelines.declared.schedules import DECLARED, FULL, IMPORT, UPDATE, Record, dag_id
from pipelines.declared.steps import Action, Step
from pipelines.declared.wanted import SetUp

NEXT_SHOWN = 2
WHAT = "schedule"


def schedule_steps(wanted: SetUp, there: There, now: datetime) -> Iterator[Step]:
    """Create, update or take away; a schedule whose expression stays goes on counting from its declaration."""
    asked = list(_asked(wanted, there))
    for arn, subject, what, timing, record, path in asked:
        yield from _step(wanted, there, now, arn, subject, what, timing, record, path)
    named = {(arn, what) for arn, _, what, *_ in asked}
    for resource in there.members:
        for what in resource.internal.get(DECLARED, {}):
            if (resource.arn, what) not in named:
                name = dag_id(wanted.group.name, resource.doc.get("datasetType", resource.name), what)
                yield _removal(resource.arn, name, what, "datasetGroup")


def _asked(wanted: SetUp, there: There) -> Iterator[tuple[str, str, str, Timing | None, Record, str]]:
    """ARN, name, which of its schedules, when, what the run needs, path: of everything that could have a schedule."""
    for one in wanted.datasets:
        record = {"location": one.source.location, **one.source.members}
        arn = there.arn("Dataset", wanted.group.name, one.dataset_type)
        yield arn, one.dataset_type, IMPORT, one.schedule, record, one.dataset.path
    for solution in wanted.solutions:
        arn, name = there.arn("Solution", solution.solution.name), solution.solution.name
        tags = solution.version["tags"]
        campaigns = [{"name": c.name, **c.given, "tags": c.tags} for c in solution.campaigns]
        path = f"{solution.solution.path}.workflowConfig.schedules"
        full = {"mode": solution.version["trainingMode"], "tags": tags, "campaigns": campaigns}
        yield arn, name, FULL, solution.full, full, f"{path}.{FULL}"
        yield arn, name, UPDATE, solution.update, {"mode": "UPDATE", "tags": tags}, f"{path}.{UPDATE}"
        for job in solution.jobs:
            yield arn, name, job.what, job.timing, {"given": dict(job.given)}, job.path


def _step(
    wanted: SetUp, there: There, now: datetime, arn: str, subject: str, what: str, timing: Timing | None,
    record: Record, path: str,
) -> Iterator[Step]:  # fmt: skip
    found = there.named.get(arn)
    have = found.internal.get(DECLARED, {}).get(what) if found is not None else None
    name = dag_id(wanted.group.name, subject, what)
    obstacle = _untrainable(wanted, subject, what)
    if timing is not None and obstacle:
        yield Step(Action.UNAVAILABLE, WHAT, name, path, obstacle)
        timing = None
    elif path in there.forbidden:
        is_placed = any(job.path == path and job.is_placed for one in wanted.solutions for job in one.jobs)
        yield Step(Action.REFUSE if is_placed else Action.LATER, WHAT, name, path, there.forbidden[path])
        return
    if timing is None:
        if have is not None:
            yield _removal(arn, name, what, path)
        return
    since = have["since"] if have and have["expression"] == timing.expression else now.isoformat()
    want = {"expression": timing.expression, "since": since, **record}
    times = timing.next_times(datetime.fromisoformat(since), now, NEXT_SHOWN)
    if have is not None and have != want and have["expression"] == timing.expression:
        yield Step(Action.UPDATE, WHAT, name, path, "what it runs with", schedule=(arn, what, want))
        return
    detail = f"{timing.expression}: next {', '.join(f'{time:%a %Y-%m-%d %H:%M}' for time in times)} UTC"
    action = Action.KEEP if have == want else Action.CREATE if have is None else Action.UPDATE
    yield Step(action, WHAT, name, path, detail, schedule=(arn, what, want))


def _untrainable(wanted: SetUp, subject: str, what: str) -> str:
    if what == IMPORT:
        return ""
    solution = next(one.solution for one in wanted.solutions if one.solution.name == subject)
    recipe = require_recipe(solution.given["recipeArn"])
    return "" if recipe.trainable else UNTRAINABLE.format(recipe.name)


def _removal(arn: str, name: str, what: str, path: str) -> Step:
    return Step(Action.REMOVE, WHAT, name, path, "not in the file", schedule=(arn, what, None))
