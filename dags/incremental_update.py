"""Every two hours: new items, interactions and impressions join the versions that are served. See pipelines/versions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import sdk
from airflow.sdk import Param, dag, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowFailException

from pipelines import dag_lineage as lineage
from pipelines import dag_support as support

DOC = """
### Updates between trainings

Every two hours, for solutions whose recipe explores new items (`aws-user-personalization`): new items from imports and
PutItems can be recommended, and items that were often shown and not taken are explored less. Nothing is trained: the
version keeps its ARN, weights and metrics; `sv/<solution>/<version>.<n>` tags each update, and campaigns swap to it by
themselves without a failing request. What is learned of *users* comes with the next full training.

A version is updated if it is the newest FULL one of its solution, a campaign serves it, and items or interactions have
come since last time. A version made with `trainingMode="UPDATE"` ends that until a FULL one is deployed.

| task | what it does | when it fails |
|---|---|---|
| `due` | asks which versions are to be updated; its log says why, and why not the others | the ARN in the form is of no solution, or one that cannot be updated: the error says why |
| `fold[NAME].update` | freezes what is new, runs stage `update` in a worktree, tags, pushes, and waits until every worker of the runtime serves it | what was served goes on. The log says why, and so does `update_failed` in the version's `internal`; after a crash *Clear* goes on with the same inputs. By itself it is tried again in two hours |
| `drift` | holds what came since the training against it, for each solution that was to be updated; when it is critical, the log and `openpersonalize versions` hint at a training | nothing waits for it; it is measured again in two hours |

One failing solution holds up no other. To have no automatic updates at all, pause this DAG; nothing is made up for later.
"""


def _version_id(context: Any) -> str | None:
    solution = getattr(context["task"], "op_kwargs", {}).get("solution")
    return solution["version_id"] if isinstance(solution, dict) else None


def report_failure(context: Any) -> None:
    """Where a person looks: the log, and the version, whose updates go on with the next run."""
    from pipelines.settings import Settings
    from pipelines.versions.updating import fail

    support.log.error("%s failed: %s", context["ti"].task_id, support.reason(context))
    version_id = _version_id(context)
    if version_id is not None:
        fail(Settings.from_env(), version_id, support.reason(context), support.moment(context))


@dag(
    dag_id="incremental_update",
    description="Every two hours: new items, interactions and impressions, without training",
    doc_md=DOC,
    schedule="0 */2 * * *",
    catchup=False,
    max_active_runs=16,
    dagrun_timeout=timedelta(days=1),
    tags=["openpersonalize", "training", "schedule"],
    default_args={**support.DEFAULT_ARGS, "on_failure_callback": report_failure},
    params={
        "solution_arns": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "pattern": "^arn:.+:solution/[^/]+$"},
            title="Update these solutions now",
            description="ARNs, one a line: whether anything is new or not. Left empty: all that have something new.",
        ),
    },
)
def incremental_update() -> None:
    """due -> a group a solution: update; beside them drift."""

    @task(execution_timeout=timedelta(minutes=10), pool=support.SCHEDULES_POOL)
    def due() -> list[Any]:
        from pipelines.schedules.updates_due import updates_due
        from pipelines.settings import Settings
        from pipelines.versions.updatable import NotUpdatable

        with support.no_retry(AirflowFailException, NotUpdatable):
            return list(updates_due(Settings.from_env(), get_current_context()["params"]["solution_arns"]))

    @task(
        pool=support.POOL,
        execution_timeout=timedelta(hours=2),
        map_index_template=support.NAME_OF_SOLUTION,
        inlets=lineage.SNAPSHOTS.inlets(sdk),
        outlets=lineage.VERSIONS.outlets(sdk),
    )
    def update(solution: Any) -> None:
        from pipelines.disk import DiskFull
        from pipelines.settings import Settings
        from pipelines.versions import VersionFailed
        from pipelines.versions.updating import update

        context, settings = get_current_context(), Settings.from_env()
        with support.no_retry(AirflowFailException, VersionFailed, DiskFull):
            update(settings, solution["version_id"], support.moment(context))
        lineage.emit(context, sdk, lineage.VERSIONS, lineage.updated(settings, solution["version_id"]))

    @task_group
    def fold(solution: Any) -> None:
        update(solution=solution)

    # All in one process, as Great Expectations takes five seconds to come up. Beside the updates and not behind them: a
    # run is what its last tasks are, and one whose update failed must not look well.
    @task(execution_timeout=timedelta(hours=1))
    def drift(solutions: list[Any]) -> None:
        from pipelines.datasets.deployed_measuring import measure
        from pipelines.settings import Settings

        for solution in solutions:
            measure(Settings.from_env(), solution["version_id"], support.moment(get_current_context()))

    solutions: Any = due()
    fold.expand(solution=solutions)
    drift(solutions)


incremental_update()
