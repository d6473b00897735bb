"""Two weekly trainings and 24 two-hourly updates in a real Airflow, each with new events and a new item before it.

The runs are for moments of the past two weeks, and solution and first version are made as old as that: what is due is
decided for a run's moment, and Airflow starts no task before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from pipelines.platform.airflow_client import SUCCESS
from pipelines.platform.clients import Clients
from pipelines.settings import Settings
from pipelines.versions.updating import KEPT
from tests.support import dag_runs, shop
from tests.support.command import Command
from tests.support.life import RECIPE, Life, wait_for
from tests.support.served import Served, follows, registered, served

pytestmark = [pytest.mark.e2e, pytest.mark.soak]

WEEK, TWO_HOURS = timedelta(days=7), timedelta(hours=2)
WEEKS = ((1, 14), (15, 24))
"""After each weekly training the updates from this to that one: in the first week more than keep their tags."""
LOOKS = (12, 24)
"""Updates after which sizes are taken."""
KEEP_LAST = 2
MAY_GROW = 1.05
"""Of what the home holds for each item of the catalogue after the second look, against the first.

Artefacts are as large as the catalogue: 12 items come between the looks, a tenth of all.
"""
USERS, EVENTS = 120, 30
IMPORTED = USERS * EVENTS
CLICKS = ("i77", "i80", "i76")
"""Of each user who comes."""
ANSWER = 500
"""Items, the most that can be asked for: here all that there are."""


@dataclass
class Months:
    """One campaign that follows its solution, and what was noted of each run."""

    settings: Settings
    life: Life
    solution: str
    campaign: str
    tracking_id: str
    began: datetime
    events: int = 0
    rows: list[str] = field(default_factory=list)
    sizes: dict[int, dict[str, int]] = field(default_factory=dict)
    items: dict[int, int] = field(default_factory=dict)
    """Of the catalogue at each look."""

    def answer(self, user: str) -> list[str]:
        items = self.life.clients.runtime.get_recommendations(
            campaignArn=self.campaign, userId=user, numResults=ANSWER
        )["itemList"]
        return [item["itemId"] for item in items]

    def live_on(self, n: int) -> None:
        """A user comes, whose list moves with the first events, and an item, which nobody gets to see yet."""
        user = f"new-user-{n}"
        before = self.answer(user)
        for item in CLICKS:
            self.life.send(self.tracking_id, user, item)
        self.events += len(CLICKS)
        after = self.answer(user)
        assert after != before, "events do not move the very next list"
        new = {"itemId": f"new-item-{n}", "properties": '{"genres": "Action|Horror"}'}
        self.life.clients.events.put_items(datasetArn=self.life.dataset("ITEMS"), items=[new])
        assert f"new-item-{n}" not in after

    def run(self, dag_id: str, moment: datetime, **conf: object) -> None:
        run_id = dag_runs.start_for(self.settings, dag_id, moment, conf)
        assert dag_runs.end(self.settings, dag_id, run_id, seconds=900) == SUCCESS, run_id

    def metrics(self, version: str) -> dict[str, float]:
        metrics: dict[str, float] = self.life.clients.personalize.get_solution_metrics(solutionVersionArn=version)[
            "metrics"
        ]
        return metrics

    def versions(self) -> list[str]:
        """Oldest first."""
        found = self.life.clients.personalize.list_solution_versions(solutionArn=self.solution)["solutionVersions"]
        return [one["solutionVersionArn"] for one in sorted(found, key=lambda one: one["creationDateTime"])]

    def note(self, n: int, now: Served) -> None:
        newest = now.updates[-1]
        self.rows.append(
            f"{n:3}  {now.version.arn[-8:]}  {newest['number']:6}  {now.edition:7}  {newest['rows']:5}  "
            f"{newest['items']:5}  {len(now.tags):4}  {self._megabytes()}"
        )

    def table(self) -> str:
        return "\n".join(
            ["run  version   update  edition   rows  items  tags  MB: groups, remote, bentoml", *self.rows]
        )

    def measure(self) -> dict[str, int]:
        """Bytes under each folder, registry rows and the longest of them."""
        folders = (self.settings.groups_dir, Path(self.settings.dvc_remote), self.settings.bento_home)
        with psycopg.connect(self.settings.database_url) as conn:
            row = conn.execute(
                "SELECT (SELECT count(*) FROM openpersonalize.resources), (SELECT count(*) FROM openpersonalize.outbox),"
                " (SELECT max(octet_length(internal::text)) FROM openpersonalize.resources)"
            ).fetchone()
        assert row is not None
        return {
            **{folder.name: size_of(folder) for folder in folders},
            **dict(zip(("resources", "wishes", "longest"), row, strict=True)),
        }

    def _megabytes(self) -> str:
        measured = self.measure()
        return "  ".join(f"{measured[name] / 1e6:6.2f}" for name in ("groups", "remote", "bentoml"))


def size_of(folder: Path) -> int:
    """Bytes of the files below, each once however many names it has; a job may be taking some away."""
    found = {}
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        found[status.st_ino] = status.st_size
    return sum(found.values())


@pytest.fixture(scope="module")
def months(platform: Settings) -> Iterator[Months]:
    life = Life(Clients.of(platform), "months")
    group = life.group()
    life.import_all(shop.write(platform.home / "data" / "months", users=USERS, events=EVENTS))
    personalize = life.clients.personalize
    solution = personalize.create_solution(
        name="months",
        datasetGroupArn=group,
        recipeArn=RECIPE + "user-personalization",
        solutionConfig={"algorithmHyperParameters": {"hidden_dimension": "32"}},
    )["solutionArn"]
    version = life.train_again(solution)
    life.active("SolutionVersion", version)
    began = datetime.now(UTC) - 2 * WEEK - timedelta(days=2)
    with psycopg.connect(platform.database_url) as conn:
        conn.execute(
            "UPDATE openpersonalize.resources SET created_at = %s WHERE arn = ANY(%s)", [began, [solution, version]]
        )
    campaign = personalize.create_campaign(
        name="months",
        solutionVersionArn=f"{solution}/$LATEST",
        campaignConfig={
            "syncWithLatestSolutionVersion": True,
            # The same user's list is the same until something is done.
            "itemExplorationConfig": {"explorationWeight": "0"},
        },
    )["campaignArn"]
    life.active("Campaign", campaign)
    made = Months(platform, life, solution, campaign, life.tracker(), began)
    yield made
    print(f"\n{made.table()}\n{made.sizes}")


def test_versions_metrics_and_deployments_line_up_and_disk_use_stays_bounded(
    months: Months, command: Command, record_property: Callable[[str, object], None]
) -> None:
    for week, (first, last) in enumerate(WEEKS, start=1):
        train(months, months.began + week * WEEK)
        [*_, version] = months.versions()
        metrics, before = months.metrics(version), served(months.settings, months.campaign)
        for n in range(first, last + 1):
            months.live_on(n)
            months.run("incremental_update", months.began + week * WEEK + (n - first + 1) * TWO_HOURS)

            now = served(months.settings, months.campaign)
            newest = now.updates[-1]
            months.note(n, now)
            assert now.version.arn == version
            assert (newest["number"], now.edition) == (n - first + 1, before.edition + 1), "updates have gaps"
            assert newest["rows"] == IMPORTED + months.events, "an event is missing, or is there twice"
            before = now
            assert f"new-item-{n}" in months.answer("u1")
            assert months.metrics(version) == metrics
            assert len(now.updates) == min(n - first + 1, KEPT)
            # Versions, the updates of this one, and the last update of the one before.
            assert len(now.tags) == len(months.versions()) + len(now.updates) + week - 1
            if n in LOOKS:
                collected = command("gc", months.solution, "--keep-last", str(KEEP_LAST))
                assert collected.returncode == 0, collected.stdout + collected.stderr
                served(months.settings, months.campaign)
                months.sizes[n], months.items[n] = months.measure(), newest["items"]

    record_property("table", months.table())
    record_property("sizes", str(months.sizes))
    assert events_of(months) == months.events
    first_look, second_look = (months.sizes[n] for n in LOOKS)
    items_grow = months.items[LOOKS[1]] / months.items[LOOKS[0]]
    for name in ("groups", "remote", "bentoml", "longest"):
        grows = second_look[name] / first_look[name]
        assert grows <= MAY_GROW * items_grow, f"{name} grows: {months.sizes}, items {months.items}"
    # One version more.
    assert second_look["resources"] == first_look["resources"] + 1
    assert second_look["wishes"] <= first_look["wishes"] + 1


def train(months: Months, moment: datetime) -> None:
    """A weekly run makes one version of what has come since, and the campaign follows; another one makes none."""
    if months.events == 0:
        months.life.send(months.tracking_id, "the-first", "i1")
        months.events += 1
    there = months.versions()
    months.run("full_retrain", moment, solution_arns=[months.solution])
    [version] = [arn for arn in months.versions() if arn not in there]
    shown = months.life.clients.describe("SolutionVersion", version)
    assert (shown["status"], shown["trainingType"], shown["trainingMode"]) == ("ACTIVE", "AUTOMATIC", "FULL")
    assert registered(months.settings, version).internal["scheduled_for"] == moment.isoformat()
    wait_for("the campaign follows", lambda: follows(months.settings, months.campaign, version), every=1)
    now = served(months.settings, months.campaign)
    assert (now.version.arn, now.edition, now.updates) == (version, 0, [])
    months.run("full_retrain", moment + TWO_HOURS / 2, solution_arns=[months.solution])
    assert months.versions() == [*there, version]


def events_of(months: Months) -> int:
    """Streamed to the group."""
    group = registered(months.settings, months.solution).group_id
    with psycopg.connect(months.settings.database_url) as conn:
        row = conn.execute("SELECT count(*) FROM openpersonalize.events WHERE group_id = %s", [group]).fetchone()
    assert row is not None
    return int(row[0])
