"""`python -m pipelines.platform.scheduler OPTIONS`: Airflow's scheduler, told first that its predecessor is dead.

Tasks of a killed scheduler are started again once its job has been silent for half a minute. The supervisor ends
whatever a dead scheduler left before it starts the next, so nothing has to be waited for: the job is closed here,
and the new scheduler's first look finds the tasks that nobody runs any more.
"""

from __future__ import annotations

import os
import socket
import sys

import psycopg

from pipelines.registry.database import libpq_url
from pipelines.settings import Settings


def close_dead_jobs(settings: Settings) -> int:
    """Close the jobs of schedulers that ran on this machine; how many. Only while none of this platform runs."""
    with psycopg.connect(libpq_url(settings), connect_timeout=10) as connection:
        return connection.execute(
            "UPDATE public.job SET state = 'failed', end_date = now() "
            "WHERE job_type = 'SchedulerJob' AND state = 'running' AND hostname = %s",
            [socket.gethostname()],
        ).rowcount


def main() -> None:
    """Become Airflow's scheduler: same process, so signals reach it."""
    closed = close_dead_jobs(Settings.from_env())
    if closed:
        print(f"{closed} scheduler jobs of killed processes closed: their tasks are started again", flush=True)
    os.execv(sys.executable, [sys.executable, "-m", "airflow", "scheduler", *sys.argv[1:]])


if __name__ == "__main__":
    main()
