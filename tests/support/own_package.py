"""The package of own_recipe.py as pip would install it: its module and the folder with its entry points."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.recipes.catalogue import recipes
from pipelines.recipes.installed import GROUP, installed


def install(site: Path, entry_points: str = "bought-next = own_recipe:BOUGHT_NEXT", version: str = "1.2") -> Path:
    """Into `site`, which is made."""
    info = site / f"own_recipe-{version}.dist-info"
    info.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("own_recipe.py"), site)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: own-recipe\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{entry_points}\n")
    return site


@contextmanager
def importable(site: Path) -> Iterator[None]:
    """This process finds what is installed in `site`, and forgets it afterwards."""
    sys.path.insert(0, str(site))
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(site))
        sys.modules.pop("own_recipe", None)
        _forget()


def _forget() -> None:
    importlib.invalidate_caches()
    installed.cache_clear()
    recipes.cache_clear()
