"""The step for one resource: create it, mend what differs, or say why it cannot be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.declared import comparing
from pipelines.declared.existing import There
from pipelines.declared.steps import Action, Step
from pipelines.declared.wanted import Thing
from pipelines.registry.store import Resource

SHARED = ("DatasetGroup", "Schema")
"""Kinds that belong to no group."""


def steps_for(
    there: There, thing: Thing, what: str, found: Resource | None, fixed: Mapping[str, Any] | None = None
) -> Iterator[Step]:
    """`found` is what is there; `fixed` are the members that follow from the place in the file."""
    if found is None:
        given = {"name": thing.name, **thing.given, **(fixed or {}), **({"tags": thing.tags} if thing.tags else {})}
        yield Step(Action.CREATE, what, thing.name, thing.path, "", f"Create{thing.kind}", given)
        return
    refused = obstacle(there, thing, found)
    if refused:
        yield Step(Action.REFUSE, what, thing.name, thing.path, refused)
        return
    want = {"name": thing.name, **thing.given, **(fixed or {})}
    yield change(thing, what, found, comparing.differing(thing.kind, want, {"name": found.name, **found.doc}))
    yield from tags(there, thing, what, found)


def obstacle(there: There, thing: Thing, found: Resource) -> str:
    """Why what is there under the name cannot be meant, or nothing."""
    if found.is_deleting:
        return "is being deleted: apply again when it is gone"
    if thing.kind not in SHARED and (there.group is None or found.group_id != there.group.id):
        return f"belongs to another dataset group: {found.arn}; take another name"
    return ""


def change(thing: Thing, what: str, found: Resource, changes: Mapping[str, tuple[Any, Any]]) -> Step:
    """Keep what does not differ, update what can be, refuse the rest."""
    kind = comparing.KINDS[thing.kind]
    if not changes:
        return Step(Action.KEEP, what, thing.name, thing.path)
    shown = "; ".join(f"{name} is {_short(have)}, not {_short(want)}" for name, (have, want) in changes.items())
    fixed = [name for name in changes if name not in kind.changeable]
    if fixed:
        path = f"{thing.path}.serviceConfig.{fixed[0]}"
        return Step(Action.REFUSE, what, thing.name, path, f"{shown}. {kind.advice}")
    given: dict[str, Any] = {name: want for name, (_, want) in changes.items()}
    if thing.kind == "Solution":
        given = comparing.solution_update(changes)
    arn = {f"{thing.kind[0].lower()}{thing.kind[1:]}Arn": found.arn}
    return Step(Action.UPDATE, what, thing.name, thing.path, shown, kind.operation, {**arn, **given})


def tags(there: There, thing: Thing, what: str, found: Resource) -> Iterator[Step]:
    """The tags that the file adds or changes; those that it does not name stay."""
    have = there.tags.get(found.arn, {})
    differ = [tag for tag in thing.tags if have.get(tag["tagKey"]) != tag["tagValue"]]
    if not differ:
        return
    path, keys = f"{thing.path}.serviceConfig.tags", ", ".join(tag["tagKey"] for tag in differ)
    given = {"resourceArn": found.arn, "tags": differ}
    yield Step(Action.UPDATE, "tags", f"of {what} {thing.name}", path, keys, "TagResource", given)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
