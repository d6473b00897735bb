"""SUPPORTED.md, from what supported.py reads off the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pipelines.aws.errors import CONTROL, EVENTS, RUNTIME
from pipelines.platform import supported
from pipelines.platform.supported import LIFE, NOT_YET, YES
from pipelines.platform.unavailable import REASONS
from pipelines.quotas import FIELDS, QUOTAS, Quota
from pipelines.recipes.catalogue import recipes

_STATES = f"""\
`{YES}`: as AWS describes it, but for the members and differences below. `{LIFE}`: requests are checked in full and the
resource is described, listed and deleted, but the work behind it is not available yet, so it ends CREATE FAILED with a
reason that says so. `{NOT_YET}`: a typed error says that it is not available yet."""

_SUBJECTS = {RUNTIME: "requests at run time", EVENTS: "streamed data"}


def page() -> str:
    """All of it as Markdown."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What is supported"
    yield ""
    yield "Written by `openpersonalize supported > SUPPORTED.md` from the code; a test compares the two."
    yield ""
    yield "## Operations"
    yield ""
    yield _STATES
    yield ""
    yield from _table(("service", "operations", YES, LIFE, NOT_YET), _counts())
    yield ""
    yield from _table(("about", "operations", "state"), _operations())
    yield ""
    yield "## Work that is not available yet"
    yield ""
    yield from _table(("resource", "the reason that it ends with"), ((kind, text) for kind, text in REASONS.items()))
    yield ""
    yield "## Members that are refused"
    yield ""
    yield "InvalidInputException, `not available yet: <member>`, when they ask for something. Nothing accepted is ignored."
    yield ""
    refused = supported.refused_members()
    yield from _table(
        ("member", "of", "where"), ((f"`{one.member}`", ", ".join(one.operations), _code(one.where)) for one in refused)
    )
    yield ""
    yield "## Recipes"
    yield ""
    yield from _table(("recipe", "type", "domain", "trains", "scores", "explores"), _recipes())
    yield ""
    yield "## Quotas"
    yield ""
    yield "AWS's numbers. `OPENPERSONALIZE_QUOTAS` changes them by name (`dataset_groups=20,schemas=1000`) or is `off`."
    yield ""
    quotas = ((f"`{one.name}`", str(one.default), _counting(one)) for one in (*QUOTAS, *FIELDS))
    yield from _table(("name", "default", "counts"), quotas)
    yield ""
    yield "## Where we differ on purpose"
    for topic in supported.TOPICS:
        rows = [(one.what, one.why, _code(one.where)) for one in supported.differences() if one.topic == topic]
        if rows:
            yield ""
            yield f"### {topic[0].upper()}{topic[1:]}"
            yield ""
            yield from _table(("here", "why", "where"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def _counts() -> Iterator[tuple[str, ...]]:
    for service in supported.SERVICES:
        states = [supported.state(service, name) for name in supported.operations(service)]
        yield service, str(len(states)), *(str(states.count(one)) for one in (YES, LIFE, NOT_YET))


def _operations() -> Iterator[tuple[str, str, str]]:
    about: dict[str, list[tuple[str, str]]] = {}
    for service in supported.SERVICES:
        for name in supported.operations(service):
            subject = supported.resource(name) if service == CONTROL else _SUBJECTS[service]
            about.setdefault(subject, []).append((name, supported.state(service, name)))
    # The control plane's first, by name.
    for subject in sorted(about, key=lambda one: (one in _SUBJECTS.values(), one)):
        for state in (YES, LIFE, NOT_YET):
            of_state = [name for name, its in about[subject] if its == state]
            if of_state:
                yield subject, ", ".join(of_state), state


def _recipes() -> Iterator[tuple[str, ...]]:
    built_in = [recipe for recipe in recipes().values() if recipe.name.startswith("aws-")]
    for recipe in sorted(built_in, key=lambda one: (one.domain or "", one.name)):
        marks = (recipe.trainable, recipe.scores and recipe.trainable, recipe.explores and recipe.trainable)
        shown = tuple("yes" if mark else "" for mark in marks)
        yield recipe.name, recipe.recipe_type or "", recipe.domain or "", *shown


def _counting(quota: Quota) -> str:
    if quota in FIELDS:
        return f"distinct columns that {'all filters of a dataset group read' if quota.per_group else 'a filter reads'}"
    what = "PENDING or IN_PROGRESS" if quota.unfinished else "neither failed nor being deleted"
    only = "".join(f", {name} {value}" for name, value in quota.only.items())
    return f"{quota.kind}, {what}{only}, {'of a dataset group' if quota.per_group else 'of the account'}"


def _code(path: str) -> str:
    return f"[{path}]({path})"
