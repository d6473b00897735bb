"""What a training prints, and the reason that is found in it."""

from __future__ import annotations

from pipelines.versions.stage_log import StageLog


def taken(*lines: str) -> tuple[list[str], str | None]:
    out: list[str] = []
    log = StageLog(out.append)
    for line in lines:
        log.line(line)
    log.close()
    return out, log.reason


def test_lines_are_grouped_by_stage() -> None:
    out, reason = taken(
        "Everything is up to date.",
        "Stage 'prepare' is cached - skipping run, checking out outputs",
        "Running stage 'train':",
        "> python -m pipelines.stages train",
        "epoch 1 of 3",
        "Stage 'package' didn't change, skipping",
    )
    assert out == [
        "Everything is up to date.",
        "::group::prepare",
        "Stage 'prepare' is cached - skipping run, checking out outputs",
        "::endgroup::",
        "::group::train",
        "Running stage 'train':",
        "> python -m pipelines.stages train",
        "epoch 1 of 3",
        "::endgroup::",
        "::group::package",
        "Stage 'package' didn't change, skipping",
        "::endgroup::",
    ]
    assert reason is None


def test_the_last_reason_counts() -> None:
    _, reason = taken("failureReason: first", "Running stage 'train':", "failureReason:  second ", "ERROR: failed")
    assert reason == "second"


def test_a_line_that_only_mentions_a_reason_is_none() -> None:
    assert taken("prepare: failureReason: not at the start")[1] is None
