"""`openpersonalize demo`: the main job on real data, from raw interactions to scored recommendations.

Once the platform is up, all of it goes through boto3 against the endpoints, as any client of Amazon Personalize
would do it. It may be run again at any time: what exists is named and used, what failed is made anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines.datasets.movielens import MovieLens, fetch
from pipelines.platform import demo_views as views
from pipelines.platform import metrics_views
from pipelines.platform.clients import Clients
from pipelines.platform.demo_numbers import Numbers
from pipelines.settings import Settings

NAME = "movielens-100k"
PERSONALIZATION = "arn:aws:personalize:::recipe/aws-user-personalization"
RANKING = "arn:aws:personalize:::recipe/aws-personalized-ranking"
ROLE = "arn:aws:iam::{account}:role/openpersonalize-demo"
USER = "36"
"""A user with a short history, whom three events can move."""
CANDIDATES = ["50", "100", "127", "185", "200", "258", "286", "294", "313", "328"]
"""Films from all corners, for the re-ranking: Star Wars, Fargo, The Godfather, Psycho, The Shining, Contact, …"""
WATCHED = ["200", "185", "219"]
"""The Shining, Psycho, A Nightmare on Elm Street."""
POLL_SECONDS = 0.5
DEADLINE_SECONDS = 1800


class DemoFailed(Exception):
    """A resource went to CREATE FAILED or did not become ACTIVE; the message says which and why."""


@dataclass
class Demo:
    """One run: what it made and what it measured, written to home/demo.json at the end."""

    settings: Settings
    console: Console
    clients: Clients
    numbers: Numbers
    arns: dict[str, str] = field(default_factory=dict)

    # Resources ---------------------------------------------------------------------------------------

    def ensure(self, label: str, arn: str, describe: Callable[[], dict[str, Any]], create: Callable[[], Any]) -> str:
        """Create what is not there yet; says so when it is. Returns the ARN."""
        try:
            describe()
        except self.clients.personalize.exceptions.ResourceNotFoundException:
            create()
            self.say(f"{label} [dim]{arn}[/dim]")
        else:
            self.say(f"{label} exists, going on with it [dim]{arn}[/dim]")
        self.arns[label] = arn
        return arn

    def wait(self, label: str, kind: str, arn: str) -> dict[str, Any]:
        """Poll until the status is final; the resource once it is ACTIVE, else DemoFailed with its reason."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self.console.status(f"{label} …") as status:
            while time.monotonic() < deadline:
                resource = self.clients.describe(kind, arn)
                latest = resource.get("latestCampaignUpdate", resource)
                state = str(latest["status"])
                status.update(f"{label}: {state}")
                if state == "ACTIVE":
                    return resource
                if state.endswith("FAILED"):
                    raise DemoFailed(f"{label}: {state}. {latest.get('failureReason', '')}")
                time.sleep(POLL_SECONDS)
        raise DemoFailed(f"{label} was not ACTIVE after {DEADLINE_SECONDS} seconds; see `openpersonalize status`")

    def say(self, line: str) -> None:
        """One line of a step, never wrapped: ARNs are there to be copied."""
        self.console.print(f"  {line}", soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A heading, and seconds and CPU seconds of the whole platform once it is through."""
        self.console.print(f"[bold]{title}[/bold]")
        with self.numbers.measure(title) as measured:
            yield
        self.say(f"[dim]{measured.seconds:.1f} s, {measured.cpu_seconds:.1f} CPU s[/dim]")


def run(settings: Settings, console: Console, data: Path | None = None) -> Path:
    """The whole demo on a platform that is up; returns the path of demo.json."""
    demo = Demo(settings, console, Clients.of(settings), Numbers(settings))
    with demo.step("Fetch MovieLens-100K"):
        movielens = fetch(settings.home / "data" / NAME, given=data)
        console.print(f"  {movielens.source} [dim]{movielens.directory}[/dim]")
    with demo.step("Schemas, dataset group and datasets"):
        datasets = make_datasets(demo, movielens)
    with demo.step("Import interactions, items and users"):
        import_all(demo, movielens, datasets)
    with demo.step("Train a recommender and a re-ranker, side by side"):
        versions = train(demo)
    with demo.step("Deploy them"):
        campaigns = deploy(demo, versions)
    with demo.step("Ask, watch three films, ask again"):
        lists = recommend(demo, movielens, campaigns)
    path = demo.numbers.write(settings.home / "demo.json", arns=demo.arns, lists=lists)
    views.closing(console, settings, path)
    return path


def make_datasets(demo: Demo, movielens: MovieLens) -> dict[str, str]:
    """Three schemas, one custom dataset group, three empty datasets; ARNs of the datasets by type."""
    personalize, arn = demo.clients.personalize, demo.clients.arn
    group = demo.ensure(
        "dataset group",
        arn("dataset-group", NAME),
        partial(personalize.describe_dataset_group, datasetGroupArn=arn("dataset-group", NAME)),
        partial(personalize.create_dataset_group, name=NAME),
    )
    datasets = {}
    for kind, schema in movielens.schemas.items():
        name = f"{NAME}-{kind.lower()}"
        schema_arn, dataset_arn = arn("schema", name), arn("dataset", f"{NAME}/{kind}")
        demo.ensure(
            f"schema {kind}",
            schema_arn,
            partial(personalize.describe_schema, schemaArn=schema_arn),
            partial(personalize.create_schema, name=name, schema=json.dumps(schema)),
        )
        datasets[kind] = demo.ensure(
            f"dataset {kind}",
            dataset_arn,
            partial(personalize.describe_dataset, datasetArn=dataset_arn),
            partial(
                personalize.create_dataset, name=name, datasetType=kind, datasetGroupArn=group, schemaArn=schema_arn
            ),
        )
    return datasets


def import_all(demo: Demo, movielens: MovieLens, datasets: dict[str, str]) -> None:
    """One bulk import a dataset, at the same time; skips a dataset that has been imported."""
    personalize = demo.clients.personalize
    jobs = {}
    for kind, dataset in datasets.items():
        known = personalize.list_dataset_import_jobs(datasetArn=dataset)["datasetImportJobs"]
        usable = [job for job in known if not job["status"].endswith("FAILED")]
        if usable:
            jobs[kind] = usable[0]["datasetImportJobArn"]
            demo.say(f"import of {kind} exists, going on with it [dim]{jobs[kind]}[/dim]")
        else:
            jobs[kind] = personalize.create_dataset_import_job(
                jobName=f"{NAME}-{kind.lower()}-{len(known) + 1}",
                datasetArn=dataset,
                dataSource={"dataLocation": movielens.csv[kind].as_uri()},
                roleArn=ROLE.format(account=demo.settings.account_id),
            )["datasetImportJobArn"]
        demo.arns[f"import {kind}"] = jobs[kind]
    for kind, job in jobs.items():
        demo.wait(f"import of {kind}", "DatasetImportJob", job)
        demo.say(f"{kind} imported")


def train(demo: Demo) -> dict[str, str]:
    """A solution and an ACTIVE version for each of the two recipes; version ARNs by solution name."""
    personalize, arn = demo.clients.personalize, demo.clients.arn
    versions: dict[str, str] = {}
    for suffix, recipe in (("recommender", PERSONALIZATION), ("ranker", RANKING)):
        name = f"{NAME}-{suffix}"
        solution = demo.ensure(
            f"solution {suffix}",
            arn("solution", name),
            partial(personalize.describe_solution, solutionArn=arn("solution", name)),
            partial(
                personalize.create_solution,
                name=name,
                datasetGroupArn=arn("dataset-group", NAME),
                recipeArn=recipe,
                performAutoTraining=False,
            ),
        )
        known = personalize.list_solution_versions(solutionArn=solution)["solutionVersions"]
        usable = [v for v in known if not v["status"].endswith(("FAILED", "STOPPED"))]
        if usable:
            versions[name] = usable[0]["solutionVersionArn"]
            demo.say(f"version exists, going on with it [dim]{versions[name]}[/dim]")
        else:
            versions[name] = personalize.create_solution_version(solutionArn=solution)["solutionVersionArn"]
        demo.arns[f"version {suffix}"] = versions[name]
    for name, version in versions.items():
        demo.wait(f"training of {name}", "SolutionVersion", version)
        metrics = personalize.get_solution_metrics(solutionVersionArn=version)["metrics"]
        demo.numbers.add_version(name, version, metrics)
        views.metrics(demo.console, name, metrics, demo.numbers.baselines(version))
        metrics_views.warnings(demo.console, demo.numbers.warnings(version))
    return versions


def deploy(demo: Demo, versions: dict[str, str]) -> dict[str, str]:
    """A campaign for each version; campaign ARNs by solution name."""
    personalize = demo.clients.personalize
    campaigns = {}
    for name, version in versions.items():
        campaign = demo.clients.arn("campaign", name)
        campaigns[name] = demo.ensure(
            f"campaign {name.removeprefix(NAME + '-')}",
            campaign,
            partial(personalize.describe_campaign, campaignArn=campaign),
            partial(personalize.create_campaign, name=name, solutionVersionArn=version),
        )
        if demo.wait(f"campaign {name}", "Campaign", campaign)["solutionVersionArn"] != version:
            personalize.update_campaign(campaignArn=campaign, solutionVersionArn=version)
            demo.wait(f"campaign {name}", "Campaign", campaign)
    return campaigns


def recommend(demo: Demo, movielens: MovieLens, campaigns: dict[str, str]) -> dict[str, Any]:
    """One user's list, a re-ranking of it, three events, and both again; what demo.json and the screen show."""
    recommender, ranker = (campaigns[f"{NAME}-{suffix}"] for suffix in ("recommender", "ranker"))
    runtime = demo.clients.runtime

    def ask() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = runtime.get_recommendations(campaignArn=recommender, userId=USER, numResults=10)[
            "itemList"
        ]
        return items

    def rank(items: list[str]) -> list[dict[str, Any]]:
        ranking: list[dict[str, Any]] = runtime.get_personalized_ranking(
            campaignArn=ranker, userId=USER, inputList=items
        )["personalizedRanking"]
        return ranking

    before = ask()
    ranking_before = rank(CANDIDATES)
    tracker = tracking_id(demo)
    for item in WATCHED:
        demo.clients.events.put_events(
            trackingId=tracker,
            userId=USER,
            sessionId=f"demo-{USER}",
            eventList=[{"eventType": "watch", "itemId": item, "sentAt": int(time.time())}],
        )
    after, ranking_after = ask(), rank(CANDIDATES)
    views.side_by_side(demo.console, f"user {USER}: recommendations", movielens, WATCHED, before, after)
    views.side_by_side(
        demo.console, f"user {USER}: ranking of a given list", movielens, WATCHED, ranking_before, ranking_after
    )
    return {
        "user": USER,
        "watched": WATCHED,
        "recommendations": {"before": before, "after": after},
        "ranking": {"before": ranking_before, "after": ranking_after},
    }


def tracking_id(demo: Demo) -> str:
    """The group's event tracker, made when there is none."""
    personalize, group = demo.clients.personalize, demo.clients.arn("dataset-group", NAME)
    trackers = personalize.list_event_trackers(datasetGroupArn=group)["eventTrackers"]
    if trackers:
        arn = trackers[0]["eventTrackerArn"]
    else:
        arn = personalize.create_event_tracker(name=NAME, datasetGroupArn=group)["eventTrackerArn"]
    demo.arns["event tracker"] = arn
    tracker: str = personalize.describe_event_tracker(eventTrackerArn=arn)["eventTracker"]["trackingId"]
    return tracker
