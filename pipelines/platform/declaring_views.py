"""What `openpersonalize apply` shows: the plan, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

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
    shown = [*(one for one in steps if one not in kept), *(one for one in kept if one.detail and not one.schedule)]
    widths = [max((len(text) for text in column), default=0) for column in zip(*map(_words, shown), strict=True)]
    for step in shown:
        action, what, name = (text.ljust(width) for text, width in zip(_words(step), widths, strict=True))
        console.print(f"[{STYLES.get(step.action, 'none')}]{action}[/]", end="  ")
        # Not a table: what does not fit into the width of a pipe would be folded beyond reading.
        detail = step.detail.partition("\n")[0]  # the rest, if any, is shown where the step is refused
        console.print(f"{what}  {name}  {detail}".rstrip(), markup=False, soft_wrap=True)
    if kept:
        console.print(f"{len(kept)} as the file says")
    if not any(step.action in (*DOES, Action.REFUSE) for step in steps):
        console.print("nothing to do")


def _words(step: Step) -> tuple[str, str, str]:
    return str(step.action), step.what, step.name


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
