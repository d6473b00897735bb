"""What the DAG files share, without importing Airflow: defaults, the request id in the log, failures that reach clients.

A task's failure must end up in the resource's `failureReason`, because clients look at the registry, never at
Airflow. What kills the task's process too hard for a callback is found by the reconciler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.schedules.retraining import Run

log = logging.getLogger("openpersonalize")

POOL = "memory"
"""Bounds what runs at once by memory: a training takes two slots, an import one."""

SCHEDULES_POOL = "schedules"
"""Bounds the tasks that start work for many solutions and look whether it has ended: seconds each, but as many at once
as there are solutions, and an import should not wait behind them."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "openpersonalize",
    # A restart of the execution server or of the scheduler can cost a task its try; every task can be repeated.
    "retries": 2,
    "retry_delay": timedelta(seconds=5),
    # What is down for longer, a store or a remote, is given twice as long each time.
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
}

WAITING: dict[str, Any] = {
    # Between two looks no worker is taken. They become rarer, as a training that took an hour may end a minute later.
    "mode": "reschedule",
    "poke_interval": timedelta(seconds=10),
    "exponential_backoff": True,
    "max_wait": timedelta(minutes=2),
    "timeout": timedelta(days=6),
}
"""Arguments of a sensor that waits for a solution version to end."""

NAME_OF_SOLUTION = "{{ task.op_kwargs['solution']['name'] }}"
"""`map_index_template` of a task with an argument `solution`: the UI shows the solution's name."""


def deadline(sdk: Any, hours: int) -> Any:
    """A run that has not ended after so many hours says so (`late`) and is marked in the UI; `sdk` is airflow.sdk."""
    queued, tell = sdk.DeadlineReference.DAGRUN_QUEUED_AT, sdk.SyncCallback(late, {"hours": hours})
    return sdk.DeadlineAlert(queued, timedelta(hours=hours), tell, name=f"{hours} hours")


PLACE = "^(s3|file)://.+"
"""Pattern of a field that names a file or folder."""


def left_empty(sdk: Any, pattern: str, title: str, description: str) -> Any:
    """A text field of a form that a person fills in and the API leaves empty; `sdk` is airflow.sdk."""
    return sdk.Param(None, type=["null", "string"], pattern=pattern, title=title, description=description)


def set_by_api(sdk: Any, what: str) -> dict[str, Any]:
    """The last fields of the form of a DAG that the API starts, for a `what`; `sdk` is airflow.sdk."""
    text = {"type": ["null", "string"], "section": "Set by the API"}
    return {
        "resource_id": sdk.Param(
            None,
            **text,
            pattern="^[0-9a-f]{16}$",
            title=f"Id of the {what}",
            description=f"Leave it empty: a run that is started by hand makes its own {what}.",
        ),
        "request_id": sdk.Param(
            None, **text, title="Request id", description="x-amzn-RequestId of the call, for the logs."
        ),
    }


MADE = "made"
"""The XCom with the id of what a run has made for itself."""

LATE = "late"
"""Member of `internal` of a resource whose run takes long: the text that says so."""

Request = Mapping[str, Any]
"""Of an operation, as a client would send it."""

Fail = Callable[[Settings, str, str], None]
"""`fail(settings, resource_id, reason)`, as pipelines.versions.fail and pipelines.datasets.importing.fail."""


def announce(conf: Mapping[str, Any] | None) -> None:
    """First line of a task's log: the x-amzn-RequestId that the client got, and the resource it is about."""
    conf = conf or {}
    log.info("request id %s, resource %s", conf.get("request_id") or "none", conf.get("resource_arn") or "none yet")


@contextmanager
def no_retry(failure: type[Exception], *causes: type[Exception]) -> Iterator[None]:
    """Raise `failure` (Airflow's AirflowFailException or AirflowSkipException) for `causes`, which trying again cannot mend."""
    try:
        yield
    except causes as error:
        raise failure(str(error)) from error


@contextmanager
def version_work(failure: type[Exception], skip: type[Exception], *causes: type[Exception]) -> Iterator[None]:
    """Around work on a version: `failure` for what failed it and for `causes`, `skip` once a client has stopped it."""
    from pipelines.versions import VersionFailed, VersionStopped

    with no_retry(failure, VersionFailed, *causes), no_retry(skip, VersionStopped):
        yield


def moment(context: Any) -> datetime:
    """What a run decides for: of a scheduled one the time it was due, however late it starts; of one by hand its own."""
    run = context["dag_run"]
    asked: datetime = run.logical_date or run.run_after
    return asked


def retraining_run(context: Any) -> Run:
    """What a run of `full_retrain` or `automatic_training` is to do, by its DAG, its time and its form."""
    from pipelines.schedules.due import ASKERS
    from pipelines.schedules.retraining import Run

    params = context["params"]
    asker = ASKERS[context["dag"].dag_id]
    return Run(asker, moment(context), context["run_id"], params["solution_arns"], params.get("force", False))


def about(
    context: Any, failure: type[Exception], operation: str, needed: Sequence[str], request: Callable[[Any], Request]
) -> str:
    """The id of what a run is about, for its first task: named by the API's wish, or else made as `operation` makes it
    of what `request` reads in the form.

    Raises `failure` (Airflow's AirflowFailException) when one of the fields `needed` is empty, or for what the operation
    refuses.
    """
    from pipelines.aws.errors import AwsError

    params = context["params"]
    announce(context["dag_run"].conf)
    if params["resource_id"] is not None:
        return str(params["resource_id"])
    if any(params[name] is None for name in needed):
        raise failure(f"Give {' and '.join(needed)}: a run that is started by hand needs them.")
    with no_retry(failure, AwsError):
        return made_for_run(context, operation, request(params))


def made_for_run(context: Any, operation: str, request: Request) -> str:
    """The id of what a run started by hand in the Airflow UI is about, made as `operation` makes it for a client.

    A retry of the run gets the same. The task's `resource_id` knows it from now on. Raises AwsError.
    """
    from pipelines.control.operations import IN_RUN
    from pipelines.registry.database import transaction

    settings = Settings.from_env()
    with transaction(settings) as conn:
        made = IN_RUN[operation](settings, conn, request, context["run_id"], context["params"]["request_id"])
    # Not the task's result: what fails behind this line must find it too.
    context["ti"].xcom_push(MADE, made)
    return made


def resource_id(first_task: str) -> Callable[[Any], str | None]:
    """From a task's context to what the run is about: named by the API's wish, or made by the run's first task."""

    def found(context: Any) -> str | None:
        given: str | None = context["params"].get("resource_id")
        return given or context["ti"].xcom_pull(task_ids=first_task, key=MADE)

    return found


def failure_callback(fail: Fail, resource_id: Callable[[Any], str | None]) -> Callable[[Any], None]:
    """An `on_failure_callback` that puts the task's error on the resource; called when no retry is left."""

    def report(context: Any) -> None:
        id = resource_id(context)
        if id is None:
            log.error("the run failed before it had a resource, so no client can see why: look at this log")
            return
        fail(Settings.from_env(), id, reason(context))

    return report


def log_failure(consequence: str) -> Callable[[Any], None]:
    """An `on_failure_callback` of a run that no resource waits for: the log says why, and what that means."""

    def report(context: Any) -> None:
        log.error("%s; %s", reason(context), consequence)

    return report


def late(hours: int, context: Any) -> None:
    """What Airflow calls when a run has not ended after `hours` (a DeadlineAlert): a warning, and a line on its resource.

    `openpersonalize versions` shows it; clients of the API do not, as nothing has failed.
    """
    from pipelines.registry import store, wishes
    from pipelines.registry.database import transaction

    run = context["dag_run"]
    if run["state"] not in ("queued", "running"):
        # Airflow forgets the deadline of a run that succeeded, but not of one that failed.
        return
    run_id, dag_id = run["dag_run_id"], run["dag_id"]
    text = f"Not finished after {hours} hours; run {run_id} of DAG {dag_id} in the Airflow UI shows what takes so long."
    log.warning("%s", text)
    with transaction(Settings.from_env()) as conn:
        found = wishes.of_run(conn, run_id)
        if found is not None and found.status in store.UNFINISHED:
            store.update(conn, found.id, internal={LATE: text}, touch=False)


def reason(context: Any) -> str:
    """What a client reads in `failureReason`, from the context of a failed task."""
    error = context.get("exception")
    text = str(error).strip() if error is not None else ""
    if text:
        return text
    task = context["ti"].task_id
    kind = type(error).__name__ if error is not None else "no exception"
    return f"Task {task} failed ({kind}). Its log in the Airflow UI, run {context['run_id']}, says more."
