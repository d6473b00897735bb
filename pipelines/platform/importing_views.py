"""What `openpersonalize import` shows before it does anything: schema, sample, changes, verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.datasets.guessing import Guess
from pipelines.datasets.profile import Profile
from pipelines.datasets.source import SourceFile

if TYPE_CHECKING:
    from data_checks.judge import Verdict

CELL = 32


def show_guess(console: Console, found: Guess, files: Sequence[SourceFile]) -> None:
    """Fields with the columns they come from and the first values; what a copy has otherwise; what is left out."""
    size = sum(file.size for file in files)
    count = f"{len(files)} files" if len(files) > 1 else "one file"
    console.print(f"{found.dataset_type}, {count}, {size / 1e6:,.1f} MB")
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for heading in ("field", "type", "column", "first values"):
        table.add_column(heading, overflow="ellipsis", no_wrap=True)
    for field in found.avro["fields"]:
        column = found.columns.get(field["name"])
        values = [row[column] or "" for row in found.sample[:3]] if column is not None else []
        table.add_row(
            field["name"], _kind(field), escape(column or "missing"), escape(", ".join(v[:CELL] for v in values))
        )
    console.print(table)
    if found.changes:
        console.print("Imports take names and epoch seconds as the schema has them, so a copy is imported in which")
        for change in found.changes:
            console.print(f"  {escape(str(change))}", soft_wrap=True)
    for note in found.notes:
        console.print(f"[dim]{escape(note)}[/dim]", soft_wrap=True)


def _kind(field: dict[str, object]) -> str:
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    marks = [mark for mark in ("categorical", "textual", "itemName") if field.get(mark)]
    words = [next(kind for kind in types if kind != "null"), *marks, *(["or null"] if "null" in types else [])]
    return " ".join(map(str, words))


def show_verdict(console: Console, profile: Profile, verdict: Verdict) -> None:
    """Rows kept and rejected, every broken rule with what it means, the first rejects."""
    row = profile.row
    console.print(f"[bold]{row['records']:,} rows read, {row['rejected']:,} rejected[/bold]")
    for group in profile.rejects[:3]:
        console.print(f"  {group.rows:,} x {escape(str(group.first))}", soft_wrap=True)
    for outcome in (*verdict.failures, *verdict.warnings):
        style = "red" if outcome in verdict.failures else "yellow"
        console.print(f"[{style}]{outcome.rule.severity:<9}[/] {escape(str(outcome))}", soft_wrap=True)
        console.print(f"          {escape(outcome.rule.meaning)}", soft_wrap=True)
        for example in profile.examples.get(outcome.rule.number, [])[:2]:
            console.print(f"          [dim]{escape(example)}[/dim]", soft_wrap=True)
    passed = sum(outcome.passed for outcome in verdict.outcomes)
    said = "[green]good[/]" if verdict.passed else "[red]not good enough[/]"
    console.print(f"{said}: {passed} of {len(verdict.outcomes)} rules hold")
