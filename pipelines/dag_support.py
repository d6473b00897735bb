"""What the DAG files share, without importing Airflow: defaults, the request id in the log, failures that reach clients.

A task's failure must end up in the resource's `failureReason`, because clients look at the registry, never at
Airflow. What kills the task's process too hard for a callback is found by the reconciler.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from pipelines.settings import Settings

log = logging.getLogger("openpersonalize")

POOL = "memory"
"""Bounds what runs at once by memory: a training takes two slots, an import one."""

DEFAULT_ARGS: dict[str, Any] = {
    "owner": "openpersonalize",
    # A restart of the execution server or of the scheduler can cost a task its try; every task can be repeated.
    "retries": 2,
    "retry_delay": timedelta(seconds=5),
}

MADE = "made"
"""The XCom with the id of what a run has made for itself."""

Fail = Callable[[Settings, str, str], None]
"""`fail(settings, resource_id, reason)`, as pipelines.versions.fail and pipelines.datasets.importing.fail."""


def announce(conf: Mapping[str, Any] | None) -> None:
    """First line of a task's log: the x-amzn-RequestId that the client got, and the resource it is about."""
    conf = conf or {}
    log.info("request id %s, resource %s", conf.get("request_id") or "none", conf.get("resource_arn") or "none yet")


@contextmanager
def no_retry(failure: type[Exception], *causes: type[Exception]) -> Iterator[None]:
    """Raise `failure` (Airflow's AirflowFailException) for `causes`, which trying again cannot mend."""
    try:
        yield
    except causes as error:
        raise failure(str(error)) from error


def made_for_run(context: Any, operation: str, request: Mapping[str, Any]) -> str:
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


def reason(context: Any) -> str:
    """What a client reads in `failureReason`, from the context of a failed task."""
    error = context.get("exception")
    text = str(error).strip() if error is not None else ""
    if text:
        return text
    task = context["ti"].task_id
    kind = type(error).__name__ if error is not None else "no exception"
    return f"Task {task} failed ({kind}). Its log in the Airflow UI, run {context['run_id']}, says more."
