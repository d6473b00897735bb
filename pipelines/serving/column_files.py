"""What filters read (columns.py) as files of an artefact; its manifest says which columns there are.

    <item|user>_described.npy
    <item|user>_column_<n>_ids.bin, _offsets.npy, _index.npy, _starts.npy, _codes.npy     a text: values, codes of rows
    <item|user>_column_<n>_numbers.npy, _known.npy                                        a number
    touched_offsets.npy, touched_items.npy, touched_codes.npy                             events of each user

An artefact without them (`filters` of its manifest is missing) was made before there were filters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.serving.checking import check_codes, check_offsets, check_rows
from pipelines.serving.columns import Column, Columns, FilterData, Numbers, Texts, Touched
from pipelines.serving.ids import IdTable, read_ids, write_ids

FILTERS = "filters"
"""Member of the manifest: names of the columns of items and users, and event types."""

Array = Callable[[str], NDArray[Any]]
"""The array of a name, mapped."""


def write_filter_data(directory: Path, data: FilterData) -> tuple[list[str], dict[str, Any]]:
    """Write it into the folder; the names of the files, and FILTERS."""
    files = [*write_columns(directory, "item", data.items), *write_columns(directory, "user", data.users)]
    for name in ("offsets", "items", "codes"):
        files.append(_write(directory, f"touched_{name}", getattr(data.touched, name)))
    described = {"items": list(data.items.by_name), "users": list(data.users.by_name)}
    return files, {**described, "event_types": list(data.touched.types)}


def write_columns(directory: Path, kind: str, columns: Columns) -> list[str]:
    """Write them into the folder, as those of items or of users; the names of the files."""
    files = [_write(directory, f"{kind}_described", columns.described)]
    for number, column in enumerate(columns.by_name.values()):
        name = f"{kind}_column_{number}"
        if isinstance(column, Texts):
            files += write_ids(directory, name, column.values.ids(range(len(column.values))))
            arrays: dict[str, NDArray[Any]] = {"starts": column.offsets, "codes": column.codes}
        else:
            arrays = {"numbers": column.numbers, "known": column.known}
        files += [_write(directory, f"{name}_{part}", array) for part, array in arrays.items()]
    return files


def _write(directory: Path, name: str, array: NDArray[Any]) -> str:
    np.save(directory / f"{name}.npy", np.ascontiguousarray(array))
    return f"{name}.npy"


def read_filter_data(directory: Path, described: Mapping[str, Sequence[str]], array: Array) -> FilterData:
    """Map what `write_filter_data` wrote; `described` is FILTERS."""
    touched = Touched(
        tuple(described["event_types"]), *(array(f"touched_{name}") for name in ("offsets", "items", "codes"))
    )
    columns = {kind: read_columns(directory, kind, described[f"{kind}s"], array) for kind in ("item", "user")}
    return FilterData(columns["item"], columns["user"], touched)


def read_columns(directory: Path, kind: str, names: Sequence[str], array: Array) -> Columns:
    """Map what `write_columns` wrote; `names` are the columns'."""

    def column(name: str) -> Column:
        if (directory / f"{name}_numbers.npy").exists():
            return Numbers(array(f"{name}_numbers"), array(f"{name}_known"))
        return Texts(read_ids(directory, name), array(f"{name}_starts"), array(f"{name}_codes"))

    by_name = {name: column(f"{kind}_column_{number}") for number, name in enumerate(names)}
    return Columns(array(f"{kind}_described"), by_name)


def check_filter_data(data: FilterData, items: IdTable, users: IdTable) -> None:
    """Touch all of it; raises ArtefactError unless every item and user has its row."""
    for kind, columns, table in (("item", data.items, items), ("user", data.users, users)):
        check_rows(f"{kind}_described", columns.described, len(table), f"{kind}s")
        for number, column in enumerate(columns.by_name.values()):
            for name, array in _rows(f"{kind}_column_{number}", column):
                check_rows(name, array, len(table), f"{kind}s")
                array.max(initial=array.dtype.type(0))
            if isinstance(column, Texts):
                name = f"{kind}_column_{number}"
                check_offsets(f"{name}_starts", column.offsets, len(table), f"{kind}s", len(column.codes))
                check_codes(f"{name}_codes", column.codes, len(column.values), "values")
    touched = data.touched
    check_offsets("touched_offsets", touched.offsets, len(users), "users", len(touched.items))
    check_rows("touched_codes", touched.codes, len(touched.items), "events")
    check_codes("touched_items", touched.items, len(items), "items")
    check_codes("touched_codes", touched.codes, len(touched.types), "event types")


def _rows(name: str, column: Column) -> Iterator[tuple[str, NDArray[Any]]]:
    if isinstance(column, Numbers):
        yield f"{name}_numbers", column.numbers
        yield f"{name}_known", column.known
