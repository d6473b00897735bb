"""What `openpersonalize apply` shows: the plan, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.declared.applying import Tell
from pipelines.declared.steps import DOES, Action, Step

STYLES = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.REMOVE: "red",
    Action.LATER: "dim",
    Action.UNAVAILABLE: "magenta",
    Action.REFUSE: "bold red",
}


def show_plan(console: Console, group: str, steps: Sequence[Step]) -> None:
    """A line for each part that is not as the file says, in the order in which it is done; the others are counted."""
    console.print(f"[bold]Dataset group {group}[/]")
    kept = [step for step in steps if step.action is Action.KEEP]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for overflow in ("fold", "fold", "fold", "fold"):
        table.add_column(overflow=overflow)
    for step in (*(one for one in steps if one not in kept), *(one for one in kept if one.detail and not one.schedule)):
        style = STYLES.get(step.action, "")
        action = f"[{style}]{step.action}[/]" if style else str(step.action)
        table.add_row(action, step.what, escape(step.name), escape(step.detail))
    if table.row_count:
        console.print(table)
    if kept:
        console.print(f"{len(kept)} as the file says")
    if not any(step.action in (*DOES, Action.REFUSE) for step in steps):
        console.print("nothing to do")


@contextmanager
def waiting(console: Console) -> Iterator[Tell]:
    """On a terminal one line that changes, otherwise a line for each change."""
    said: list[str] = []

    def tell(line: str) -> None:
        if said[-1:] == [line]:
            return
        said.append(line)
        status.update(escape(line))
        if not console.is_terminal:
            console.print(line, markup=False, soft_wrap=True)

    with console.status("applying") as status:
        yield tell
