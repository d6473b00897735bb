"""What is done before Airflow's scheduler starts: its dead predecessor's job is closed, nobody else's."""

from __future__ import annotations

import socket

import psycopg

from pipelines.platform.scheduler import close_dead_jobs
from pipelines.registry.database import libpq_url
from pipelines.settings import Settings


def test_only_jobs_of_schedulers_of_this_machine_are_closed(settings: Settings) -> None:
    here = socket.gethostname()
    rows = [
        ("SchedulerJob", "running", here),
        ("SchedulerJob", "running", "another-machine"),
        ("SchedulerJob", "success", here),
        ("TriggererJob", "running", here),
    ]
    with psycopg.connect(libpq_url(settings), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE public.job (id serial, job_type text, state text, hostname text, end_date timestamptz)"
        )
        for row in rows:
            connection.execute("INSERT INTO public.job (job_type, state, hostname) VALUES (%s, %s, %s)", row)

        assert close_dead_jobs(settings) == 1

        states = connection.execute("SELECT state, end_date IS NOT NULL FROM public.job ORDER BY id").fetchall()
    assert states == [("failed", True), ("running", False), ("success", False), ("running", False)]
    assert close_dead_jobs(settings) == 0
