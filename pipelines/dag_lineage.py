"""What the DAGs tell Airflow's Assets pages: dataset snapshot -> solution version -> campaign. Plain names, no Airflow.

Two grains, because Airflow draws a graph from the inlets and outlets that a DAG file declares, and a file knows no
resource. Three assets of kinds, fixed, carry the graph. One asset a dataset, solution and campaign, named through an
alias while the task runs, carries the history of that resource, and a DAG of one's own can be scheduled on it.

A snapshot or version is an event of its dataset's or solution's asset, not an asset: Airflow forgets no asset, and a
solution that is trained daily would add 365 a year to the page. What came of what stands in the events' extra.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.settings import Settings

if TYPE_CHECKING:
    from pipelines.registry.store import Resource

GROUP = "openpersonalize"
"""Of the assets and aliases that a file declares; Airflow gives those that a task names a group of its own."""


@dataclass(frozen=True)
class Kind:
    """An asset of a kind, and the alias under which a task names the one of a resource; `sdk` is airflow.sdk."""

    name: str
    uri: str
    alias: str

    def inlets(self, sdk: Any) -> list[Any]:
        """Of a task that makes something from it."""
        return [sdk.Asset(self.name, self.uri, group=GROUP)]

    def outlets(self, sdk: Any) -> list[Any]:
        """Of a task that makes one, and calls `emit`."""
        return [*self.inlets(sdk), sdk.AssetAlias(self.alias, group=GROUP)]


SNAPSHOTS = Kind("dataset snapshots", "x-openpersonalize:dataset-snapshots", "one dataset")
VERSIONS = Kind("solution versions", "x-openpersonalize:solution-versions", "one solution")
CAMPAIGNS = Kind("campaigns", "x-openpersonalize:campaigns", "one campaign")


@dataclass(frozen=True)
class Made:
    """One event: the asset's name (`solution/taste`), its URI (the ARN), and what is to be known of it, as JSON."""

    name: str
    uri: str
    extra: dict[str, Any]


def imported(settings: Settings, job_id: str) -> list[Made]:
    """The snapshot that an import job made its dataset's; nothing of a job that failed."""
    job, dataset = _with_parent(settings, job_id)
    if job is None or dataset is None or job.status != "ACTIVE":
        return []
    facts = dataset.internal["snapshot"]
    return [_made(dataset, job=job.arn, tag=facts["tag"], rows=facts["rows"])]


def trained(settings: Settings, version_id: str) -> list[Made]:
    """The version, as an event of its solution, with the snapshots that it was trained from."""
    from pipelines.versions.rollout import JUDGE

    version, solution = _with_parent(settings, version_id)
    if version is None or solution is None:
        return []
    snapshots = {kind: used["tag"] for kind, used in version.internal.get("snapshots", {}).items()}
    ndcg = version.internal.get("metrics", {}).get(JUDGE)
    return [
        _made(solution, version=version.arn, tag=version.internal.get("tag"), trained_from=snapshots, ndcg_at_25=ndcg)
    ]


def updated(settings: Settings, version_id: str) -> list[Made]:
    """The version's newest automatic update, as an event of its solution, with the snapshots that were folded in."""
    made = trained(settings, version_id)
    version, _ = _with_parent(settings, version_id)
    updates = version.internal.get("updates", []) if version is not None else []
    for one in made if updates else ():
        snapshots = {kind: used["tag"] for kind, used in updates[-1]["snapshots"].items()}
        one.extra.update(tag=updates[-1]["tag"], update=updates[-1]["number"], trained_from=snapshots)
    return made if updates else []


def deployed(settings: Settings, version_id: str) -> list[Made]:
    """The campaigns that have been told to serve this version."""
    from pipelines.registry import store
    from pipelines.registry.database import transaction

    _, solution = _with_parent(settings, version_id)
    with transaction(settings) as conn:
        campaigns = store.children(conn, solution.id, "Campaign") if solution is not None else []
    return [_told(one) for one in campaigns if one.internal["deployment"]["solution_version_id"] == version_id]


def moved(settings: Settings, campaign_id: str) -> list[Made]:
    """The campaign, with the version that it has been told to serve."""
    campaign, _ = _with_parent(settings, campaign_id)
    return [_told(campaign)] if campaign is not None else []


def emit(context: Any, sdk: Any, kind: Kind, made: Iterable[Made]) -> None:
    """Hand the events to Airflow, in a task with the outlets of `kind`."""
    made = list(made)
    of_kind, of_one = kind.outlets(sdk)
    context["outlet_events"][of_kind].extra = {one.name: one.extra for one in made}
    for one in made:
        context["outlet_events"][of_one].add(sdk.Asset(one.name, one.uri), extra=one.extra)


def _with_parent(settings: Settings, id: str) -> tuple[Resource | None, Resource | None]:
    from pipelines.registry import store
    from pipelines.registry.database import transaction

    with transaction(settings) as conn:
        found = store.get(conn, id=id)
        return found, store.get(conn, id=found.parent_id or "") if found is not None else None


def _told(campaign: Resource) -> Made:
    return _made(campaign, version=campaign.internal["deployment"]["solution_version_arn"])


def _made(resource: Resource, **extra: Any) -> Made:
    return Made(resource.arn.rpartition(":")[2], resource.arn, extra)
