"""Solution versions that hold the users: dropped when no campaign needs them, else written anew and served anew.

A version's tag is either gone afterwards or names a commit with nothing but an artefact without the users, and reports.
What is to become of a version is written down before anything is done to it, so that whoever comes after a crash, this
job or another, finishes it.
"""

from __future__ import annotations

import logging

from pipelines.deletions import job as jobs
from pipelines.deletions.contents import Contents
from pipelines.deletions.errors import DeletionIncomplete
from pipelines.deletions.items import only_through_them
from pipelines.deletions.job import Job
from pipelines.registry import store
from pipelines.registry.database import transaction
from pipelines.registry.store import Resource
from pipelines.serving.scrubbing import edition, scrub
from pipelines.versions import bentos
from pipelines.versions.editions import NotLoaded, publish_edition
from pipelines.versions.errors import VersionGone
from pipelines.versions.lookup import DROPPED, UPDATES, Subject, campaigns_of, subject
from pipelines.versions.publishing import ARTEFACT, build

log = logging.getLogger(__name__)

BEGUN = "deletion_begun"
"""Member of a version's `internal`: what is being done to it, DROP or SCRUB; None when that is done."""
# Unlike AWS, deletion: a data deletion job also drops versions that nobody serves, and writes the others anew without
# the users. AWS removes references in models and says no more; here the job searches everything again and reports it.
DROP, SCRUB = "drop", "scrub"
REPORTS = "data/reports"


def clean(job: Job, contents: Contents) -> None:
    """Drop or write anew every version of the group that holds one of the users; raises DeletionIncomplete."""
    with transaction(job.settings) as conn:
        versions = store.in_group(conn, job.group.id, "SolutionVersion")
    touched = [version for version in versions if version.internal.get(BEGUN) or holds(job, version, contents)]
    for version in touched:
        _clean(job, version.id)
    for solution_id in sorted({str(version.parent_id) for version in versions}):
        # The branch's newest commit names a version's inputs and model too; so does that of updates.
        gone = {f"sv/{version.parent_id}/{version.id}" for version in touched}
        kept = [tag for tag in job.repository.tags(f"sv/{solution_id}") if tag not in gone]
        for branch in ("solution", "update"):
            job.repository.release(f"{branch}/{solution_id}", kept)


def holds(job: Job, version: Resource, contents: Contents) -> bool:
    """Whether inputs or artefact of a version, or of one of its updates, have one of the users.

    What an update takes from the version that it starts from, prepared data too, is about users whom its artefact knows.
    """
    return any(_holds(job, tag, contents) for tag in _tags(job, version))


def _holds(job: Job, tag: str, contents: Contents) -> bool:
    inputs = [path for path in job.repository.added(tag) if path.startswith("data/inputs/")]
    # Snapshots, which versions share, before what each has of its own.
    return any(contents.hold(tag, path) for path in [*sorted(inputs, key=_is_streamed), ARTEFACT])


def _is_streamed(path: str) -> bool:
    return path.endswith("/streamed")


def _tags(job: Job, version: Resource) -> list[str]:
    """The version's own and those of its updates, also of one that was never published."""
    own = f"sv/{version.parent_id}/{version.id}"
    return [tag for tag in job.repository.tags(f"sv/{version.parent_id}") if tag == own or tag.startswith(f"{own}.")]


def _clean(job: Job, version_id: str) -> None:
    try:
        found, how = _begin(job, version_id)
    except VersionGone:
        return  # deleted meanwhile, with all that it had
    log.info("%s: %s", found.version.arn, "not deployed, dropped" if how == DROP else "deployed, written anew")
    if how == DROP:
        bentos.remove(job.settings, found.solution.id, version_id)
        job.repository.drop(_tags(job, found.version))
        counted = {"versions that were not deployed": 1}
    else:
        counted = _write_anew(job, found)
    bentos.remove_leftovers(job.settings, found.solution.id, version_id)
    with transaction(job.settings) as conn:
        store.update(conn, version_id, internal={BEGUN: None}, touch=False)
        jobs.add(conn, job, counted)


def _begin(job: Job, version_id: str) -> tuple[Subject, str]:
    """Decide, against campaigns that are being made just now, and write down what is to be done."""
    with transaction(job.settings) as conn:
        # The API's order: group, then what is in it. Whoever makes a campaign holds the group.
        store.get(conn, id=job.group.id, lock=True)
        found = subject(conn, version_id, lock=True)
        how = SCRUB if campaigns_of(conn, found.version) else DROP
        changes = {**jobs.mark(conn, job), BEGUN: how, DROPPED: how == DROP}
        store.update(conn, version_id, internal=changes, touch=False)
    return found, how


def _write_anew(job: Job, found: Subject) -> dict[str, int]:
    """What is served without the users: into the repository, into the Bento store, into every worker.

    It becomes the version's own: updates of it end here, as what they started from is gone.
    """
    before, after, users = job.scratch("artefact-before"), job.scratch("artefact-after"), job.users()
    there = _tags(job, found.version)
    # Those that a killed attempt has dropped are not.
    served = [update["tag"] for update in found.version.internal.get(UPDATES, ()) if update["tag"] in there]
    job.repository.materialise([found.tag, *served][-1], ARTEFACT, before)
    # One more than any that a killed attempt may have left in the repository.
    new = 1 + max(edition(before), found.version.internal.get("edition", 0))
    done = scrub(before, after, users=users, items=only_through_them(job, before, users), edition=new)
    message = f"{job.resource.name}: {found.version.arn} without some users"
    job.repository.replace_version(found.tag, after, [REPORTS], job.id, message)
    job.repository.drop([tag for tag in there if tag != found.tag])
    build(job.settings, found, found.tag)
    try:
        publish_edition(job.settings, found.version.id, new, {UPDATES: []})
    except NotLoaded as error:
        raise DeletionIncomplete(
            f"{error}. It goes on with what it had. Restart the runtime, then create a new data deletion job with the "
            "same users"
        ) from error
    return {
        "versions that were deployed": 1,
        "users of deployed versions": done.users,
        "events in histories of deployed versions": done.events,
        "items that only they knew": done.items,
    }
