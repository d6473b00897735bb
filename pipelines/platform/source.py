"""Where the DAGs, the plugin and the runtime's module lie: in a checkout, or where the wheel put them."""

from __future__ import annotations

import sys
from pathlib import Path

import pipelines


def source_root() -> Path:
    """The folder that holds `pipelines`, `bento` and, in a checkout, `dags` and `plugins`."""
    return Path(pipelines.__file__).parents[1]


def dags_folder() -> Path:
    return _folder("dags")


def plugins_folder() -> Path:
    return _folder("plugins")


def _folder(name: str) -> Path:
    checkout = source_root() / name
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "openpersonalize" / name
