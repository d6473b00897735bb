"""What OpenPersonalize adds to Airflow: the control plane at /personalize. Everything else lies in packages."""

from __future__ import annotations

import logging
import sys

from airflow.plugins_manager import AirflowPlugin
from control_plane.app import MountWithoutSlash, create_app

from pipelines.settings import Settings

PREFIX = "/personalize"


def log_to_stdout() -> None:
    """Access and error lines reach the api-server's log whatever level Airflow logs at."""
    logger = logging.getLogger("openpersonalize")
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


log_to_stdout()


class OpenPersonalizePlugin(AirflowPlugin):
    name = "openpersonalize"
    fastapi_apps = [{"app": create_app(Settings.from_env()), "url_prefix": PREFIX, "name": "Personalize"}]  # noqa: RUF012
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": MountWithoutSlash, "args": [], "kwargs": {"path": PREFIX}, "name": "Personalize, no slash"}
    ]
