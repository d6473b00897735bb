"""What the registry knows of a solution's trainings, as `due` needs it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pipelines.aws.errors import AwsError
from pipelines.control.context import Context
from pipelines.control.solution_config import rate_in_days
from pipelines.control.solution_versions import SCHEDULED_FOR, check_trainable
from pipelines.control.solutions import AUTO_TRAINING_SINCE
from pipelines.registry import store
from pipelines.registry.store import Resource
from pipelines.schedules.due import Known, Training
from pipelines.schedules.new_data import new_data


def known(context: Context, solution: Resource) -> Known:
    """One solution, read in the caller's transaction; of those without automatic training only that.

    UPDATE versions do not count: they take a model over and leave the next training from all data as due as it was.
    """
    since = _automatic_since(solution)
    if since is None:
        return Known(solution.arn, solution.name, None, None, (), new_data=False)
    versions = store.children(context.conn, solution.id, "SolutionVersion")
    full = [version for version in versions if version.doc.get("trainingMode") != "UPDATE"]
    succeeded = [version for version in full if version.status == store.ACTIVE]
    return Known(
        arn=solution.arn,
        name=solution.name,
        automatic_since=since,
        rate=_rate(solution),
        trainings=tuple(Training(version.name, _began(version), str(version.status)) for version in full),
        new_data=new_data(context.conn, solution, succeeded[-1] if succeeded else None),
        obstacle=_obstacle(context, solution),
    )


def _automatic_since(solution: Resource) -> datetime | None:
    if not solution.doc.get("performAutoTraining"):
        return None
    turned_on = solution.internal.get(AUTO_TRAINING_SINCE)
    return datetime.fromisoformat(turned_on) if turned_on else solution.created_at


def _rate(solution: Resource) -> timedelta | None:
    expression = solution.doc.get("solutionConfig", {}).get("autoTrainingConfig", {}).get("schedulingExpression")
    return timedelta(days=rate_in_days(expression)) if expression else None


def _began(version: Resource) -> datetime:
    scheduled = version.internal.get(SCHEDULED_FOR)
    return datetime.fromisoformat(scheduled) if scheduled else version.created_at


def _obstacle(context: Context, solution: Resource) -> str | None:
    try:
        check_trainable(context, solution)
    except AwsError as refused:
        return str(refused)
    return None
