"""Where tables of Items datasets lie on this machine, and how they get there (item_table.py)."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from pipelines.serving.item_table import ItemTable, Moment
from pipelines.serving.local import FetchError, locked, run_module
from pipelines.settings import Settings


def tables_directory(settings: Settings, dataset_id: str) -> Path:
    """One folder a table, complete as soon as it exists. Like the Bento store a view that can be made again."""
    return settings.bento_home / "items" / dataset_id


def fetch_items(settings: Settings, dataset_id: str, wanted: Moment, stop: Event | None = None) -> ItemTable:
    """The newest table of that import and schema with records up to `wanted.records` at least; raises FetchError.

    Made first if it is not there, once for all workers. Blocks, so call it from a thread; `stop` ends it early.
    """
    found = _newest(settings, dataset_id, wanted)
    if found is None:
        with locked(settings, f"items-{dataset_id}"):
            found = _newest(settings, dataset_id, wanted)
            if found is None:
                failed = f"The items of dataset {dataset_id} could not be read"
                run_module(settings, ["pipelines.versions.item_tables", dataset_id], failed, stop)
                found = _newest(settings, dataset_id, wanted)
    if found is None:
        raise FetchError(f"The items of dataset {dataset_id} have changed while they were read")
    return found


def _newest(settings: Settings, dataset_id: str, wanted: Moment) -> ItemTable | None:
    directory = tables_directory(settings, dataset_id)
    names = [path.name for path in directory.iterdir() if path.name[0] != "."] if directory.is_dir() else []
    known = [moment for moment in map(Moment.of, names) if (moment.imported, moment.schema) == wanted[:2]]
    newest = max(known, key=lambda moment: moment.records, default=None)
    if newest is None or newest.records < wanted.records:
        return None
    try:
        return ItemTable.open(directory / newest.name)
    except FileNotFoundError:
        return None  # a newer one has just taken its place
