"""What the DAG files share."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from pipelines.dag_support import announce, failure_callback, no_retry, reason
from pipelines.settings import Settings


class Final(Exception):
    """Stands for AirflowFailException."""


def test_what_a_retry_cannot_mend_is_raised_as_final_with_its_words() -> None:
    with pytest.raises(Final, match=r"^too few users$"), no_retry(Final, KeyError, ValueError):
        raise ValueError("too few users")
    with pytest.raises(OSError), no_retry(Final, ValueError):
        raise OSError("the disk is gone")


def test_the_request_id_comes_first_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        announce({"request_id": "r-1", "resource_arn": "arn:x"})
        announce(None)
    assert [record.getMessage() for record in caplog.records] == [
        "request id r-1, resource arn:x",
        "request id none, resource none yet",
    ]


def test_a_failure_reaches_the_resource() -> None:
    told: list[tuple[str, str]] = []

    def fail(settings: Settings, resource_id: str, why: str) -> None:
        told.append((resource_id, why))

    report = failure_callback(fail, lambda context: context["id"])
    task = SimpleNamespace(task_id="reproduce")
    report({"id": "a", "exception": Final("too few users"), "ti": task, "run_id": "r"})
    report({"id": None, "exception": Final("no resource"), "ti": task, "run_id": "r"})
    assert told == [("a", "too few users")]


def test_a_failure_without_words_points_to_the_log() -> None:
    task = SimpleNamespace(task_id="reproduce")
    assert "Task reproduce failed (KeyError)" in reason({"exception": KeyError(), "ti": task, "run_id": "taste.1"})
    assert "run taste.1" in reason({"exception": None, "ti": task, "run_id": "taste.1"})
