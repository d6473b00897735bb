"""From a file's values to what it wants, or everything that is wrong with it, each with its line.

What the control plane would refuse is asked of the control plane's own checks (schemas, recipes, hyperparameters,
columns), so a dry run and an apply say the same. What it answers with "not available yet" is no mistake of the file: it
becomes a part that is left out with its reason, and turns into an applied one by itself once the platform can do it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.aws.errors import AwsError
from pipelines.control import avro, batch_inference_jobs, batch_segment_jobs, by_hand
from pipelines.control.campaigns import check_config
from pipelines.control.recipes import require_recipe
from pipelines.control.solution_config import check_solution
from pipelines.datasets.attribution import PUBLISH
from pipelines.declared import expressions, shape
from pipelines.declared.expressions import BadExpression, Timing
from pipelines.declared.reading import Document, Problem, Refused, step
from pipelines.declared.schedules import INFERENCE, SEGMENTS, numbered
from pipelines.declared.wanted import (
    SetUp,
    Source,
    Tags,
    Thing,
    Unavailable,
    WantedDataset,
    WantedJob,
    WantedSolution,
)
from pipelines.versions.updatable import UPDATE_RECIPES

NOT_YET = "not available yet"
UNSCHEDULED = "a batch job without a schedule is made by a call, once, and not by a file"
_JOBS = (
    ("batchInferenceJobs", INFERENCE, batch_inference_jobs.check),
    ("batchSegmentJobs", SEGMENTS, batch_segment_jobs.check),
)
_MEMBER = re.compile(r"([A-Za-z][\w.]*): (.*)", re.DOTALL)


def check(document: Document, folder: str) -> SetUp:
    """What the file wants; `folder` is the URI of the folder it lies in, ending in `/`. Raises Refused."""
    problems = shape.check(document)
    # All at once: what is left without the members that mean nothing is looked at as well.
    left = replace(document, value=_without(document.value, {problem.path for problem in problems}, ""))
    reader = _Reader(left, folder)
    found = reader.set_up()
    for more in reader.problems:
        if not any(_is_around(one.path, more.path) or _is_around(more.path, one.path) for one in problems):
            problems.append(more)
    if problems:
        raise Refused(*sorted(problems))
    return found


def _without(value: Any, paths: set[str], here: str) -> Any:
    """The value less the members at these paths; a list keeps its length, so that paths go on being true."""
    if isinstance(value, dict):
        kept = {key: below for key, below in value.items() if step(here, key) not in paths}
        return {key: _without(below, paths, step(here, key)) for key, below in kept.items()}
    if isinstance(value, list):
        places = [(step(here, number), below) for number, below in enumerate(value)]
        return [{} if place in paths else _without(below, paths, place) for place, below in places]
    return value if here else {}


def _is_around(path: str, other: str) -> bool:
    return other == path or other.startswith((f"{path}.", f"{path}["))


@dataclass
class _Reader:
    document: Document
    folder: str
    problems: list[Problem] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)
    domain: str | None = None
    columns: dict[str, list[str]] = field(default_factory=dict)

    def set_up(self) -> SetUp:
        whole = self.document.value
        group = self._thing("DatasetGroup", whole.get("datasetGroup") or {}, "datasetGroup")
        self.domain = group.given.get("domain")
        self._ages()
        datasets = tuple(self._datasets(whole.get("datasets") or {}))
        solutions = tuple(self._solutions())
        others = tuple(self._others())
        self._twice([one.solution for one in solutions])
        self._twice([campaign for one in solutions for campaign in one.campaigns])
        self._twice(list(others))
        return SetUp(group, datasets, solutions, others, tuple(self.unavailable))

    # Datasets -----------------------------------------------------------------------------------------------

    def _datasets(self, given: dict[str, Any]) -> Iterator[WantedDataset]:
        common = given.get("serviceConfig") or {}
        for key, kind in shape.DATASETS.items():
            if given.get(key) is None:
                continue
            path = f"datasets.{key}"
            dataset = self._thing("Dataset", given[key].get("dataset") or {}, f"{path}.dataset")
            schema = self._schema(given[key].get("schema") or {}, f"{path}.schema", kind)
            source = self._source(given[key].get("serviceConfig") or {}, common, f"{path}.serviceConfig", key)
            schedule = self._import_schedule(given[key].get("workflowConfig") or {}, f"{path}.workflowConfig")
            yield WantedDataset(dataset, schema, kind, source, schedule)

    def _schema(self, section: dict[str, Any], path: str, kind: str) -> Thing:
        thing = self._thing("Schema", section, path)
        given = dict(thing.given)
        if "schema" not in given:
            return thing
        text = given["schema"] if isinstance(given["schema"], str) else json.dumps(given["schema"])
        here = f"{path}.serviceConfig.schema"
        try:
            avro.check(text, self.domain)
        except AwsError as refused:
            self.problems.append(self.document.problem(here, str(refused).removeprefix("schema: ")))
            return thing
        if avro.dataset_type(text) != kind:
            self._wrong(here, f"its name says {avro.dataset_type(text)}, but it stands under {kind}")
        self.columns[kind] = avro.names(text)
        domain = {"domain": self.domain} if self.domain else {}
        return Thing("Schema", thing.name, path, {"schema": text, **domain})

    def _source(self, own: dict[str, Any], common: dict[str, Any], path: str, key: str) -> Source:
        location = (own.get("dataSource") or {}).get("dataLocation")
        folder = (common.get("dataSource") or {}).get("dataLocation") or self.folder
        members = {"importMode": "FULL", "roleArn": by_hand.ROLE, "tags": self._root_tags(), **common, **own}
        kept = {name: members[name] for name in ("importMode", "roleArn", "tags")}
        if key == "interactions" and members.get(PUBLISH):
            kept[PUBLISH] = True
        return Source(location or f"{folder.rstrip('/')}/{key}", location is not None, kept, path)

    def _import_schedule(self, own: dict[str, Any], path: str) -> Timing | None:
        """The dataset's own, else the group's."""
        if (own.get("schedules") or {}).get("import") is not None:
            return self._timing(own, f"{path}.schedules.import")
        group = (self.document.value.get("datasetGroup") or {}).get("workflowConfig") or {}
        return self._timing(group, "datasetGroup.workflowConfig.schedules.import")

    # Solutions ----------------------------------------------------------------------------------------------

    def _solutions(self) -> Iterator[WantedSolution]:
        for number, section in enumerate(self.document.value.get("solutions") or []):
            path = step("solutions", number)
            workflow = section.get("workflowConfig") or {}
            full = self._timing(workflow, f"{path}.workflowConfig.schedules.full")
            update = self._timing(workflow, f"{path}.workflowConfig.schedules.update")
            solution = self._solution(section, path, full)
            if solution is None:
                continue
            if update is not None and solution.given["recipeArn"].rpartition("/")[2] not in UPDATE_RECIPES:
                self._wrong(
                    f"{path}.workflowConfig.schedules.update",
                    f"only versions of {' and '.join(UPDATE_RECIPES)} can be updated: use full",
                )
            version = (section.get("serviceConfig") or {}).get("solutionVersion") or {}
            yield WantedSolution(
                solution,
                {"trainingMode": "FULL", "tags": self._root_tags(), **version},
                full,
                update,
                tuple(self._campaigns(section, path, solution.given["recipeArn"])),
                tuple(self._jobs(section, path, solution)),
            )

    def _solution(self, section: dict[str, Any], path: str, full: Timing | None) -> Thing | None:
        """None when the platform cannot make it yet. With a schedule of its own it does not train by itself as well:
        two clocks would train the same twice; the file may say otherwise.
        """
        thing = self._thing("Solution", section, path)
        given = {
            "performHPO": False,
            "performAutoML": False,
            "performAutoTraining": full is None,
            "solutionConfig": {},
            **{name: value for name, value in thing.given.items() if name != "solutionVersion"},
        }
        if not self._accepted(thing, check_solution, given, self.columns):
            return None
        return Thing("Solution", thing.name, path, given, thing.tags)

    def _campaigns(self, section: dict[str, Any], path: str, recipe_arn: str) -> Iterator[Thing]:
        """A campaign follows its solution's newest version unless the file says otherwise: the AWS solution moves its
        campaigns to every version that its schedules train.
        """
        for number, campaign in enumerate(section.get("campaigns") or []):
            thing = self._thing("Campaign", campaign, f"{path}.campaigns[{number}]")
            config = {"syncWithLatestSolutionVersion": True, **thing.given.get("campaignConfig", {})}
            given = {"minProvisionedTPS": 1, **thing.given, "campaignConfig": config}
            if self._accepted(thing, check_config, config, None, recipe_arn):
                yield Thing("Campaign", thing.name, thing.path, given, thing.tags)

    def _jobs(self, section: dict[str, Any], path: str, solution: Thing) -> Iterator[WantedJob]:
        """What they read and write lies beside the file unless it says where, named as in AWS's solution."""
        recipe = require_recipe(solution.given["recipeArn"])
        beside = f"{self.folder}batch/{solution.name}"
        places = {
            "jobInput": {"s3DataSource": {"path": f"{beside}/job_config.json"}},
            "jobOutput": {"s3DataDestination": {"path": f"{beside}/"}},
        }
        for key, kind, check in _JOBS:
            for number, job in enumerate(section.get(key) or [], 1):
                here = f"{path}.{key}[{number - 1}]"
                own, workflow = job.get("serviceConfig") or {}, job.get("workflowConfig") or {}
                given = {"roleArn": by_hand.ROLE, "tags": self._root_tags(), **places, **own}
                timing = self._timing(workflow, f"{here}.workflowConfig.schedule")
                thing = Thing(kind.replace("-", " "), solution.name, here, given)
                if workflow.get("schedule") is None:
                    self._later(thing.kind, thing.name, here, UNSCHEDULED)
                elif self._accepted(thing, check, given, recipe) and timing is not None:
                    is_placed = not places.keys().isdisjoint(own)
                    yield WantedJob(numbered(kind, number), timing, given, is_placed, here)

    # The rest -----------------------------------------------------------------------------------------------

    def _others(self) -> Iterator[Thing]:
        whole = self.document.value
        if whole.get("eventTracker"):
            yield self._thing("EventTracker", whole["eventTracker"], "eventTracker")
        for key, kind in (("filters", "Filter"), ("recommenders", "Recommender")):
            for number, section in enumerate(whole.get(key) or []):
                yield self._thing(kind, section, step(key, number))

    def _thing(self, kind: str, section: dict[str, Any], path: str) -> Thing:
        given = {name: value for name, value in (section.get("serviceConfig") or {}).items() if value is not None}
        if not section.get("serviceConfig"):
            self._wrong(path, "needs a serviceConfig with at least a name")
        tags = given.pop("tags", None)
        if tags is None and kind != "Schema":  # which cannot be tagged
            tags = self._root_tags()
        return Thing(kind, given.pop("name", ""), path, given, tags or [])

    def _root_tags(self) -> Tags:
        """Of everything that has none of its own."""
        return list(self.document.value.get("tags") or [])

    def _timing(self, workflow: Mapping[str, Any], path: str) -> Timing | None:
        given = (workflow.get("schedules") or {}) if ".schedules." in path else workflow
        expression = given.get(path.rpartition(".")[2])
        if expression is None or expression == expressions.DELETE:
            return None
        try:
            return expressions.parse(expression)
        except BadExpression as refused:
            self._wrong(path, f"{expression}: {refused}".replace(f"{expression}: {expression!r}", repr(expression)))
            return None

    def _ages(self) -> None:
        """maxAge asks for an import or a training anew when a file is applied again; that is what schedules are for."""
        for path in self.document.lines:
            if path.endswith(".maxAge"):
                why = "what was imported or trained once is done again by schedules only"
                self._later("maxAge", path.rpartition(".")[0].partition(".workflowConfig")[0], path, why)

    def _twice(self, things: list[Thing]) -> None:
        counted = Counter((thing.kind, thing.name) for thing in things)
        for thing in things:
            if thing.name and counted[thing.kind, thing.name] > 1:
                self._wrong(f"{thing.path}.serviceConfig.name", f"{thing.name} is there twice")

    def _accepted(self, thing: Thing, check: Callable[..., object], *given: Any) -> bool:
        """Whether the control plane's own check lets it pass; if not, it is left out or wrong."""
        try:
            check(*given)
        except AwsError as refused:
            reason = str(refused)
            if reason.startswith(NOT_YET):
                self._later(thing.kind.lower(), thing.name, thing.path, reason)
            else:
                self._refused_member(f"{thing.path}.serviceConfig", reason)
            return False
        return True

    def _refused_member(self, path: str, reason: str) -> None:
        """The control plane's messages begin with the member they are about."""
        found = _MEMBER.fullmatch(reason)
        if found is None:
            self._wrong(f"{path}.recipeArn" if "recipe" in reason else path, reason)
        else:
            self._wrong(f"{path}.{found[1]}", found[2])

    def _wrong(self, path: str, reason: str) -> None:
        self.problems.append(self.document.problem(path, reason))

    def _later(self, what: str, name: str, path: str, why: str) -> None:
        self.unavailable.append(Unavailable(what, name, path, why))
