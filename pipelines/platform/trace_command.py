"""`openpersonalize trace`: from a recommendationId to the campaign, version, commit, data and checks behind the answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from pipelines.platform.finding import NotFound
from pipelines.registry.database import transaction
from pipelines.serving.arms import CONTROL, arm_in
from pipelines.settings import Settings
from pipelines.versions.tracing import Event, Import, Source, Trace, trace

SHOWN_EVENTS = 10
SHOWN_ITEMS = 10


def collect(settings: Settings, recommendation_id: str) -> Trace:
    """Raises NotFound when nothing is known of it."""
    with transaction(settings) as conn:
        found = trace(settings, conn, recommendation_id)
    if found is None:
        raise NotFound(
            f"nothing is known of {recommendation_id}: answers are kept for 24 hours, and no event names this one"
        )
    return found


def lines(settings: Settings, found: Trace) -> list[str]:
    """For a person, from the answer down to the files."""
    shown = [f"recommendation  {found.recommendation_id}", *_answer(found)]
    if found.version is not None:
        shown += _version(found)
    for source in found.sources:
        shown += _source(settings, source)
    if found.event_cutoff:
        shown.append(f"events          streamed ones up to number {found.event_cutoff:,}")
    shown += [f"                {note}" for note in found.notes]
    return [*shown, *_events(found.events)]


def _answer(found: Trace) -> Iterator[str]:
    answer = found.answer
    if answer is None:
        yield f"dataset group   {found.group}"
        yield "answer          not kept any more: after 24 hours which campaign and version gave it is not known;"
        yield "                only the events that name it are"
        return
    items = ", ".join(answer.items[:SHOWN_ITEMS]) + (", …" if len(answer.items) > SHOWN_ITEMS else "")
    explored = "" if answer.exploration_weight is None else f", exploring with weight {answer.exploration_weight:g}"
    yield f"answered        {_moment(answer.at)}, to user {answer.user or 'nobody'}{explored}"
    yield f"                {len(answer.items)} items: {items}"
    yield f"campaign        {answer.campaign}"
    yield f"version         {answer.version}"
    arm = arm_in(found.recommendation_id)
    if arm is not None:
        yield f"experiment      arm {arm}, the {'control' if arm == CONTROL else 'challenger'}"


def _version(found: Trace) -> Iterator[str]:
    version = found.version
    assert version is not None
    yield f"                made {version.created[:16].replace('T', ' ')} UTC by openpersonalize {version.code.get('version', '?')}"
    if found.update is not None:
        yield f"                as its automatic update {found.update} left it"
    if found.commit is not None:
        yield f"commit          {found.commit}"
        yield f"                tag {found.tag} of dataset group {found.group}; `openpersonalize checkout {version.short} DIR`"


def _source(settings: Settings, source: Source) -> Iterator[str]:
    taken = source.snapshot
    yield f"{taken.dataset_type.lower():<15} {taken.rows:,} rows, snapshot {taken.tag}"
    if not source.imports:
        yield f"                made by {taken.job}, of which nothing more is known"
    for job in source.imports:
        yield from _import(settings, job)


def _import(settings: Settings, job: Import) -> Iterator[str]:
    counts = "" if job.kept is None else f": {job.kept:,} rows kept, {job.rejected or 0:,} rejected"
    yield f"  import        {job.name} ({job.mode}, {job.at[:16].replace('T', ' ')} UTC) of {job.location}{counts}"
    yield f"  checks        {'; '.join(job.broken) or 'all rules held'}"
    yield f"  report        {settings.airflow}/personalize/imports/{job.id}/report (with Airflow's login)"
    report = settings.imports_dir / job.id / "report.html"
    # Where tasks share no disk, it is on none.
    yield from [f"                {report}"] * report.is_file()


def _events(events: list[Event]) -> Iterator[str]:
    if not events:
        yield "came of it      no event names it"
        return
    yield f"came of it      {len(events)} event{'s' if len(events) > 1 else ''}"
    for one in events[:SHOWN_EVENTS]:
        at = _moment(datetime.fromtimestamp(one.sent_at, UTC))
        yield f"                {at}  {one.user} {one.event_type} {one.item or ''}".rstrip()


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
