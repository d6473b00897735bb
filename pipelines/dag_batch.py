"""The form that the DAGs of batch jobs share, without importing Airflow."""

from __future__ import annotations

from typing import Any

from pipelines import dag_support as support

NEEDED = ("solution_version_arn", "input_path", "output_path")
"""Fields that a run needs which is started by hand."""


def form(sdk: Any, what: str, most: int, title: str, description: str) -> dict[str, Any]:
    """Of a `what`, `batch inference job`, whose lines have at most `most` results; `sdk` is airflow.sdk."""
    return {
        "solution_version_arn": support.left_empty(
            sdk,
            "^arn:.+:solution/[^/]+/[0-9a-f]{8}$",
            "Solution version ARN",
            "Started by hand: the version that answers.",
        ),
        "input_path": support.left_empty(
            sdk, support.PLACE, "File or folder of questions", "s3://bucket/folder/ or file:///folder/, JSON Lines."
        ),
        "output_path": support.left_empty(
            sdk, support.PLACE, "Folder that the answers go to", "Another than that of the questions."
        ),
        "num_results": sdk.Param(25, type="integer", minimum=1, maximum=most, title=title, description=description),
        **support.set_by_api(sdk, what),
    }


def request(form: Any) -> support.Request:
    """Of CreateBatchInferenceJob or CreateBatchSegmentJob."""
    return {
        "solutionVersionArn": form["solution_version_arn"],
        "jobInput": {"s3DataSource": {"path": form["input_path"]}},
        "jobOutput": {"s3DataDestination": {"path": form["output_path"]}},
        "numResults": form["num_results"],
    }


def fail(settings: Any, job_id: str, reason: str) -> None:
    """A batch job that cannot be done."""
    from pipelines.batch.job import fail

    fail(settings, job_id, reason)
