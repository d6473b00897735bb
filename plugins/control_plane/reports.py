"""The report of an import for people who are logged in to Airflow: under /personalize/imports inside Airflow.

An app of its own, because its callers are other ones than the control plane's: a browser with Airflow's session, not
boto3 with a signature. Who may see DAG `dataset_import` may see what its runs wrote.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from data_checks.page import POLICY
from pipelines.datasets.handover import opened

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from pipelines.settings import Settings

DAG_ID = "dataset_import"
_JOB_ID = re.compile(r"[0-9a-f]{16}")
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}


class ReportsApp:
    """The app, made at the first request: scheduler and dag-processor load plugins too, and Airflow's login costs each
    of them 20 MB that only the api-server has anyway.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            self._app = create_reports_app(self._settings)
        await self._app(scope, receive, send)


def create_reports_app(settings: Settings) -> FastAPI:
    """GET /<job id>/report and /<job id>/rejects.parquet; 401 without a login, 403 for who may not see the DAG."""
    from airflow.api_fastapi.core_api.security import requires_access_dag

    app = FastAPI(title="OpenPersonalize import reports", docs_url=None, redoc_url=None, openapi_url=None)

    def report(job_id: str) -> FileResponse:
        return _answer(settings, job_id, "report.html", media_type="text/html")

    def rejects(job_id: str) -> FileResponse:
        kind = "application/vnd.apache.parquet"
        return _answer(settings, job_id, "rejects.parquet", media_type=kind, filename=f"rejects-{job_id}.parquet")

    guard = [Depends(requires_access_dag(method="GET", param_dag_id=DAG_ID))]
    app.add_api_route("/{job_id}/report", report, dependencies=guard)
    app.add_api_route("/{job_id}/rejects.parquet", rejects, dependencies=guard)
    return app


def _answer(
    settings: Settings, job_id: str, name: str, *, media_type: str, filename: str | None = None
) -> FileResponse:
    """404 unless `job_id` looks like one and the file is there; nothing else reaches the disk."""
    with ExitStack() as stack:
        path = stack.enter_context(opened(settings, job_id)) / name if _JOB_ID.fullmatch(job_id) else None
        if path is None or not path.is_file():
            raise HTTPException(
                404, f"There is no {name} of import job {job_id!r}; a job has one when task check has ended."
            )
        # The folder may be there for this answer only.
        close = BackgroundTask(stack.pop_all().close)
        return FileResponse(path, headers=HEADERS, media_type=media_type, filename=filename, background=close)
