"""What `openpersonalize up --no-airflow` asks before it trusts an Airflow: GET /personalize/about/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from pipelines.platform import own_airflow

if TYPE_CHECKING:
    from pipelines.settings import Settings


def create_about_app(settings: Settings) -> FastAPI:
    """Version, revision, region, account and a digest that tells databases apart; nothing that helps to reach one."""
    app = FastAPI(title="OpenPersonalize, about", docs_url=None, redoc_url=None, openapi_url=None)

    # Not async: it asks the database, and Airflow's own API shares this event loop.
    def about() -> dict[str, Any]:
        return own_airflow.about(settings)

    app.add_api_route("/", about)
    return app
