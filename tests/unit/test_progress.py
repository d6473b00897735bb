"""What a log shows of long work: how far, how fast, how long still."""

from __future__ import annotations

import logging

import pytest

from pipelines.progress import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_lines_come_every_few_seconds_with_rate_and_time_left(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO), Progress("rows", 1000, every=5, clock=clock, terminal=False) as progress:
        for _ in range(4):
            clock.now += 2.5
            progress.advance(100)
    assert [record.message for record in caplog.records] == [
        "rows: 200 of 1,000 (20 %), 40/s, 20 s left",
        "rows: 400 of 1,000 (40 %), 40/s, 15 s left",
        "rows: 400 in 10.0 s (40/s)",
    ]


def test_without_a_total_there_is_no_time_left(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO), Progress("bytes", every=1, clock=clock, terminal=False) as progress:
        clock.now += 2
        progress.advance(10)
    assert caplog.records[0].message == "bytes: 10, 5/s"


def test_what_takes_long_says_how_long_each_takes() -> None:
    clock = Clock()
    with Progress("trials", 10, every=1000, clock=clock, terminal=False) as progress:
        clock.now += 123
        progress.advance(3)
        assert progress.line() == "trials: 3 of 10 (30 %), 41 s each, 287 s left"
        assert progress.line(finished=True) == "trials: 3 in 123.0 s (41 s each)"


def test_a_failure_does_not_look_like_an_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pytest.raises(ValueError), Progress("rows", 10, terminal=False) as progress:
        progress.advance()
        raise ValueError
    assert caplog.records == []


def test_a_terminal_gets_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("rows", 10, terminal=True) as progress:
        progress.advance(10)
    assert "rows" in capsys.readouterr().err
