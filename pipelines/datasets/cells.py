"""A file's cells as SQL reads them: what CSV and Parquet have in common for everything behind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cells:
    """How to select the cells of one file, all as text; an empty one is null."""

    number: int
    """Place of the file among those of the import."""
    name: str
    """The file, as the user knows it."""
    source: str
    """What to write behind FROM: raw_<position in the schema> for each field."""
    place: str
    """Place of a row (from 0) in the file, not counting what the reader could not split into cells."""
    breaks: str
    """Line breaks inside the row's values: each is a line of the file without a row of its own."""
    control: str
    """Control characters that a value can hold: line breaks and NUL, where the format lets them through."""
    first: int
    """What the file's first row is called: a CSV file's is line 2, a Parquet file's row 1."""
    unit: str
    """line or row."""
