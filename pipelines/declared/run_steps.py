"""The steps that begin something: a dataset's first import, a solution's first version, the campaigns that serve it.

Each is begun once. A dataset that was never imported is, if its data is there, and a solution without a version gets its
first one, as AWS's solution does it: campaigns need one. From then on it is the schedules' business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipelines.aws import arns
from pipelines.control.recipes import require_recipe
from pipelines.datasets.attribution import PUBLISH, can_publish
from pipelines.declared import comparing
from pipelines.declared.existing import There
from pipelines.declared.resource_steps import change, obstacle, steps_for, tags
from pipelines.declared.steps import Action, Step
from pipelines.declared.wanted import SetUp, Thing, WantedDataset, WantedSolution
from pipelines.registry import store

INTERACTIONS = "INTERACTIONS"
UNTRAINABLE = "training {}"


@dataclass
class Begun:
    """Imports, versions and campaigns, in this order: each step knows what the ones before it will have done."""

    wanted: SetUp
    there: There
    now: datetime
    with_data: set[str] = field(default_factory=set)
    """Types of the datasets that have data or will have."""
    with_version: set[str] = field(default_factory=set)
    """ARNs of the solutions that have a version or will have one."""

    def steps(self) -> Iterator[Step]:
        """For the whole file."""
        for dataset in self.wanted.datasets:
            yield from self._import(dataset)
        for solution in self.wanted.solutions:
            yield from self._version(solution)
        for solution in self.wanted.solutions:
            for campaign in solution.campaigns:
                yield from self._campaign(solution, campaign)

    def _import(self, wanted: WantedDataset) -> Iterator[Step]:
        kind, path = wanted.dataset_type, wanted.source.path
        what, name = "import", f"{kind.lower()} of {self.wanted.group.name}"
        lies = self.there.data.get(kind)
        if lies is None:
            self.with_data.add(kind)
            return
        arn = self.there.arn("Dataset", self.wanted.group.name, kind)
        jobs = self.there.children(self.there.named.get(arn), "DatasetImportJob")
        if any(job.status in store.UNFINISHED for job in jobs):
            self.with_data.add(kind)
            yield Step(Action.KEEP, what, name, path, "is running")
        elif lies.location is None:
            action = Action.REFUSE if lies.is_forbidden and wanted.source.is_given else Action.LATER
            yield Step(action, what, name, path, lies.why)
        else:
            self.with_data.add(kind)
            members = {member: value for member, value in wanted.source.members.items() if value}
            detail = lies.location
            if PUBLISH in members and not any(map(can_publish, self.there.of_kind("MetricAttribution"))):
                del members[PUBLISH]
                detail += "; without a report, as no metric attribution of the group has an s3DataDestination"
            given = {
                **members,
                "importMode": "FULL",
                "jobName": f"{self.wanted.group.name[:30]}-{kind.lower()[:12]}-{self.now:%Y%m%d-%H%M%S}",
                "datasetArn": arn,
                "dataSource": {"dataLocation": lies.location},
            }
            yield Step(Action.CREATE, what, name, path, detail, "CreateDatasetImportJob", given)

    def _version(self, wanted: WantedSolution) -> Iterator[Step]:
        arn = self.there.arn("Solution", wanted.solution.name)
        versions = self.there.children(self.there.named.get(arn), "SolutionVersion")
        recipe = require_recipe(wanted.solution.given["recipeArn"])
        path, what, name = f"{wanted.solution.path}.serviceConfig", "version", f"of {wanted.solution.name}"
        if not recipe.trainable:
            yield Step(Action.UNAVAILABLE, what, name, f"{path}.recipeArn", UNTRAINABLE.format(recipe.name))
        elif any(version.status == store.ACTIVE for version in versions):
            self.with_version.add(arn)
        elif any(version.status in store.UNFINISHED for version in versions):
            self.with_version.add(arn)
            yield Step(Action.KEEP, what, name, path, "is being trained")
        elif INTERACTIONS not in self.with_data and not self.there.streamed:
            yield Step(Action.LATER, what, name, path, "there are no interactions yet")
        else:
            self.with_version.add(arn)
            own = {member: value for member, value in wanted.version.items() if value and member != "trainingMode"}
            if any(version.name == own.get("name") for version in versions):
                del own["name"]  # of one that failed
            given = {"solutionArn": arn, **own}
            step = Step(Action.CREATE, what, name, path, "the first", "CreateSolutionVersion", given)
            yield replace(step, needs_imports=True)

    def _campaign(self, wanted: WantedSolution, campaign: Thing) -> Iterator[Step]:
        solution = self.there.arn("Solution", wanted.solution.name)
        newest = {"solutionVersionArn": f"{solution}/{arns.LATEST}"}
        found = self.there.named.get(self.there.arn("Campaign", campaign.name))
        what = "campaign"
        if found is None and solution not in self.with_version:
            scheduled = "; its schedule makes the campaign with the first" if wanted.full else ""
            why = f"{wanted.solution.name} has no version yet{scheduled}"
            yield Step(Action.LATER, what, campaign.name, campaign.path, why)
        elif found is None:
            for step in steps_for(self.there, campaign, what, None, newest):
                yield replace(step, needs_version=solution)
        elif obstacle(self.there, campaign, found):
            yield Step(Action.REFUSE, what, campaign.name, campaign.path, obstacle(self.there, campaign, found))
        else:
            want = {**campaign.given, "solution": solution}
            step = change(campaign, what, found, comparing.differing("Campaign", want, comparing.of_campaign(found)))
            given = {member: value for member, value in step.given.items() if member != "solution"}
            if "solution" in step.given or campaign.given["campaignConfig"]["syncWithLatestSolutionVersion"]:
                given |= newest
            yield replace(step, given=given)
            yield from tags(self.there, campaign, what, found)
