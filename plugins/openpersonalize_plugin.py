"""What OpenPersonalize adds to Airflow: the control plane at /personalize, the reports of imports at /personalize/imports,
what the platform's other parts check at /personalize/about/.

Everything else lies in packages. Loaded from a plugins folder, or by the wheel's entry point
(pipelines/platform/airflow_plugin.py).
"""

from __future__ import annotations

import logging
import sys

from airflow.plugins_manager import AirflowPlugin
from control_plane.about import create_about_app
from control_plane.app import MountWithoutSlash, create_app
from control_plane.reports import ReportsApp

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
    # The first that matches answers: the longer path comes first.
    fastapi_apps = [  # noqa: RUF012
        {"app": ReportsApp(Settings.from_env()), "url_prefix": f"{PREFIX}/imports", "name": "Import reports"},
        {"app": create_about_app(Settings.from_env()), "url_prefix": f"{PREFIX}/about", "name": "About the platform"},
        {"app": create_app(Settings.from_env()), "url_prefix": PREFIX, "name": "Personalize"},
    ]
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": MountWithoutSlash, "args": [], "kwargs": {"path": PREFIX}, "name": "Personalize, no slash"}
    ]
