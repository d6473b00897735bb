"""kill -9 of any process at a random moment of 30 updates and trainings: nothing is lost, nothing is half-deployed.

Victims and moments are drawn once, by a seed, so that a failure can be looked at again. While it lasts a client sends
events and asks for lists: what was acknowledged must be stored, and only who answers may be missed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import psycopg
import pytest

from pipelines.platform.airflow_client import SUCCESS, AirflowClient, AirflowUnavailable
from pipelines.platform.clients import Clients
from pipelines.platform.health import all_healthy, observe
from pipelines.platform.state import running_state
from pipelines.registry import store
from pipelines.settings import Settings
from pipelines.versions.lookup import UPDATING
from pipelines.versions.updating import FAILED
from tests.support import dag_runs, shop
from tests.support.command import Command
from tests.support.life import RECIPE, Life, wait_for
from tests.support.served import Served, follows, registered, served
from tests.support.watch import Watch

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

RUNS = 30
UPDATE, TRAINING = "update", "training"
SUPERVISED = ("control", "execution", "scheduler", "dag-processor", "triggerer", "reconciler", "runtime", "postgres")
WORKER, TASK, DVC, SUPERVISOR = "worker", "task", "dvc", "supervisor"
VICTIMS = (*SUPERVISED, WORKER, TASK, DVC, SUPERVISOR)
"""Of the runtime its parent or any of what is below it, of a run the process of a task, or of DVC and its stage."""
ANSWERING = ("runtime", WORKER, "postgres", SUPERVISOR)
"""Whose death may cost requests until they are back."""
LATEST = 25.0
"""Seconds from the start of a run to the blow, at most: longer than an update takes, as long as a training."""


def plan() -> list[tuple[str, str, float]]:
    """What runs, who dies and when: every victim at least twice."""
    rng = random.Random(20)
    victims = [*VICTIMS * 2, *rng.sample(VICTIMS, RUNS - 2 * len(VICTIMS))]
    rng.shuffle(victims)
    return [
        (TRAINING if n % 3 == 2 else UPDATE, victim, round(rng.uniform(0, LATEST), 1))
        for n, victim in enumerate(victims)
    ]


PLAN = plan()


@dataclass(frozen=True)
class Run:
    """A DAG run; of a training the version that it makes."""

    dag_id: str
    id: str
    version: str | None = None


@dataclass
class World:
    """A campaign that follows its solution, under fire."""

    settings: Settings
    life: Life
    solution: str
    campaign: str
    watch: Watch
    runs: int = 0

    def start(self, mode: str) -> Run:
        """Something new comes, and a run that is to take it up."""
        self.runs += 1
        new = {"itemId": f"item-{self.runs}", "properties": '{"genres": "Drama"}'}
        self.life.clients.events.put_items(datasetArn=self.life.dataset("ITEMS"), items=[new])
        self.life.send(self.watch.tracking_id, f"user-{self.runs}", "i1", eventId=f"before-{self.runs}")
        if mode == TRAINING:
            version = self.life.train_again(self.solution)
            with psycopg.connect(self.settings.database_url) as conn:
                row = conn.execute(
                    "SELECT run_id FROM openpersonalize.outbox WHERE resource_id = %s",
                    [registered(self.settings, version).id],
                ).fetchone()
            assert row is not None
            return Run("solution_version", row[0], version)
        run = Run("incremental_update", f"{self.life.name}-{self.runs}")
        AirflowClient(self.settings).trigger(run.dag_id, run.id, {"solution_arns": [self.solution]})
        return run

    def end(self, run: Run) -> bool:
        """Whether it did what it was for; what did not must say why, and may not be under way any more."""
        if run.version is not None:
            shown = self.life.final("SolutionVersion", run.version, seconds=600)
            assert shown["status"] in (store.ACTIVE, store.CREATE_FAILED)
            if shown["status"] == store.CREATE_FAILED:
                assert shown["failureReason"]
                return False
            # Until its run is over the campaign may come to it; after that no more.
            wait_for("the run or the campaign", lambda: self._is_over(run), seconds=600, every=0.5)
            return follows(self.settings, self.campaign, run.version)
        if dag_runs.end(self.settings, run.dag_id, run.id, seconds=600) == SUCCESS:
            return True
        now = registered(self.settings, registered(self.settings, self.campaign).doc["solutionVersionArn"])
        print(f"{run.id} failed: {now.internal.get(FAILED)}, to go on with: {now.internal.get(UPDATING)}")
        return False

    def _is_over(self, run: Run) -> bool:
        if follows(self.settings, self.campaign, str(run.version)):
            return True
        try:
            return AirflowClient(self.settings).state(run.dag_id, run.id) in ("success", "failed")
        except AirflowUnavailable:
            return False

    def newest_event(self) -> int:
        """Id of the newest that is stored."""
        with psycopg.connect(self.settings.database_url) as conn:
            group = registered(self.settings, self.solution).group_id
            row = conn.execute("SELECT max(id) FROM openpersonalize.events WHERE group_id = %s", [group]).fetchone()
        assert row is not None
        return int(row[0])

    def stored(self) -> set[str]:
        with psycopg.connect(self.settings.database_url) as conn:
            rows = conn.execute("SELECT event_id FROM openpersonalize.events WHERE event_id LIKE 'watch-%'").fetchall()
        return {event_id for (event_id,) in rows}

    def unfinished(self) -> list[str]:
        """Resources of the group whose status is not final."""
        with psycopg.connect(self.settings.database_url) as conn:
            rows = conn.execute(
                "SELECT arn FROM openpersonalize.resources WHERE group_id = %s AND status = ANY(%s)",
                [registered(self.settings, self.solution).group_id, list(store.UNFINISHED)],
            ).fetchall()
        return [arn for (arn,) in rows]


@pytest.fixture(scope="module")
def world(platform: Settings) -> Iterator[World]:
    life = Life(Clients.of(platform), "life-kills")
    group = life.group()
    life.import_all(shop.write(platform.home / "data" / "life-kills"))
    solution = life.clients.personalize.create_solution(
        name="life-kills",
        datasetGroupArn=group,
        recipeArn=RECIPE + "user-personalization",
        performAutoTraining=False,
        solutionConfig={"algorithmHyperParameters": {"hidden_dimension": "32"}},
    )["solutionArn"]
    life.active("SolutionVersion", life.train_again(solution))
    campaign = life.clients.personalize.create_campaign(
        name="life-kills",
        solutionVersionArn=f"{solution}/$LATEST",
        campaignConfig={"syncWithLatestSolutionVersion": True},
    )["campaignArn"]
    life.active("Campaign", campaign)
    with Watch(platform, life.tracker(), campaign) as watch:
        yield World(platform, life, solution, campaign, watch)
    print(f"\n{len(watch.acknowledged)} events acknowledged, {watch.answers} lists, {len(watch.failures)} calls failed")


def healthy(settings: Settings, killed: int | None) -> bool:
    """Whether all processes do their work, none of them the one with that pid."""
    state = running_state(settings)
    if state is None:
        return False
    reports = observe(state)
    return all_healthy(reports) and killed not in {report.pid for report in reports}


def find(settings: Settings, victim: str) -> psutil.Process | None:
    """A living process of that kind; None while there is none, as between two tasks."""
    state = running_state(settings)
    assert state is not None
    if victim == SUPERVISOR:
        return psutil.Process(state.supervisor.pid)
    identity = state.children[
        "runtime" if victim == WORKER else "scheduler" if victim in (TASK, DVC) else victim
    ].identity
    if identity is None:
        return None
    parent = psutil.Process(identity.pid)
    if victim in SUPERVISED:
        return parent
    below = parent.children(recursive=True)
    if victim == WORKER:
        return random.Random(len(below)).choice([parent, *below])
    dvc = [process for process in below if "pipelines.repository.dvc_commands" in process.cmdline()]
    found = dvc if victim == DVC else [above for process in dvc if (above := process.parent()) is not None]
    return found[0] if found else None


def strike(settings: Settings, victim: str) -> tuple[int | None, str]:
    """Kill it; its pid, and what it was. Between two tasks there is none: then the next, or if the run has ended none."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            process = find(settings, victim)
            if process is not None:
                what = " ".join(process.cmdline())[:80]
                process.kill()
                return process.pid, what
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.1)
    return None, "nobody: no such process came"


def check(world: World, arrived: int, struck: float, victim: str, recovered: float) -> Served:
    """Nothing is lost, nothing half-deployed, and whoever was not struck has answered all the while."""
    wait_for("nothing is under way", lambda: not world.unfinished(), seconds=120, every=0.5)
    now = served(world.settings, world.campaign)
    assert now.seen >= arrived, "what is served lacks events that came before the run"
    acknowledged = set(world.watch.acknowledged)
    assert acknowledged <= world.stored()
    failed = world.watch.failed_since(recovered if victim in ANSWERING else struck)
    assert not failed, f"{len(failed)} calls failed: {failed[:3]}"
    return now


@pytest.mark.parametrize(
    ("mode", "victim", "moment"), PLAN, ids=[f"{n}-{mode}-{victim}" for n, (mode, victim, _) in enumerate(PLAN)]
)
def test_a_killed_run_is_made_up_for(
    world: World,
    command: Command,
    mode: str,
    victim: str,
    moment: float,
    record_property: Callable[[str, object], None],
) -> None:
    run = world.start(mode)
    arrived = world.newest_event()
    time.sleep(moment)

    pid, what = strike(world.settings, victim)
    struck = time.monotonic()
    if victim == SUPERVISOR:
        assert command("up").returncode == 0
    wait_for("the platform is healthy again", lambda: healthy(world.settings, pid), seconds=240, every=0.5)
    recovered = time.monotonic()
    done = world.end(run)
    ended = time.monotonic()
    if not done:
        again = world.start(mode)
        assert world.end(again), f"{again} repairs nothing"
    now = check(world, arrived, struck, victim, recovered)

    said = (
        f"{mode:8} {victim:13} at {moment:4} s: healthy after {recovered - struck:3.0f} s, "
        f"{'done' if done else 'failed, repaired'} after {ended - struck:3.0f} s; "
        f"{now.version.arn[-8:]} edition {now.edition} ({what})"
    )
    print(f"\n{said}")
    record_property("said", said)
