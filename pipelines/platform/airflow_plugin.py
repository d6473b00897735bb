"""The wheel's entry point `airflow.plugins`: Airflow loads the plugin file of the wheel without being told where it lies.

The plugin itself is a file in a folder, `plugins/openpersonalize_plugin.py`, because that is how a checkout and our own
platform give it to Airflow. Where a plugins folder has brought it already, the entry point gives nothing: Airflow would
call the second one an error. Nothing here imports Airflow, and nothing is loaded before Airflow asks.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from pipelines.platform.source import plugins_folder

FILE = "openpersonalize_plugin"
CLASS = "OpenPersonalizePlugin"


def __getattr__(name: str) -> Any:
    if name != CLASS:
        raise AttributeError(name)
    # Airflow gives a module of its plugins folder the file's own name; ours is another.
    return None if FILE in sys.modules else getattr(_load(), CLASS)


def _load() -> Any:
    name = f"{FILE}_of_the_wheel"
    if name not in sys.modules:
        folder = str(plugins_folder())
        if folder not in sys.path:
            sys.path.append(folder)
        spec = importlib.util.spec_from_file_location(name, f"{folder}/{FILE}.py")
        assert spec is not None and spec.loader is not None, "a .py file has a loader"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]
